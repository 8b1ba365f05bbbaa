/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct handshake
good(void)
{
    return (struct handshake){
        .method = text_of("GET"),
        .http_11 = true,
        .connection = text_of("keep-alive, Upgrade"),
        .upgrade = text_of("websocket"),
        .version = text_of("13"),
        .key = text_of("dGhlIHNhbXBsZSBub25jZQ=="),
    };
}

static void
refuse(const struct handshake *handshake, unsigned expected_status, const char *expected_words)
{
    struct error error = ERROR_INIT;
    unsigned http_status = 0;
    assert_int_equal(handshake_check(handshake, &http_status, &error), STATUS_INVALID);
    assert_int_equal(http_status, expected_status);
    assert_non_null(strstr(error.message, expected_words));
}

static void
the_example_of_the_rfc_is_accepted(void **state)
{
    struct handshake handshake = good();
    unsigned http_status;
    char accept[HANDSHAKE_ACCEPT_SIZE];
    (void)state;
    assert_int_equal(handshake_check(&handshake, &http_status, NULL), STATUS_OK);
    assert_true(handshake_accept(handshake.key, accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void
words_of_lists_count_in_any_case_and_place(void **state)
{
    struct handshake handshake = good();
    unsigned http_status;
    (void)state;
    handshake.connection = text_of("uPGRADE\t, close");
    handshake.upgrade = text_of("h2c,  WebSocket ");
    assert_int_equal(handshake_check(&handshake, &http_status, NULL), STATUS_OK);
}

static void
what_asks_for_no_websocket_is_told_to_upgrade(void **state)
{
    static const char *const connections[] = {"", "close", "Upgrades", "Up grade", ",", "xUpgrade"};
    (void)state;
    for (size_t i = 0; i < sizeof connections / sizeof connections[0]; i++) {
        struct handshake handshake = good();
        handshake.connection = text_of(connections[i]);
        refuse(&handshake, 426, "expected a WebSocket handshake");
    }
    struct handshake handshake = good();
    handshake.upgrade = text_of("h2c");
    refuse(&handshake, 426, "expected a WebSocket handshake");
    handshake.upgrade = (struct text){NULL, 0};
    refuse(&handshake, 426, "expected a WebSocket handshake");
}

static void
other_versions_are_told_ours(void **state)
{
    static const char *const versions[] = {"", "8", "12", "14", "013", "13 ", "13, 8"};
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct handshake handshake = good();
        handshake.version = text_of(versions[i]);
        refuse(&handshake, 426, "expected 13");
    }
}

static void
keys_that_are_not_16_bytes_of_base64_are_refused(void **state)
{
    static const char *const keys[] = {"",
                                       "dGhlIHNhbXBsZSBub25jZQ",
                                       "dGhlIHNhbXBsZSBub25j",
                                       "dGhlIHNhbXBsZSBub25jZTE=",
                                       "dGhlIHNhbXBsZSBub25jZQ==x",
                                       "dGhl IHNhbXBsZSBub25jZQ==",
                                       "d-hlIHNhbXBsZSBub25jZQ=="};
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct handshake handshake = good();
        handshake.key = text_of(keys[i]);
        refuse(&handshake, 400, "Sec-WebSocket-Key");
    }
}

static void
only_get_of_http_1_1_opens_one(void **state)
{
    struct handshake handshake = good();
    (void)state;
    handshake.method = text_of("POST");
    refuse(&handshake, 400, "expected GET");
    handshake = good();
    handshake.http_11 = false;
    refuse(&handshake, 400, "HTTP/1.1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc_is_accepted),
        cmocka_unit_test(words_of_lists_count_in_any_case_and_place),
        cmocka_unit_test(what_asks_for_no_websocket_is_told_to_upgrade),
        cmocka_unit_test(other_versions_are_told_ours),
        cmocka_unit_test(keys_that_are_not_16_bytes_of_base64_are_refused),
        cmocka_unit_test(only_get_of_http_1_1_opens_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
