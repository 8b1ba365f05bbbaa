/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/identity/secret.h"
#include "platform/file.h"
#include "tests/unit/actors/identity/fixture_home.h"

static const char *const passphrase[] = {"SOS_SECRETS_PASSPHRASE=open sesame", NULL};
static const char *const wrong_passphrase[] = {"SOS_SECRETS_PASSPHRASE=close sesame", NULL};

static int
setup(void **state)
{
    *state = home_open(NULL);
    return 0;
}

static int
setup_passphrase(void **state)
{
    *state = home_open(passphrase);
    return 0;
}

static int
teardown(void **state)
{
    struct service_fixture *f = *state;
    home_close(&f);
    return 0;
}

static struct uuid
call(struct service_fixture *f, const char *operation, const char *action, const char *json)
{
    return service_send_granted(f, operation, json, action, "secret:*");
}

static struct uuid
set(struct service_fixture *f, const char *name, const char *value)
{
    char json[512];
    snprintf(json, sizeof json, "{\"name\":\"%s\",\"value\":\"%s\"}", name, value);
    return call(f, "secret_set", "secret:write", json);
}

static struct uuid
get(struct service_fixture *f, const char *name)
{
    char json[512];
    snprintf(json, sizeof json, "{\"name\":\"%s\"}", name);
    return call(f, "secret_get", "secret:read", json);
}

static void
assert_set(struct service_fixture *f, const char *name, const char *value)
{
    struct uuid id = set(f, name, value);
    if (service_status(f, &id) != STATUS_OK)
        fail_msg("%s", service_reply(f, &id));
}

static void
assert_value(struct service_fixture *f, const char *name, const char *value)
{
    char part[128];
    snprintf(part, sizeof part, "\"value\":\"%s\"", value);
    struct uuid id = get(f, name);
    if (service_status(f, &id) != STATUS_OK)
        fail_msg("%s", service_reply(f, &id));
    assert_contains(service_reply(f, &id), part);
}

static void
assert_refused(struct service_fixture *f, const struct uuid *id, enum status status,
               const char *word)
{
    assert_int_equal(service_status(f, id), status);
    assert_contains(service_reply(f, id), word);
    assert_lacks(service_reply(f, id), "sk-live");
}

static void
what_is_set_is_given_back_and_stays(void **state)
{
    struct service_fixture *f = *state;
    assert_set(f, "openai", "sk-live-1");
    assert_value(f, "openai", "sk-live-1");
    service_reopen(f);
    assert_value(f, "openai", "sk-live-1");
    struct uuid id = set(f, "openai", "sk-live-2");
    assert_contains(service_reply(f, &id), "\"created\":false");
    assert_value(f, "openai", "sk-live-2");
}

