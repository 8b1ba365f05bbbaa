/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/tap_redact.h"
#include "kernel/json.h"

static const char *const login_secrets[] = {"password", "session_key", NULL};
static const char *const pay_secrets[] = {"card", NULL};

static const struct operation operations[] = {
    {.service = "shop", .type = "shop_login", .secrets = login_secrets},
    {.service = "shop", .type = "shop_list"},
    {.service = "shop", .type = "shop_pay", .secrets = pay_secrets},
};
static const struct contract shop = {
    .service = "shop", .operations = operations, .operation_count = 3};
static const struct contract *const shops[] = {&shop, NULL};

static enum tap_payload
redact(const char *type, const char *json, char *shown, size_t size)
{
    struct tap_secrets *secrets = tap_secrets_new(shops);
    struct json_parser *parser = json_parser_new();
    struct buffer payload, out, text;
    buffer_init(&payload);
    buffer_init(&out);
    buffer_init(&text);
    assert_int_equal(json_to_msgpack(parser, text_of(json), &payload, NULL), STATUS_OK);
    enum tap_payload result = tap_redact(secrets, text_of(type), buffer_bytes(&payload), &out);
    assert_int_equal(msgpack_to_json(buffer_bytes(&out), &text, NULL), STATUS_OK);
    buffer_append_byte(&text, '\0');
    assert_true(text.size <= size);
    memcpy(shown, text.data, text.size);
    buffer_clear(&payload);
    buffer_clear(&out);
    buffer_clear(&text);
    json_parser_destroy(&parser);
    tap_secrets_destroy(&secrets);
    return result;
}

static void
secret_fields_of_the_type_are_replaced_at_any_depth(void **state)
{
    (void)state;
    char shown[512];
    assert_int_equal(redact("shop_login",
                            "{\"user\":\"ana\",\"password\":\"tea\",\"more\":[{\"session_key\":"
                            "{\"a\":[1,2]}},7],\"card\":1}",
                            shown, sizeof shown),
                     TAP_REDACTED);
    assert_string_equal(shown, "{\"user\":\"ana\",\"password\":\"[redacted]\",\"more\":[{\"session_"
                               "key\":\"[redacted]\"},7],\"card\":1}");
}

static void
a_type_without_secrets_is_shown_whole(void **state)
{
    (void)state;
    char shown[512];
    assert_int_equal(
        redact("shop_list", "{\"password\":\"field\",\"x\":[1,[2,{}]]}", shown, sizeof shown),
        TAP_WHOLE);
    assert_string_equal(shown, "{\"password\":\"field\",\"x\":[1,[2,{}]]}");
}

static void
of_an_unknown_type_all_secret_names_are_replaced(void **state)
{
    (void)state;
    static const char *const types[] = {"", "shop", "shop_loginx", "zzz", "shop_log"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char shown[512];
        assert_int_equal(
            redact(types[i], "[{\"card\":1,\"password\":2,\"x\":3}]", shown, sizeof shown),
            TAP_REDACTED);
        assert_string_equal(shown,
                            "[{\"card\":\"[redacted]\",\"password\":\"[redacted]\",\"x\":3}]");
    }
}

static void
capabilities_are_always_replaced(void **state)
{
    (void)state;
    char shown[512];
    assert_int_equal(redact("shop_list", "{\"capability\":{\"id\":\"cap_1\",\"signature\":\"s\"}}",
                            shown, sizeof shown),
                     TAP_REDACTED);
    assert_string_equal(shown, "{\"capability\":\"[redacted]\"}");
}

static void
what_is_not_one_value_is_unreadable(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        {(const uint8_t *)"\x82\x01", 2},
        {(const uint8_t *)"\x01\x01", 2},
        {(const uint8_t *)"\xc1", 1},
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"\xdf\xff\xff\xff\xff", 5},
    };
    struct tap_secrets *secrets = tap_secrets_new(shops);
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(tap_redact(secrets, text_of("shop_list"), wrong[i], &out), TAP_UNREADABLE);
    assert_int_equal(out.size, 0);
    buffer_clear(&out);
    tap_secrets_destroy(&secrets);
}

static void
keys_that_are_no_text_do_no_harm(void **state)
{
    (void)state;
    /* {{"card": 1}: 2, 7: "card"} */
    static const uint8_t odd[] = "\x82\x81\xa4"
                                 "card\x01\x02\x07\xa4"
                                 "card";
    struct tap_secrets *secrets = tap_secrets_new(shops);
    struct buffer out;
    buffer_init(&out);
    assert_int_equal(
        tap_redact(secrets, text_of("shop_pay"), (struct bytes){odd, sizeof odd - 1}, &out),
        TAP_REDACTED);
    struct value whole;
    assert_true(value_parse(buffer_bytes(&out), &whole));
    assert_int_equal(whole.as.count, 2);
    buffer_clear(&out);
    tap_secrets_destroy(&secrets);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_fields_of_the_type_are_replaced_at_any_depth),
        cmocka_unit_test(a_type_without_secrets_is_shown_whole),
        cmocka_unit_test(of_an_unknown_type_all_secret_names_are_replaced),
        cmocka_unit_test(capabilities_are_always_replaced),
        cmocka_unit_test(what_is_not_one_value_is_unreadable),
        cmocka_unit_test(keys_that_are_no_text_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
