/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/identity.h"
#include "kernel/message.h"

static void
every_type_and_allowed_character_is_accepted(void **state)
{
    static const struct {
        const char *id;
        enum identity_type type;
        const char *name;
    } good[] = {
        {"agent:kasra", IDENTITY_AGENT, "kasra"},
        {"service:memory", IDENTITY_SERVICE, "memory"},
        {"user:ana@example.org", IDENTITY_USER, "ana@example.org"},
        {"system:0", IDENTITY_SYSTEM, "0"},
        {"guild:red_team", IDENTITY_GUILD, "red_team"},
        {"squad:a:b/c.d-e", IDENTITY_SQUAD, "a:b/c.d-e"},
        {"agent:a.b.c", IDENTITY_AGENT, "a.b.c"},
        {"agent:Z.", IDENTITY_AGENT, "Z."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct identity identity;
        struct error error = ERROR_INIT;
        assert_int_equal(identity_parse(text_of(good[i].id), &identity, &error), STATUS_OK);
        assert_int_equal(identity.type, good[i].type);
        assert_true(text_equal_string(identity.name, good[i].name));
    }
}

static void
every_byte_outside_the_set_is_refused(void **state)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:@/";
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char id[] = "agent:a?b", first[] = "agent:?b";
        struct identity identity;
        id[7] = (char)byte;
        first[6] = (char)byte;
        const char *at = byte ? strchr(allowed, byte) : NULL;

        assert_int_equal(identity_parse((struct text){id, 9}, &identity, NULL),
                         at ? STATUS_OK : STATUS_VALIDATION);
        assert_int_equal(identity_parse((struct text){first, 8}, &identity, NULL),
                         at && at < allowed + 62 ? STATUS_OK : STATUS_VALIDATION);
    }
}

static void
other_texts_are_refused_with_a_reason(void **state)
{
    static const char *const bad[] = {
        "",           "agent",    "agent:",   ":kasra",    "robot:x",
        "Agent:x",    "agents:x", "agent;",   " agent:x",  "agent: x",
        "agent:a..b", "agent:..", "agent:/a", "agent:a\n", "agentx:y",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct identity identity = {IDENTITY_SQUAD, {"same", 4}};
        struct error error = ERROR_INIT;
        assert_int_equal(identity_parse(text_of(bad[i]), &identity, &error), STATUS_VALIDATION);
        assert_true(text_equal_string(identity.name, "same"));
        assert_true(strlen(error.message) > 0);
        assert_null(strchr(error.message, '\n'));
    }
}

static void
the_longest_name_is_128_bytes(void **state)
{
    char id[8 + IDENTITY_NAME_MAX];
    struct identity identity;
    struct error error = ERROR_INIT;
    (void)state;
    memcpy(id, "service:", 8);
    memset(id + 8, 'a', sizeof id - 8);

    assert_int_equal(identity_parse((struct text){id, sizeof id}, &identity, NULL), STATUS_OK);
    assert_int_equal(identity.name.size, IDENTITY_NAME_MAX);
    assert_true(sizeof id <= MESSAGE_NAME_MAX);

    char longer[sizeof id + 1];
    memset(longer, 'a', sizeof longer);
    memcpy(longer, "service:", 8);
    assert_int_equal(identity_parse((struct text){longer, sizeof longer}, &identity, &error),
                     STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "longer than 128"));
    assert_true(strlen(error.message) < 200);
}

static void
a_service_is_known_by_its_whole_name(void **state)
{
    (void)state;
    assert_true(identity_is_service(text_of("service:memory"), "memory"));
    assert_false(identity_is_service(text_of("service:memory2"), "memory"));
    assert_false(identity_is_service(text_of("service:mem"), "memory"));
    assert_false(identity_is_service(text_of("agent:memory"), "memory"));
    assert_false(identity_is_service(text_of("service:"), "memory"));
    assert_false(identity_is_service(text_of(""), "memory"));
}

/* SHA-256 of "abc" is ba7816bf… (FIPS 180-2, appendix B.1). */
static void
a_fingerprint_is_the_id_and_eight_digits_of_the_hash(void **state)
{
    char text[FINGERPRINT_TEXT_SIZE];
    (void)state;
    identity_fingerprint(text_of("agent:kasra"), (struct bytes){(const uint8_t *)"abc", 3}, text);
    assert_string_equal(text, "agent:kasra@ba7816bf");
}

static void
a_fingerprint_of_an_over_long_id_stays_in_its_text(void **state)
{
    char text[FINGERPRINT_TEXT_SIZE], id[2 * FINGERPRINT_TEXT_SIZE];
    (void)state;
    memset(id, 'a', sizeof id);
    identity_fingerprint((struct text){id, sizeof id}, (struct bytes){(const uint8_t *)"abc", 3},
                         text);
    assert_int_equal(strlen(text), FINGERPRINT_TEXT_SIZE - 1);
    assert_string_equal(text + FINGERPRINT_TEXT_SIZE - 10, "@ba7816bf");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_allowed_character_is_accepted),
        cmocka_unit_test(every_byte_outside_the_set_is_refused),
        cmocka_unit_test(other_texts_are_refused_with_a_reason),
        cmocka_unit_test(the_longest_name_is_128_bytes),
        cmocka_unit_test(a_service_is_known_by_its_whole_name),
        cmocka_unit_test(a_fingerprint_is_the_id_and_eight_digits_of_the_hash),
        cmocka_unit_test(a_fingerprint_of_an_over_long_id_stays_in_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
