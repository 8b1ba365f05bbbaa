/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/net/keytable.h"

struct table_fixture {
    char folder[64];
    char path[128];
    struct keytable *table;
    struct error error;
};

static int
setup(void **state)
{
    struct table_fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/sos-keys-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/keys.json", f->folder);
    assert_int_equal(keytable_open(&f->table, f->path, &f->error), STATUS_OK);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct table_fixture *f = *state;
    keytable_close(&f->table);
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void
reopen(struct table_fixture *f)
{
    keytable_close(&f->table);
    assert_int_equal(keytable_open(&f->table, f->path, &f->error), STATUS_OK);
}

static enum status
add(struct table_fixture *f, const char *identity, const char *key)
{
    return keytable_add(f->table, text_of(identity), text_of(key), false, 1767225600000000,
                        &f->error);
}

static void
what_is_saved_is_there_after_the_next_start(void **state)
{
    struct table_fixture *f = *state;
    struct curve_keys one, two;
    struct pin pin = {{{1, 2, 3}}, 7}, found;
    struct key_entry entry;
    curve_keys_make(&one);
    curve_keys_make(&two);
    assert_int_equal(add(f, "agent:kasra", one.public_key), STATUS_OK);
    assert_int_equal(keytable_add(f->table, text_of("service:gateway"), text_of(two.public_key),
                                  true, 1767225600000000, &f->error),
                     STATUS_OK);
    assert_int_equal(keytable_revoke(f->table, text_of("agent:kasra")), 1);
    assert_int_equal(keytable_revoke(f->table, text_of("agent:kasra")), 0);
    assert_int_equal(keytable_pin_set(f->table, text_of("memory"), &pin, &f->error), STATUS_OK);
    assert_int_equal(keytable_save(f->table, &f->error), STATUS_OK);

    reopen(f);
    assert_int_equal(keytable_count(f->table), 2);
    assert_true(keytable_find(f->table, text_of(one.public_key), &entry));
    assert_string_equal(entry.identity, "agent:kasra");
    assert_true(entry.revoked);
    assert_false(entry.act_for_others);
    assert_true(entry.added_us == 1767225600000000);
    assert_true(keytable_find(f->table, text_of(two.public_key), &entry));
    assert_false(entry.revoked);
    assert_true(entry.act_for_others);
    assert_true(keytable_pin_find(f->table, text_of("memory"), &found));
    assert_true(uuid_equal(&found.store, &pin.store));
    assert_int_equal(found.epoch, 7);
    assert_false(keytable_pin_find(f->table, text_of("engine"), &found));

    struct stat info;
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void
a_key_belongs_to_one_identity_and_once_revoked_stays_so(void **state)
{
    struct table_fixture *f = *state;
    struct curve_keys keys;
    struct key_entry entry;
    curve_keys_make(&keys);
    assert_int_equal(add(f, "agent:kasra", keys.public_key), STATUS_OK);
    assert_int_equal(add(f, "agent:kasra", keys.public_key), STATUS_OK);
    assert_int_equal(keytable_count(f->table), 1);
    assert_int_equal(add(f, "agent:mallory", keys.public_key), STATUS_ALREADY_EXISTS);
    assert_string_equal(f->error.word, "key_exists");
    keytable_revoke(f->table, text_of("agent:kasra"));
    assert_int_equal(add(f, "agent:kasra", keys.public_key), STATUS_FORBIDDEN);
    assert_true(keytable_find(f->table, text_of(keys.public_key), &entry));
    assert_true(entry.revoked);
}

static void
ill_formed_keys_and_identities_are_refused(void **state)
{
    struct table_fixture *f = *state;
    struct curve_keys keys;
    curve_keys_make(&keys);
    assert_int_equal(add(f, "kasra", keys.public_key), STATUS_VALIDATION);
    assert_int_equal(add(f, "", keys.public_key), STATUS_VALIDATION);
    assert_int_equal(add(f, "agent:kasra", "short"), STATUS_VALIDATION);
    assert_int_equal(add(f, "agent:kasra", "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"),
                     STATUS_VALIDATION);
    assert_int_equal(keytable_count(f->table), 0);
}

static void
a_forgotten_key_is_as_if_never_added(void **state)
{
    struct table_fixture *f = *state;
    struct curve_keys keys;
    struct key_entry entry;
    curve_keys_make(&keys);
    add(f, "agent:kasra", keys.public_key);
    keytable_forget(f->table, text_of(keys.public_key));
    assert_false(keytable_find(f->table, text_of(keys.public_key), &entry));
    assert_int_equal(add(f, "agent:river", keys.public_key), STATUS_OK);
}

static void
a_forgotten_pin_is_as_if_never_set(void **state)
{
    struct table_fixture *f = *state;
    struct pin pin = {{{1, 2, 3}}, 7}, too_high = {{{1, 2, 3}}, UINT64_MAX};
    assert_int_equal(keytable_pin_set(f->table, text_of("memory"), &pin, &f->error), STATUS_OK);
    assert_int_equal(keytable_pin_set(f->table, text_of("memory"), &too_high, &f->error),
                     STATUS_VALIDATION);
    keytable_pin_forget(f->table, text_of("memory"));
    keytable_pin_forget(f->table, text_of("memory"));
    assert_false(keytable_pin_find(f->table, text_of("memory"), &pin));
}

struct page {
    char keys[4][CURVE_KEY_TEXT_SIZE];
    size_t count;
};

static void
take_key(void *context, const struct key_entry *entry)
{
    struct page *page = context;
    assert_true(page->count < 4);
    memcpy(page->keys[page->count++], entry->curve_public_key, CURVE_KEY_TEXT_SIZE);
}

static void
pages_show_every_key_once_in_order(void **state)
{
    struct table_fixture *f = *state;
    struct curve_keys keys[5];
    struct page pages[3] = {0};
    bool more = true;
    for (size_t i = 0; i < 5; i++) {
        curve_keys_make(&keys[i]);
        assert_int_equal(add(f, "agent:kasra", keys[i].public_key), STATUS_OK);
    }
    const char *after = "";
    for (size_t i = 0; i < 3; i++) {
        assert_true(more);
        assert_int_equal(
            keytable_page(f->table, text_of(after), 2, take_key, &pages[i], &more, &f->error),
            STATUS_OK);
        assert_int_equal(pages[i].count, i < 2 ? 2 : 1);
        for (size_t k = 0; k < pages[i].count; k++)
            assert_string_equal(pages[i].keys[k], keys[2 * i + k].public_key);
        after = pages[i].keys[pages[i].count - 1];
    }
    assert_false(more);

    struct page rest = {0};
    assert_int_equal(keytable_page(f->table, text_of(after), 2, take_key, &rest, &more, &f->error),
                     STATUS_OK);
    assert_int_equal(rest.count, 0);
    assert_int_equal(
        keytable_page(f->table, text_of("nobody's"), 2, take_key, &rest, &more, &f->error),
        STATUS_NOT_FOUND);
    assert_string_equal(f->error.word, "key_unknown");
}

static void
a_save_that_fails_names_the_file_and_leaves_nothing_behind(void **state)
{
    struct table_fixture *f = *state;
    assert_int_equal(mkdir(f->path, 0700), 0); /* in the way */
    assert_int_equal(keytable_save(f->table, &f->error), STATUS_STORE_FAILED);
    assert_non_null(strstr(f->error.message, f->path));
    assert_int_equal(rmdir(f->path), 0);
}

static void
damaged_files_are_refused_and_say_what_is_wrong(void **state)
{
    struct table_fixture *f = *state;
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"", "line 1"},
        {"{\"version\": 1, \"keys\": [", "line 1"},
        {"[]", "expected an object"},
        {"{\"version\": 2, \"keys\": [], \"stores\": {}}", "version"},
        {"{\"version\": 1, \"keys\": [], \"stores\": []}", "stores"},
        {"{\"version\": 1, \"keys\": [], \"stores\": {}, \"extra\": 1}", "extra"},
        {"{\"version\": 1, \"keys\": [], \"keys\": [], \"stores\": {}}", "duplicate"},
        {"{\"version\": 1, \"keys\": [7], \"stores\": {}}", "keys[0]"},
        {"{\"version\": 1, \"keys\": [{\"identity\": \"agent:a\"}], \"stores\": {}}",
         "curve_public_key"},
        {"{\"version\": 1, \"keys\": [{\"identity\": \"agent:a\", \"curve_public_key\": "
         "\"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\", \"revoked\": 0, \"act_for_others\": false, "
         "\"added_at\": \"2026-01-01T00:00:00Z\"}], \"stores\": {}}",
         "revoked"},
        {"{\"version\": 1, \"keys\": [{\"identity\": \"agent:a\", \"curve_public_key\": "
         "\"tooshort\", \"revoked\": false, \"act_for_others\": false, "
         "\"added_at\": \"2026-01-01T00:00:00Z\"}], \"stores\": {}}",
         "Z85"},
        {"{\"version\": 1, \"keys\": [{\"identity\": \"agent:a\", \"curve_public_key\": "
         "\"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\", \"revoked\": false, \"act_for_others\": "
         "false, \"added_at\": \"yesterday\"}], \"stores\": {}}",
         "added_at"},
        {"{\"version\": 1, \"keys\": [], \"stores\": {\"memory\": \"x\"}}", "stores.memory"},
        {"{\"version\": 1, \"keys\": [], \"stores\": {\"memory\": {\"uuid\": \"x\", \"epoch\": "
         "1}}}",
         "uuid"},
        {"{\"version\": 1, \"keys\": [], \"stores\": {\"memory\": "
         "{\"uuid\": \"019b0000-0000-7000-8000-000000000000\"}}}",
         "epoch"},
        {"{\"version\": 1, \"keys\": [], \"stores\": {\"memory\": "
         "{\"uuid\": \"019b0000-0000-7000-8000-000000000000\", \"epoch\": -1}}}",
         "epoch"},
    };
    keytable_close(&f->table);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int file = open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(file, rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
        close(file);
        f->error = ERROR_INIT;
        assert_int_equal(keytable_open(&f->table, f->path, &f->error), STATUS_VALIDATION);
        assert_null(f->table);
        assert_non_null(strstr(f->error.message, f->path));
        if (!strstr(f->error.message, rows[i].says))
            fail_msg("row %zu: \"%s\" does not say %s", i, f->error.message, rows[i].says);
    }
}

