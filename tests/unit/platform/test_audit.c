/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/audit.h"
#include "platform/file.h"

struct fixture {
    char folder[64];
    char path[96];
    struct audit *audit;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/sos-audit-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/bus.jsonl", f->folder);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char name[128];
    audit_close(&f->audit);
    unlink(f->path);
    for (int i = 1; i <= AUDIT_FILES_KEPT; i++) {
        snprintf(name, sizeof name, "%s.%d", f->path, i);
        unlink(name);
    }
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void
reopen(struct fixture *f, uint64_t size_max)
{
    struct error error = ERROR_INIT;
    audit_close(&f->audit);
    assert_int_equal(audit_open(&f->audit, f->path, size_max, &error), STATUS_OK);
}

static enum status
add(struct fixture *f, const char *line, struct error *error)
{
    return audit_append(f->audit, text_of(line), 1767225600000000, error);
}

static struct buffer
content(const char *path, int number)
{
    char name[128];
    struct buffer out;
    buffer_init(&out);
    snprintf(name, sizeof name, number ? "%s.%d" : "%s", path, number);
    assert_int_equal(file_load(name, 1 << 20, true, &out, NULL), STATUS_OK);
    buffer_append_byte(&out, '\0');
    return out;
}

static void
assert_content(const struct fixture *f, int number, const char *expected)
{
    struct buffer found = content(f->path, number);
    assert_string_equal((char *)found.data, expected);
    buffer_clear(&found);
}

static void
a_line_has_all_members_and_escapes_what_others_chose(void **state)
{
    (void)state;
    struct buffer line;
    buffer_init(&line);
    struct audit_entry entry = {.event = "tap.started",
                                .actor = text_of("user:operator"),
                                .action = text_of("bus:tap"),
                                .trace = {(const uint8_t *)"0123456789abcdefSPAN-ID8", 24},
                                .outcome = "ok",
                                .detail = text_of("a \"quote\"\nand a line\xff")};
    audit_format(&entry, 1767225600000001, &line);
    buffer_append_byte(&line, '\0');
    assert_string_equal(
        (char *)line.data,
        "{\"ts\":\"2026-01-01T00:00:00.000001Z\",\"event\":\"tap.started\",\"actor\":\"user:"
        "operator\",\"subject\":null,\"action\":\"bus:tap\",\"resource\":null,\"capability_id\":"
        "null,\"trace_id\":\"30313233343536373839616263646566\",\"outcome\":\"ok\",\"detail\":\"a "
        "\\\"quote\\\"\\nand a line\xef\xbf\xbd\"}\n");
    buffer_clear(&line);
}

static void
lines_are_appended_across_restarts_to_a_private_file(void **state)
{
    struct fixture *f = *state;
    struct stat about;
    reopen(f, 0);
    assert_int_equal(add(f, "{1}\n", NULL), STATUS_OK);
    assert_int_equal(audit_sync(f->audit, NULL), STATUS_OK);
    reopen(f, 0);
    assert_int_equal(add(f, "{2}\n", NULL), STATUS_OK);
    assert_content(f, 0, "{1}\n{2}\n");
    assert_int_equal(stat(f->path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
}

static void
half_a_line_that_a_crash_left_is_not_continued(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(file_save(f->path, (struct bytes){(const uint8_t *)"{1}\n{2", 6}, 0600, NULL),
                     STATUS_OK);
    reopen(f, 0);
    assert_int_equal(add(f, "{3}\n", NULL), STATUS_OK);
    assert_content(f, 0, "{1}\n{2\n{3}\n");
}

static void
a_full_file_becomes_the_first_of_the_numbered_ones(void **state)
{
    struct fixture *f = *state;
    reopen(f, 10);
    assert_int_equal(add(f, "{one}\n", NULL), STATUS_OK);
    assert_int_equal(add(f, "{two}\n", NULL), STATUS_OK);
    assert_int_equal(add(f, "{3}\n", NULL), STATUS_OK);
    assert_int_equal(add(f, "{four}\n", NULL), STATUS_OK);
    assert_content(f, 0, "{four}\n");
    assert_content(f, 1, "{two}\n{3}\n");
    assert_content(f, 2, "{one}\n");
}

static void
when_the_oldest_file_goes_a_line_says_so(void **state)
{
    struct fixture *f = *state;
    reopen(f, 1); /* a file for each line */
    char line[32];
    for (int i = 0; i <= AUDIT_FILES_KEPT; i++) {
        snprintf(line, sizeof line, "{%d}\n", i);
        assert_int_equal(add(f, line, NULL), STATUS_OK);
    }
    assert_content(f, AUDIT_FILES_KEPT, "{0}\n");
    struct buffer found = content(f->path, 0);
    assert_null(strstr((char *)found.data, "audit.rotated"));
    buffer_clear(&found);

    assert_int_equal(add(f, "{last}\n", NULL), STATUS_OK);
    assert_content(f, AUDIT_FILES_KEPT, "{1}\n");
    found = content(f->path, 0);
    assert_non_null(strstr((char *)found.data, "audit.rotated"));
    assert_non_null(strstr((char *)found.data, "{last}"));
    buffer_clear(&found);
}

/* A file size limit stands for a full disk: a line is written in part, then refused. */
static void
a_line_that_does_not_fit_the_disk_is_taken_back_whole(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN);
    reopen(f, 0);
    assert_int_equal(add(f, "{1}\n", NULL), STATUS_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum status status = add(f, "{a line that is too long}\n", &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, STATUS_STORE_FAILED);
    assert_non_null(strstr(error.message, f->path));
    assert_content(f, 0, "{1}\n");
    assert_int_equal(add(f, "{2}\n", NULL), STATUS_OK);
    assert_content(f, 0, "{1}\n{2}\n");
}

static void
what_is_no_plain_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(audit_open(&f->audit, f->path, 0, &error), STATUS_STORE_FAILED);
    assert_non_null(strstr(error.message, f->path));
    unlink(f->path);
    assert_int_equal(symlink("/dev/null", f->path), 0);
    assert_int_equal(audit_open(&f->audit, f->path, 0, &error), STATUS_STORE_FAILED);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_line_has_all_members_and_escapes_what_others_chose),
        TEST(lines_are_appended_across_restarts_to_a_private_file),
        TEST(half_a_line_that_a_crash_left_is_not_continued),
        TEST(a_full_file_becomes_the_first_of_the_numbered_ones),
        TEST(when_the_oldest_file_goes_a_line_says_so),
        TEST(a_line_that_does_not_fit_the_disk_is_taken_back_whole),
        TEST(what_is_no_plain_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
