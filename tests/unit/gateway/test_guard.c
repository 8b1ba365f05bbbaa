/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct cors cors;
static const struct guard local = {&cors, "127.0.0.1", false};
static const struct guard remote = {&cors, "0.0.0.0", true};

static int
setup(void **state)
{
    (void)state;
    return cors_init(&cors, "https://app.example.org, http://other.example:8080/") ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    cors_clear(&cors);
    return 0;
}

static enum status
host(const struct guard *guard, const char *text)
{
    return guard_host(guard, text_of(text), NULL);
}

static void
loopback_and_configured_hosts_pass(void **state)
{
    (void)state;
    static const char *const passing[] = {"localhost",        "LOCALHOST:6060",  "127.0.0.1",
                                          "127.9.8.7:1",      "[::1]",           "[::1]:7070",
                                          "sos.localhost:80", "app.example.org", "other.example:1"};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        assert_int_equal(host(&local, passing[i]), STATUS_OK);
}

static void
other_hosts_are_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"evil.example",
                                          "localhost.evil.example",
                                          "xlocalhost",
                                          "10.0.0.1",
                                          "127.0.0.1.evil.example",
                                          "[::1",
                                          "[]",
                                          ":80",
                                          "localhost:x",
                                          "localhost:123456",
                                          "0x7f.1",
                                          "user@localhost",
                                          "127.0.0.1:80:80",
                                          "[::2]"};
    struct error error = ERROR_INIT;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(host(&local, refused[i]), STATUS_FORBIDDEN);
    assert_int_equal(guard_host(&local, text_of("evil\r\n\x01.example"), &error), STATUS_FORBIDDEN);
    assert_string_equal(error.word, "host_not_allowed");
    assert_null(strchr(error.message, '\r'));
}

static void
remote_access_takes_numeric_hosts_only(void **state)
{
    (void)state;
    assert_int_equal(host(&remote, "192.168.1.5:6080"), STATUS_OK);
    assert_int_equal(host(&remote, "[fe80::1]:6080"), STATUS_OK);
    assert_int_equal(host(&remote, "evil.example"), STATUS_FORBIDDEN);
}

static enum status
origin(const char *method, const char *text, const char *host_text)
{
    return guard_origin(&local, text_of(method), text_of(text), text_of(host_text), NULL);
}

static void
writing_from_foreign_origins_is_refused(void **state)
{
    (void)state;
    assert_int_equal(origin("POST", "https://evil.example", "localhost"), STATUS_FORBIDDEN);
    assert_int_equal(origin("DELETE", "null", "localhost"), STATUS_FORBIDDEN);
    assert_int_equal(origin("POST", "http://localhost.evil.example", "localhost"),
                     STATUS_FORBIDDEN);
    assert_int_equal(origin("POST", "file://", "localhost"), STATUS_FORBIDDEN);
    assert_int_equal(origin("POST", "tauri://localhost.evil", "localhost"), STATUS_FORBIDDEN);
    assert_int_equal(origin("POST", "http://localhost/x", "localhost"), STATUS_FORBIDDEN);
    assert_int_equal(origin("POST", "http://app.example.org", "localhost"), STATUS_FORBIDDEN);
}

static void
reading_and_known_origins_pass(void **state)
{
    (void)state;
    assert_int_equal(origin("GET", "https://evil.example", "localhost"), STATUS_OK);
    assert_int_equal(origin("POST", "", "localhost"), STATUS_OK);
    assert_int_equal(origin("POST", "http://127.0.0.1:3000", "localhost"), STATUS_OK);
    assert_int_equal(origin("POST", "http://[::1]:3000", "localhost"), STATUS_OK);
    assert_int_equal(origin("POST", "tauri://localhost", "localhost"), STATUS_OK);
    assert_int_equal(origin("POST", "https://app.example.org", "localhost"), STATUS_OK);
    assert_int_equal(origin("POST", "http://other.example:8080", "localhost"), STATUS_OK);
    assert_int_equal(origin("POST", "http://192.168.1.5:6080", "192.168.1.5:6080"), STATUS_OK);
}

static void
bodies_must_be_announced_as_json(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    assert_int_equal(guard_content_type(text_of("application/json"), &error), STATUS_OK);
    assert_int_equal(guard_content_type(text_of("Application/JSON ; charset=utf-8"), &error),
                     STATUS_OK);
    assert_int_equal(guard_content_type(text_of("text/plain"), &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "Content-Type"));
    assert_int_equal(guard_content_type(text_of(""), &error), STATUS_INVALID);
    assert_int_equal(guard_content_type(text_of("application/jsonx"), &error), STATUS_INVALID);
    assert_int_equal(guard_content_type(text_of("application/x-www-form-urlencoded"), &error),
                     STATUS_INVALID);
}

static void
idempotency_keys_are_short_and_visible(void **state)
{
    char longest[257];
    (void)state;
    memset(longest, 'k', 256);
    assert_int_equal(guard_idempotency_key((struct text){longest, 255}, NULL), STATUS_OK);
    assert_int_equal(guard_idempotency_key((struct text){longest, 256}, NULL), STATUS_INVALID);
    assert_int_equal(guard_idempotency_key(text_of(""), NULL), STATUS_INVALID);
    assert_int_equal(guard_idempotency_key(text_of("a b"), NULL), STATUS_INVALID);
    assert_int_equal(guard_idempotency_key(text_of("\xc3\xa9"), NULL), STATUS_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_and_configured_hosts_pass),
        cmocka_unit_test(other_hosts_are_refused),
        cmocka_unit_test(remote_access_takes_numeric_hosts_only),
        cmocka_unit_test(writing_from_foreign_origins_is_refused),
        cmocka_unit_test(reading_and_known_origins_pass),
        cmocka_unit_test(bodies_must_be_announced_as_json),
        cmocka_unit_test(idempotency_keys_are_short_and_visible),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