static void
a_file_that_others_may_read_or_write_is_refused(void **state)
{
    struct table_fixture *f = *state;
    assert_int_equal(keytable_save(f->table, &f->error), STATUS_OK);
    keytable_close(&f->table);
    assert_int_equal(chmod(f->path, 0620), 0);
    assert_int_equal(keytable_open(&f->table, f->path, &f->error), STATUS_FORBIDDEN);
    assert_non_null(strstr(f->error.message, f->path));
}

static void
what_an_identity_may_do_is_there_after_the_next_start(void **state)
{
    struct table_fixture *f = *state;
    struct curve_keys old, new;
    curve_keys_make(&old);
    curve_keys_make(&new);
    add(f, "agent:kasra", old.public_key);
    assert_int_equal(keytable_access(f->table, text_of("agent:kasra")), ACCESS_FULL);
    for (int access = 0; access < ACCESSES; access++) {
        assert_int_equal(
            keytable_set_access(f->table, text_of("agent:kasra"), (enum access)access, &f->error),
            STATUS_OK);
        assert_int_equal(keytable_save(f->table, &f->error), STATUS_OK);
        reopen(f);
        assert_int_equal(keytable_access(f->table, text_of("agent:kasra")), access);
    }
    /* None of its keys is revoked here, but its rights were: a new key gives them back. */
    assert_int_equal(add(f, "agent:kasra", new.public_key), STATUS_OK);
    assert_int_equal(keytable_access(f->table, text_of("agent:kasra")), ACCESS_FULL);
}

