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
#include "platform/audit_verify.h"
#include "platform/file.h"

static const uint64_t MOMENT = 1767225600000000;

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

static void
name_of(const struct fixture *f, int number, char name[static 128])
{
    snprintf(name, 128, number ? "%s.%d" : "%s", f->path, number);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char name[128];
    audit_close(&f->audit);
    for (int i = 0; i <= AUDIT_FILES_KEPT; i++) {
        name_of(f, i, name);
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
    if (audit_open(&f->audit, f->path, size_max, MOMENT, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

static enum status
add(struct fixture *f, const char *event, struct error *error)
{
    struct buffer members;
    const struct audit_entry entry = {.event = event, .outcome = "ok"};
    buffer_init(&members);
    audit_format(&entry, MOMENT, &members);
    enum status status =
        audit_append(f->audit, audit_last(f->audit).seq + 1, buffer_text(&members), MOMENT, error);
    buffer_clear(&members);
    return status;
}

/* Lines "1", "2" … in one file, or a file for each. */
static void
add_lines(struct fixture *f, int count, uint64_t size_max)
{
    char event[16];
    reopen(f, size_max);
    for (int i = 1; i <= count; i++) {
        snprintf(event, sizeof event, "%d", i);
        assert_int_equal(add(f, event, NULL), STATUS_OK);
    }
    assert_int_equal(audit_sync(f->audit, NULL), STATUS_OK);
}

static struct buffer
content(const struct fixture *f, int number)
{
    char name[128];
    struct buffer out;
    buffer_init(&out);
    name_of(f, number, name);
    assert_int_equal(file_load(name, 1 << 20, true, &out, NULL), STATUS_OK);
    buffer_append_byte(&out, '\0');
    out.size--;
    return out;
}

static void
replace(const struct fixture *f, int number, struct text text)
{
    char name[128];
    name_of(f, number, name);
    assert_int_equal(
        file_save(name, (struct bytes){(const uint8_t *)text.data, text.size}, 0600, NULL),
        STATUS_OK);
}

/* "1 2 3": the events of a file. */
static void
assert_events(const struct fixture *f, int number, const char *expected)
{
    static const char mark[] = "\"event\":\"";
    struct buffer found = content(f, number);
    char events[512] = "";
    for (const char *at = (char *)found.data; (at = strstr(at, mark)) != NULL;) {
        at += strlen(mark);
        size_t size = strlen(events);
        snprintf(events + size, sizeof events - size, "%s%.*s", size ? " " : "",
                 (int)(strchr(at, '"') - at), at);
    }
    buffer_clear(&found);
    assert_string_equal(events, expected);
}

static struct audit_verdict
verify(const struct fixture *f)
{
    struct audit_verdict verdict;
    struct error error = ERROR_INIT;
    if (audit_verify(f->path, &verdict, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return verdict;
}

static void
assert_good(const struct fixture *f, unsigned files, uint64_t lines)
{
    struct audit_verdict verdict = verify(f);
    if (!verdict.is_good)
        fail_msg("file %d, line %llu: %s, expected %s", verdict.file,
                 (unsigned long long)verdict.line, verdict.problem, verdict.expected);
    assert_int_equal(verdict.files, files);
    assert_int_equal(verdict.lines, lines);
}

static void
assert_flaw(const struct fixture *f, int file, uint64_t line, const char *problem)
{
    struct audit_verdict verdict = verify(f);
    assert_false(verdict.is_good);
    assert_int_equal(verdict.file, file);
    assert_int_equal(verdict.line, line);
    if (!strstr(verdict.problem, problem))
        fail_msg("found: %s", verdict.problem);
    assert_true(verdict.expected[0] != '\0');
}

/* ---- writing */

static void
lines_are_appended_across_restarts_to_a_private_file(void **state)
{
    struct fixture *f = *state;
    struct stat about;
    reopen(f, 0);
    assert_int_equal(add(f, "one", NULL), STATUS_OK);
    assert_int_equal(audit_sync(f->audit, NULL), STATUS_OK);
    reopen(f, 0);
    assert_int_equal(audit_last(f->audit).seq, 1);
    assert_int_equal(add(f, "two", NULL), STATUS_OK);
    assert_events(f, 0, "one two");
    assert_good(f, 1, 2);
    assert_int_equal(stat(f->path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
}

static void
half_a_line_that_a_crash_left_is_taken_back(void **state)
{
    struct fixture *f = *state;
    add_lines(f, 2, 0);
    struct stat about;
    assert_int_equal(stat(f->path, &about), 0);
    assert_int_equal(truncate(f->path, about.st_size - 1), 0); /* all but the newline */
    struct audit_verdict verdict = verify(f);
    assert_true(verdict.is_good);
    assert_true(verdict.unfinished > 0);
    reopen(f, 0);
    assert_int_equal(audit_last(f->audit).seq, 1);
    assert_int_equal(add(f, "again", NULL), STATUS_OK);
    assert_events(f, 0, "1 audit.recovered again");
    assert_good(f, 1, 3);
}

static void
a_second_writer_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    struct audit *second = NULL;
    reopen(f, 0);
    assert_int_equal(audit_open(&second, f->path, 0, MOMENT, &error), STATUS_CONFLICT);
    assert_non_null(strstr(error.message, f->path));
    assert_null(second);
}

static void
a_full_file_becomes_the_first_of_the_numbered_ones(void **state)
{
    struct fixture *f = *state;
    add_lines(f, 7, 1000); /* two lines each */
    assert_events(f, 0, "7");
    assert_events(f, 1, "5 6");
    assert_events(f, 3, "1 2");
    assert_good(f, 4, 7);
}

static void
the_chain_goes_on_after_a_rotation_without_a_first_line(void **state)
{
    struct fixture *f = *state;
    char first[128];
    add_lines(f, 3, 0);
    audit_close(&f->audit);
    name_of(f, 1, first);
    assert_int_equal(rename(f->path, first), 0);
    reopen(f, 0);
    assert_int_equal(audit_last(f->audit).seq, 3);
    assert_int_equal(add(f, "on", NULL), STATUS_OK);
    assert_good(f, 2, 4);
}

static void
when_the_oldest_file_goes_a_line_vouches_for_it(void **state)
{
    struct fixture *f = *state;
    add_lines(f, AUDIT_FILES_KEPT + 1, 1); /* a file for each line */
    assert_events(f, AUDIT_FILES_KEPT, "1");
    assert_events(f, 0, "16");
    assert_good(f, AUDIT_FILES_KEPT + 1, AUDIT_FILES_KEPT + 1);

    assert_int_equal(add(f, "last", NULL), STATUS_OK);
    assert_events(f, AUDIT_FILES_KEPT, "2");
    assert_events(f, 1, "16 audit.rotated");
    assert_events(f, 0, "last");
    assert_good(f, AUDIT_FILES_KEPT + 1, AUDIT_FILES_KEPT + 2);

    char oldest[128];
    name_of(f, AUDIT_FILES_KEPT, oldest);
    unlink(oldest);
    assert_flaw(f, AUDIT_FILES_KEPT - 1, 1, "the oldest lines were removed");
}

/* A file size limit stands for a full disk: a line is written in part, then refused. */
static void
a_line_that_does_not_fit_the_disk_is_taken_back_whole(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    struct rlimit before, small;
    struct stat about;
    signal(SIGXFSZ, SIG_IGN);
    add_lines(f, 1, 0);
    assert_int_equal(stat(f->path, &about), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = (rlim_t)about.st_size + 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum status status = add(f, "too long", &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, STATUS_STORE_FAILED);
    assert_non_null(strstr(error.message, f->path));
    assert_events(f, 0, "1");
    assert_int_equal(add(f, "2", NULL), STATUS_OK);
    assert_events(f, 0, "1 2");
    assert_good(f, 1, 2);
}

static void
what_is_no_plain_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(audit_open(&f->audit, f->path, 0, MOMENT, &error), STATUS_STORE_FAILED);
    assert_non_null(strstr(error.message, f->path));
    unlink(f->path);
    assert_int_equal(symlink("/dev/null", f->path), 0);
    assert_int_equal(audit_open(&f->audit, f->path, 0, MOMENT, &error), STATUS_STORE_FAILED);
}

/* ---- strangers */

static void
a_file_of_others_is_gone_on_with_and_said_to_be_damaged(void **state)
{
    struct fixture *f = *state;
    replace(f, 0, text_of("{\"event\":\"x\"}\n"));
    reopen(f, 0);
    assert_int_equal(add(f, "mine", NULL), STATUS_OK);
    assert_events(f, 0, "x audit.damaged mine");
    assert_flaw(f, 0, 1, "no line that a trail writes");
}

static void
an_endless_line_is_ended_and_not_taken_back(void **state)
{
    struct fixture *f = *state;
    static char endless[5 * AUDIT_LINE_MAX];
    memset(endless, 'x', sizeof endless);
    replace(f, 0, (struct text){endless, sizeof endless});
    reopen(f, 0);
    assert_int_equal(add(f, "mine", NULL), STATUS_OK);
    assert_events(f, 0, "audit.damaged mine");
    assert_flaw(f, 0, 1, "no line that a trail writes");
}

static void
what_a_stranger_does_while_it_is_written_is_found(void **state)
{
    struct fixture *f = *state;
    struct stat about;
    add_lines(f, 3, 0);
    assert_int_equal(stat(f->path, &about), 0);
    assert_int_equal(truncate(f->path, about.st_size * 2 / 3), 0); /* exactly the last line */
    assert_int_equal(add(f, "4", NULL), STATUS_OK);
    assert_events(f, 0, "1 2 audit.damaged 4");
    assert_flaw(f, 0, 3, "does not follow the line before");
}

static void
a_file_that_was_moved_away_is_made_anew_and_missed(void **state)
{
    struct fixture *f = *state;
    add_lines(f, 3, 0);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(add(f, "4", NULL), STATUS_OK);
    assert_events(f, 0, "audit.damaged 4");
    assert_flaw(f, 0, 1, "found it damaged");
}

/* ---- damage */

/* What stands from here to the end of the line is replaced by what is given. */
static void
change(const struct fixture *f, const char *from, const char *to)
{
    struct buffer found = content(f, 0);
    struct buffer changed;
    buffer_init(&changed);
    const char *text = (char *)found.data;
    const char *at = strstr(text, from);
    assert_non_null(at);
    buffer_append(&changed, text, (size_t)(at - text));
    buffer_append_string(&changed, to);
    buffer_append_string(&changed, at + strlen(from));
    replace(f, 0, buffer_text(&changed));
    buffer_clear(&found);
    buffer_clear(&changed);
}

static void
an_altered_byte_is_found(void **state)
{
    struct fixture *f = *state;
    add_lines(f, 4, 0);
    change(f, "\"event\":\"3\"", "\"event\":\"8\"");
    assert_flaw(f, 0, 3, "was altered");
}

/* Lines 1 to 4 in this order, 0 for the end. */
static void
arrange(const struct fixture *f, const int *order)
{
    struct buffer found = content(f, 0);
    struct buffer arranged;
    buffer_init(&arranged);
    for (; *order; order++) {
        const char *begin = (char *)found.data;
        for (int i = 1; i < *order; i++)
            begin = strchr(begin, '\n') + 1;
        buffer_append(&arranged, begin, (size_t)(strchr(begin, '\n') + 1 - begin));
    }
    replace(f, 0, buffer_text(&arranged));
    buffer_clear(&found);
    buffer_clear(&arranged);
}

static void
a_line_that_is_removed_moved_or_doubled_is_found(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int order[6];
        uint64_t line;
        const char *problem;
    } rows[] = {
        {{1, 3, 4, 0}, 2, "does not follow"},    {{2, 3, 4, 0}, 1, "oldest lines were removed"},
        {{1, 3, 2, 4, 0}, 2, "does not follow"}, {{1, 2, 2, 3, 4, 0}, 3, "does not follow"},
        {{4, 3, 2, 1, 0}, 2, "does not follow"},
    };
    add_lines(f, 4, 0);
    struct buffer whole = content(f, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        replace(f, 0, buffer_text(&whole));
        assert_good(f, 1, 4);
        arrange(f, rows[i].order);
        assert_flaw(f, 0, rows[i].line, rows[i].problem);
    }
    buffer_clear(&whole);
}

static void
half_a_line_within_the_trail_is_found(void **state)
{
    struct fixture *f = *state;
    struct stat about;
    char first[128];
    add_lines(f, 2, 1); /* a file each */
    name_of(f, 1, first);
    assert_int_equal(stat(first, &about), 0);
    assert_int_equal(truncate(first, about.st_size - 5), 0);
    assert_flaw(f, 1, 1, "no line that a trail writes");
}

static void
a_file_that_is_missing_or_of_another_trail_is_found(void **state)
{
    struct fixture *f = *state;
    char second[128];
    add_lines(f, 4, 1);
    struct buffer other = content(f, 1);
    name_of(f, 2, second);
    unlink(second);
    assert_flaw(f, 1, 1, "does not follow");
    replace(f, 2, buffer_text(&other));
    assert_flaw(f, 2, 1, "does not follow");
    buffer_clear(&other);
}

static void
an_empty_trail_is_good_and_none_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct audit_verdict verdict;
    struct error error = ERROR_INIT;
    assert_int_equal(audit_verify(f->path, &verdict, &error), STATUS_NOT_FOUND);
    reopen(f, 0);
    assert_good(f, 1, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(lines_are_appended_across_restarts_to_a_private_file),
        TEST(half_a_line_that_a_crash_left_is_taken_back),
        TEST(a_second_writer_is_refused),
        TEST(a_full_file_becomes_the_first_of_the_numbered_ones),
        TEST(the_chain_goes_on_after_a_rotation_without_a_first_line),
        TEST(when_the_oldest_file_goes_a_line_vouches_for_it),
        TEST(a_line_that_does_not_fit_the_disk_is_taken_back_whole),
        TEST(what_is_no_plain_file_is_refused),
        TEST(a_file_of_others_is_gone_on_with_and_said_to_be_damaged),
        TEST(an_endless_line_is_ended_and_not_taken_back),
        TEST(what_a_stranger_does_while_it_is_written_is_found),
        TEST(a_file_that_was_moved_away_is_made_anew_and_missed),
        TEST(an_altered_byte_is_found),
        TEST(a_line_that_is_removed_moved_or_doubled_is_found),
        TEST(half_a_line_within_the_trail_is_found),
        TEST(a_file_that_is_missing_or_of_another_trail_is_found),
        TEST(an_empty_trail_is_good_and_none_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