static void
the_key_file_is_made_at_first_use_for_its_owner_alone(void **state)
{
    struct service_fixture *f = *state;
    struct stat about;
    struct uuid id = get(f, "openai");
    assert_refused(f, &id, STATUS_NOT_FOUND, "secret_not_found");
    assert_int_not_equal(access(home_path(f, "secrets/master.key"), F_OK), 0);
    assert_set(f, "openai", "sk-live-1");
    assert_int_equal(stat(home_path(f, "secrets/master.key"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(about.st_size, 65);
}

static void
no_value_stands_in_a_row_or_in_the_log(void **state)
{
    struct service_fixture *f = *state;
    assert_set(f, "openai", "sk-live-1");
    assert_value(f, "openai", "sk-live-1");
    assert_true(home_rows_hold(f, "openai"));
    assert_false(home_rows_hold(f, "sk-live"));
    assert_false(home_log_holds(f, "sk-live"));
    assert_false(home_trail_holds(f, "sk-live"));
}

static void
every_look_is_audited_with_who_and_what(void **state)
{
    struct service_fixture *f = *state;
    assert_set(f, "openai", "sk-live-1");
    assert_true(home_trail_holds(f, "\"event\":\"secret_set\",\"actor\":\"user:ana\""));
    assert_false(home_trail_holds(f, "secret.accessed"));
    get(f, "other");
    assert_false(home_trail_holds(f, "secret.accessed"));
    assert_value(f, "openai", "sk-live-1");
    assert_true(home_trail_holds(f, "\"event\":\"secret.accessed\",\"actor\":\"user:ana\""));
    assert_true(home_trail_holds(f, "\"resource\":\"secret:openai\""));
}

static void
every_operation_needs_its_own_right(void **state)
{
    struct service_fixture *f = *state;
    static const struct {
        const char *type, *json, *other_action;
    } rows[] = {
        {"secret_set", "{\"name\":\"openai\",\"value\":\"sk-live-2\"}", "secret:read"},
        {"secret_get", "{\"name\":\"openai\"}", "secret:write"},
        {"secret_list", "{}", "secret:write"},
        {"secret_remove", "{\"name\":\"openai\"}", "secret:read"},
    };
    assert_set(f, "openai", "sk-live-1");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct uuid id = service_send(f, rows[i].type, rows[i].json);
        assert_refused(f, &id, STATUS_CAPABILITY_MISSING, "missing_capability");
        id = service_send_granted(f, rows[i].type, rows[i].json, rows[i].other_action, "*");
        assert_refused(f, &id, STATUS_SCOPE_DENIED, "scope_denied");
    }
    struct uuid id = service_send_granted(f, "secret_get", "{\"name\":\"openai\"}", "secret:read",
                                          "secret:other");
    assert_refused(f, &id, STATUS_SCOPE_DENIED, "scope_denied");
    id = service_send_granted(f, "secret_list", "{}", "secret:read", "secret:openai");
    assert_refused(f, &id, STATUS_SCOPE_DENIED, "scope_denied");
    assert_value(f, "openai", "sk-live-1");
}

static void
bad_names_and_values_are_refused_by_field(void **state)
{
    struct service_fixture *f = *state;
    static const char *const bad[] = {
        "{\"name\":\"\",\"value\":\"v\"}",
        "{\"name\":\"A\",\"value\":\"v\"}",
        "{\"name\":\"a/b\",\"value\":\"v\"}",
        "{\"name\":\"a*\",\"value\":\"v\"}",
        "{\"name\":\"a\\u0000\",\"value\":\"v\"}",
        "{\"name\":\"\\u00e4\",\"value\":\"v\"}",
        "{\"value\":\"v\"}",
        "{\"name\":7,\"value\":\"v\"}",
        "{\"name\":\"a\"}",
        "{\"name\":\"a\",\"value\":\"\"}",
        "{\"name\":\"a\",\"value\":{\"sk-live\":1}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct uuid id = call(f, "secret_set", "secret:write", bad[i]);
        assert_refused(f, &id, STATUS_VALIDATION, "validation_error");
        id = call(f, "secret_remove", "secret:write", bad[i]);
        assert_true(service_status(f, &id) == STATUS_VALIDATION ||
                    service_status(f, &id) == STATUS_NOT_FOUND);
    }
    struct buffer json;
    buffer_init(&json);
    buffer_append_string(&json, "{\"name\":\"a\",\"value\":\"");
    for (int i = 0; i <= SECRET_VALUE_MAX; i++)
        buffer_append_byte(&json, 'x');
    buffer_append(&json, "\"}", 3);
    struct uuid id = call(f, "secret_set", "secret:write", (const char *)json.data);
    assert_refused(f, &id, STATUS_VALIDATION, "value");
    assert_lacks(service_reply(f, &id), "xxxx");
    memcpy(json.data + json.size - 4, "\"}", 3);
    id = call(f, "secret_set", "secret:write", (const char *)json.data);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    buffer_clear(&json);
}

static void
secrets_are_listed_by_name_without_values(void **state)
{
    struct service_fixture *f = *state;
    assert_set(f, "b", "sk-live-b");
    assert_set(f, "a", "sk-live-a");
    struct uuid id = call(f, "secret_list", "secret:read", "{}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_contains(service_reply(f, &id), "[{\"name\":\"a\",\"created_at\":\"2026-");
    assert_contains(service_reply(f, &id), "},{\"name\":\"b\",");
    assert_lacks(service_reply(f, &id), "sk-live");
}

static void
a_removed_secret_is_gone(void **state)
{
    struct service_fixture *f = *state;
    assert_set(f, "a", "sk-live-a");
    struct uuid id = call(f, "secret_remove", "secret:write", "{\"name\":\"a\"}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    id = get(f, "a");
    assert_refused(f, &id, STATUS_NOT_FOUND, "secret_not_found");
    id = call(f, "secret_remove", "secret:write", "{\"name\":\"a\"}");
    assert_refused(f, &id, STATUS_NOT_FOUND, "secret_not_found");
    assert_int_equal(home_count_rows(f, SPACE_SECRET), 0);
}

static void
there_is_room_for_a_bounded_number(void **state)
{
    struct service_fixture *f = *state;
    struct buffer key, value;
    buffer_init(&key);
    buffer_init(&value);
    assert_set(f, "first", "sk-live-1");
    home_row(f, SPACE_SECRET, "first", &key, &value);
    for (int i = 1; i < SECRETS_MAX; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "n%d", i);
        home_put_row(f, SPACE_SECRET, (struct bytes){(const uint8_t *)name, (size_t)size},
                     buffer_bytes(&value));
    }
    service_reopen(f);
    struct uuid id = set(f, "more", "sk-live-x");
    assert_refused(f, &id, STATUS_QUOTA_EXCEEDED, "secrets_full");
    assert_set(f, "first", "sk-live-2");
    buffer_clear(&key);
    buffer_clear(&value);
}

/* ---- what somebody with the disk in his hands may try */

static void
a_row_that_was_swapped_does_not_open(void **state)
{
    struct service_fixture *f = *state;
    struct buffer key, value;
    buffer_init(&key);
    buffer_init(&value);
    assert_set(f, "cheap", "sk-live-cheap");
    assert_set(f, "dear", "sk-live-dear");
    home_row(f, SPACE_SECRET, "dear", &key, &value);
    home_put_row(f, SPACE_SECRET, (struct bytes){(const uint8_t *)"cheap", 5},
                 buffer_bytes(&value));
    service_reopen(f);
    struct uuid id = get(f, "cheap");
    assert_refused(f, &id, STATUS_UNAVAILABLE, "secret_damaged");
    assert_value(f, "dear", "sk-live-dear");
    assert_set(f, "cheap", "sk-live-new");
    assert_value(f, "cheap", "sk-live-new");
    buffer_clear(&key);
    buffer_clear(&value);
}

static void
a_row_that_was_altered_does_not_open(void **state)
{
    struct service_fixture *f = *state;
    struct buffer key, value;
    struct error error = ERROR_INIT;
    size_t refused_at_start = 0;
    buffer_init(&key);
    buffer_init(&value);
    assert_set(f, "a", "sk-live-a");
    home_row(f, SPACE_SECRET, "a", &key, &value);
    for (size_t i = 0; i < value.size; i++) {
        value.data[i] ^= 0x10;
        home_put_row(f, SPACE_SECRET, buffer_bytes(&key), buffer_bytes(&value));
        value.data[i] ^= 0x10;
        if (service_start(f, &error) != STATUS_OK) {
            refused_at_start++;
            continue;
        }
        struct uuid id = get(f, "a");
        assert_refused(f, &id, STATUS_UNAVAILABLE, "secret_damaged");
    }
    assert_true(refused_at_start > 0 && refused_at_start < value.size / 2);
    home_put_row(f, SPACE_SECRET, buffer_bytes(&key), buffer_bytes(&value));
    service_reopen(f);
    assert_value(f, "a", "sk-live-a");
    buffer_clear(&key);
    buffer_clear(&value);
}

static void
write_key(struct service_fixture *f, const char *content, mode_t mode)
{
    struct error error = ERROR_INIT;
    assert_int_equal(file_save(home_path(f, "secrets/master.key"),
                               (struct bytes){(const uint8_t *)content, strlen(content)}, mode,
                               &error),
                     STATUS_OK);
}

static void
assert_locked(struct service_fixture *f, const char *words)
{
    service_reopen(f);
    struct uuid id = get(f, "a");
    assert_refused(f, &id, STATUS_UNAVAILABLE, "secrets_locked");
    assert_contains(service_reply(f, &id), words);
    id = set(f, "b", "sk-live-b");
    assert_refused(f, &id, STATUS_UNAVAILABLE, "secrets_locked");
    assert_int_equal(home_count_rows(f, SPACE_SECRET), 1);
}

static void
a_key_file_that_is_missing_wrong_or_open_to_others_locks_secrets(void **state)
{
    struct service_fixture *f = *state;
    struct error error = ERROR_INIT;
    struct buffer right;
    buffer_init(&right);
    assert_set(f, "a", "sk-live-a");
    assert_int_equal(file_load(home_path(f, "secrets/master.key"), 128, true, &right, &error),
                     STATUS_OK);
    buffer_append_byte(&right, '\0');

    assert_int_equal(unlink(home_path(f, "secrets/master.key")), 0);
    assert_locked(f, "missing");
    assert_int_not_equal(access(home_path(f, "secrets/master.key"), F_OK), 0);
    write_key(f, "0000000000000000000000000000000000000000000000000000000000000000\n", 0600);
    assert_locked(f, "is not the key");
    write_key(f, "not a key", 0600);
    assert_locked(f, "64 hex digits");
    write_key(f, (const char *)right.data, 0644);
    assert_locked(f, "0600");
    char part[17] = "";
    memcpy(part, right.data, sizeof part - 1);
    assert_false(home_log_holds(f, part));

    write_key(f, (const char *)right.data, 0600);
    assert_value(f, "a", "sk-live-a"); /* no new start is needed */
    secret_buffer_clear(&right);
}

static void
a_key_file_from_before_a_crash_is_used(void **state)
{
    struct service_fixture *f = *state;
    store_fault_after(f->store, 2);
    for (int calls = 0; home_count_rows(f, SPACE_SECRET) == 0; calls++) {
        store_fault_after(f->store, calls);
        set(f, "a", "sk-live-a");
        store_fault_after(f->store, -1);
        service_pass(f, 2000);
    }
    assert_value(f, "a", "sk-live-a");
    service_reopen(f);
    assert_value(f, "a", "sk-live-a");
}

/* A commit that the store refuses for want of room leaves the state as it is. */
static void
a_key_whose_row_was_not_written_is_not_used(void **state)
{
    struct service_fixture *f = *state;
    store_set_reserve(f->store, UINT64_C(64) << 20);
    store_pretend_room(f->store, 1000, UINT64_C(1) << 30);
    struct uuid id = set(f, "a", "sk-live-a");
    assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
    assert_int_equal(home_count_rows(f, SPACE_KEYRING), 0);
    store_pretend_room(f->store, UINT64_C(1) << 30, UINT64_C(1) << 30);
    service_pass(f, 2000);
    assert_set(f, "a", "sk-live-a");
    assert_int_equal(home_count_rows(f, SPACE_KEYRING), 1);
    service_reopen(f);
    assert_value(f, "a", "sk-live-a");
}

static void
every_failing_store_call_leaves_what_was_before_or_after(void **state)
{
    struct service_fixture *f = *state;
    bool passed = false;
    assert_set(f, "a", "sk-live-0");
    for (int calls = 0; calls < 20 && !passed; calls++) {
        store_fault_after(f->store, calls);
        struct uuid id = set(f, "a", "sk-live-1");
        store_fault_after(f->store, -1);
        passed = service_status(f, &id) == STATUS_OK;
        if (!passed)
            assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
        service_pass(f, 2000);
        assert_value(f, "a", passed ? "sk-live-1" : "sk-live-0");
    }
    assert_true(passed);
}

/* ---- passphrases */

static void
a_passphrase_takes_the_place_of_the_file(void **state)
{
    struct service_fixture *f = *state;
    assert_set(f, "a", "sk-live-a");
    assert_int_not_equal(access(home_path(f, "secrets/master.key"), F_OK), 0);
    assert_false(home_rows_hold(f, "sesame"));
    home_restart(f, passphrase);
    assert_value(f, "a", "sk-live-a");
    assert_false(home_log_holds(f, "sesame"));
}

static void
without_the_right_passphrase_secrets_stay_locked(void **state)
{
    struct service_fixture *f = *state;
    assert_set(f, "a", "sk-live-a");
    home_restart(f, NULL);
    assert_locked(f, "SOS_SECRETS_PASSPHRASE");
    assert_int_not_equal(access(home_path(f, "secrets/master.key"), F_OK), 0);
    home_restart(f, wrong_passphrase);
    assert_locked(f, "not the one");
    assert_locked(f, "not the one"); /* and again, without the cost of trying */
    home_restart(f, passphrase);
    assert_value(f, "a", "sk-live-a");
}

static void
a_home_that_has_a_key_file_goes_on_with_it(void **state)
{
    struct service_fixture *f = *state;
    assert_set(f, "a", "sk-live-a");
    home_restart(f, passphrase);
    assert_value(f, "a", "sk-live-a");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define PASSPHRASE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_passphrase, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_set_is_given_back_and_stays),
        TEST(the_key_file_is_made_at_first_use_for_its_owner_alone),
        TEST(no_value_stands_in_a_row_or_in_the_log),
        TEST(every_look_is_audited_with_who_and_what),
        TEST(every_operation_needs_its_own_right),
        TEST(bad_names_and_values_are_refused_by_field),
        TEST(secrets_are_listed_by_name_without_values),
        TEST(a_removed_secret_is_gone),
        TEST(there_is_room_for_a_bounded_number),
        TEST(a_row_that_was_swapped_does_not_open),
        TEST(a_row_that_was_altered_does_not_open),
        TEST(a_key_file_that_is_missing_wrong_or_open_to_others_locks_secrets),
        TEST(a_key_file_from_before_a_crash_is_used),
        TEST(a_key_whose_row_was_not_written_is_not_used),
        TEST(every_failing_store_call_leaves_what_was_before_or_after),
        PASSPHRASE_TEST(a_passphrase_takes_the_place_of_the_file),
        PASSPHRASE_TEST(without_the_right_passphrase_secrets_stay_locked),
        TEST(a_home_that_has_a_key_file_goes_on_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