static void
one_of_two_keys_is_revoked_alone(void **state)
{
    struct table_fixture *f = *state;
    struct curve_keys old, new;
    struct key_entry entry;
    curve_keys_make(&old);
    curve_keys_make(&new);
    add(f, "agent:kasra", old.public_key);
    add(f, "agent:kasra", new.public_key);
    assert_int_equal(keytable_revoke_key(f->table, text_of("agent:ana"), text_of(old.public_key)),
                     0);
    assert_int_equal(keytable_revoke_key(f->table, text_of("agent:kasra"), text_of(old.public_key)),
                     1);
    assert_int_equal(keytable_revoke_key(f->table, text_of("agent:kasra"), text_of(old.public_key)),
                     0);
    assert_true(keytable_find(f->table, text_of(new.public_key), &entry));
    assert_false(entry.revoked);
    assert_int_equal(keytable_access(f->table, text_of("agent:kasra")), ACCESS_FULL);
    assert_int_equal(keytable_save(f->table, &f->error), STATUS_OK);
    reopen(f);
    assert_true(keytable_find(f->table, text_of(old.public_key), &entry));
    assert_true(entry.revoked);
    assert_int_equal(keytable_revoke(f->table, text_of("agent:kasra")), 1);
    assert_int_equal(keytable_access(f->table, text_of("agent:kasra")), ACCESS_NONE);
}

