/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <sodium.h>

#include "broker/net/revoked.h"
#include "platform/file.h"

static const struct now start = {.monotonic_us = 1, .wall_us = 1000};
enum { LATE = 1000000 };

struct fixture {
    char folder[64];
    char path[96];
    struct revoked *revoked;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/sos-revoked-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/revoked", f->folder);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    revoked_close(&f->revoked);
    chmod(f->folder, 0700);
    unlink(f->path);
    rmdir(f->folder);
    free(f);
    return 0;
}

static enum status
reopen(struct fixture *f, struct now now, struct error *error)
{
    *error = ERROR_INIT;
    revoked_close(&f->revoked);
    return revoked_open(&f->revoked, f->path, now, NULL, error);
}

static void
add(struct fixture *f, const char *id, uint64_t expires_us)
{
    const struct revocation one = {text_of(id), expires_us};
    assert_int_equal(revoked_add(f->revoked, &one, 1, start, NULL), STATUS_OK);
}

static bool
has(const struct fixture *f, const char *id)
{
    return revocations_has(revoked_list(f->revoked), text_of(id), start.wall_us);
}

static struct buffer
content_of(const struct fixture *f)
{
    struct buffer content;
    buffer_init(&content);
    assert_int_equal(file_load(f->path, 1 << 20, true, &content, NULL), STATUS_OK);
    return content;
}

static void
write_content(const struct fixture *f, struct bytes content)
{
    assert_int_equal(file_save(f->path, content, 0600, NULL), STATUS_OK);
}

static void
what_was_revoked_is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct error error;
    assert_int_equal(reopen(f, start, &error), STATUS_OK);
    add(f, "cap_a", LATE);
    add(f, "cap_b", LATE);
    assert_int_equal(reopen(f, start, &error), STATUS_OK);
    assert_true(has(f, "cap_a"));
    assert_true(has(f, "cap_b"));
    add(f, "cap_c", LATE);
    assert_int_equal(reopen(f, start, &error), STATUS_OK);
    assert_true(has(f, "cap_a") && has(f, "cap_b") && has(f, "cap_c"));
    assert_int_equal(revocations_count(revoked_list(f->revoked)), 3);
}

static void
what_expired_is_left_out_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct error error;
    assert_int_equal(reopen(f, start, &error), STATUS_OK);
    add(f, "cap_a", 2000);
    add(f, "cap_b", LATE);
    struct buffer before = content_of(f);
    struct now later = {.monotonic_us = 1, .wall_us = 2000};
    assert_int_equal(reopen(f, later, &error), STATUS_OK);
    struct buffer after = content_of(f);
    assert_false(has(f, "cap_a"));
    assert_true(has(f, "cap_b"));
    assert_true(after.size < before.size);
    buffer_clear(&before);
    buffer_clear(&after);
}

/* A crash may leave any part of the last frame: all before it stands. */
static void
every_torn_end_is_cut(void **state)
{
    struct fixture *f = *state;
    struct error error;
    assert_int_equal(reopen(f, start, &error), STATUS_OK);
    add(f, "cap_a", LATE);
    struct buffer first = content_of(f);
    add(f, "cap_b", LATE);
    struct buffer whole = content_of(f);
    for (size_t size = first.size; size < whole.size; size++) {
        write_content(f, (struct bytes){whole.data, size});
        assert_int_equal(reopen(f, start, &error), STATUS_OK);
        assert_true(has(f, "cap_a"));
        assert_false(has(f, "cap_b"));
        struct buffer cut = content_of(f);
        assert_int_equal(cut.size, first.size);
        buffer_clear(&cut);
    }
    buffer_clear(&first);
    buffer_clear(&whole);
}

static void
no_byte_can_change_before_something_whole(void **state)
{
    struct fixture *f = *state;
    struct error error;
    assert_int_equal(reopen(f, start, &error), STATUS_OK);
    add(f, "cap_a", LATE);
    struct buffer first = content_of(f);
    add(f, "cap_b", LATE);
    struct buffer whole = content_of(f);
    for (size_t i = 0; i < whole.size; i++) {
        whole.data[i] ^= 0x10;
        write_content(f, buffer_bytes(&whole));
        enum status status = reopen(f, start, &error);
        if (i < first.size) {
            assert_int_equal(status, STATUS_VALIDATION);
            assert_non_null(strstr(error.message, f->path));
            assert_non_null(strstr(error.message, "at byte 0"));
        } else {
            assert_int_equal(status, STATUS_OK);
            assert_true(has(f, "cap_a"));
            assert_false(has(f, "cap_b"));
        }
        whole.data[i] ^= 0x10;
    }
    buffer_clear(&first);
    buffer_clear(&whole);
}

static void
after_a_failed_write_the_next_one_writes_all(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    if (geteuid() == 0)
        skip(); /* a folder's mode stops everybody else */
    assert_int_equal(reopen(f, start, &error), STATUS_OK);
    add(f, "cap_a", LATE);
    chmod(f->folder, 0500);
    assert_int_equal(reopen(f, start, &error), STATUS_STORE_FAILED);
    chmod(f->folder, 0700);
    assert_int_equal(reopen(f, start, &error), STATUS_OK);
    assert_true(has(f, "cap_a"));
}

static void
what_is_no_such_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(reopen(f, start, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "revoked"));
    rmdir(f->path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_revoked_is_there_after_a_restart),
        TEST(what_expired_is_left_out_at_the_next_start),
        TEST(every_torn_end_is_cut),
        TEST(no_byte_can_change_before_something_whole),
        TEST(after_a_failed_write_the_next_one_writes_all),
        TEST(what_is_no_such_file_is_refused),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