static void
count_access(void *context, struct text identity, enum access access)
{
    int *count = context;
    assert_true(identity.size > 0);
    assert_int_not_equal(access, ACCESS_FULL);
    ++*count;
}

static void
a_file_restricts_whom_it_names_and_must_be_right(void **state)
{
    static const struct {
        const char *access, *complaint;
    } rows[] = {
        {"{\"agent:a\":\"read_only\",\"agent:b\":\"onboarding\",\"agent:c\":\"none\"}", NULL},
        {"{\"agent:a\":\"full\"}", NULL},
        {"[]", "access: expected an object"},
        {"{\"agent:a\":\"some\"}", "access.agent:a: expected full, read_only"},
        {"{\"agent:a\":3}", "access.agent:a: expected full, read_only"},
        {"{\"a\":\"none\"}", "access.a: identity"},
    };
    struct table_fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int count = 0;
        FILE *file = fopen(f->path, "w");
        assert_non_null(file);
        assert_int_equal(fchmod(fileno(file), 0600), 0);
        fprintf(file, "{\"version\":1,\"keys\":[],\"access\":%s,\"stores\":{}}", rows[i].access);
        fclose(file);
        keytable_close(&f->table);
        enum status status = keytable_open(&f->table, f->path, &f->error);
        if (rows[i].complaint) {
            assert_int_equal(status, STATUS_VALIDATION);
            assert_non_null(strstr(f->error.message, rows[i].complaint));
            continue;
        }
        assert_int_equal(status, STATUS_OK);
        keytable_each_access(f->table, count_access, &count);
        assert_int_equal(count, i == 0 ? 3 : 0);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_saved_is_there_after_the_next_start),
        TEST(a_key_belongs_to_one_identity_and_once_revoked_stays_so),
        TEST(ill_formed_keys_and_identities_are_refused),
        TEST(a_forgotten_key_is_as_if_never_added),
        TEST(what_an_identity_may_do_is_there_after_the_next_start),
        TEST(one_of_two_keys_is_revoked_alone),
        TEST(a_file_restricts_whom_it_names_and_must_be_right),
        TEST(a_forgotten_pin_is_as_if_never_set),
        TEST(pages_show_every_key_once_in_order),
        TEST(a_save_that_fails_names_the_file_and_leaves_nothing_behind),
        TEST(damaged_files_are_refused_and_say_what_is_wrong),
        TEST(a_file_that_others_may_read_or_write_is_refused),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
