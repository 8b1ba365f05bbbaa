/* SPDX-License-Identifier: Apache-2.0 */
/* The audit entries of a service: which there are, that they commit with what they tell of, and
 * that a crash neither loses nor doubles one. */
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

#include "actors/runtime/audit.h"
#include "fixture.h"
#include "platform/file.h"

static const uint64_t DISK = 1ull << 30;

/* A home with a trail. */
struct home {
    char folder[64];
    char data[80];
    char audit[96];
    char file[128];
};

static struct home home;

static int
setup_trail(void **state)
{
    runtime_setup(state);
    struct service_fixture *f = *state;
    snprintf(home.folder, sizeof home.folder, "/tmp/sos-trail-XXXXXX");
    assert_non_null(mkdtemp(home.folder));
    snprintf(home.data, sizeof home.data, "%s/data", home.folder);
    snprintf(home.audit, sizeof home.audit, "%.79s/audit", home.data);
    snprintf(home.file, sizeof home.file, "%s/notes.jsonl", home.audit);
    assert_int_equal(mkdir(home.data, 0700), 0);
    assert_int_equal(mkdir(home.audit, 0700), 0);
    f->trail = audit_trail_new(home.folder, "notes", &f->clock, &f->logger);
    f->options.has_trail = true;
    service_reopen(f);
    return 0;
}

static int
teardown_trail(void **state)
{
    struct service_fixture *f = *state;
    if (f->commit)
        service_commit(f);
    audit_trail_destroy(&f->trail);
    int left = runtime_teardown(state);
    unlink(home.file);
    rmdir(home.audit);
    rmdir(home.data);
    assert_int_equal(rmdir(home.folder), 0);
    return left;
}

/* As if the process had died: what is in memory is gone, and so is the hold on the file. */
static void
crash(struct service_fixture *f)
{
    audit_trail_destroy(&f->trail);
    f->trail = audit_trail_new(home.folder, "notes", &f->clock, &f->logger);
    service_reopen(f);
}

static void
commit_without_appending(struct service_fixture *f)
{
    struct error error = ERROR_INIT;
    assert_non_null(f->commit);
    assert_int_equal(store_commit(f->store, f->commit, &error), STATUS_OK);
    f->commit = NULL;
    dispatch_audited(f->dispatch, &(struct audit_report){.is_open = true});
    dispatch_committed(f->dispatch, STATUS_OK, &error);
}

struct rows {
    size_t count;
    char text[8192]; /* members of all entries, a line each */
};

static enum status
add_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    (void)error;
    struct rows *rows = context;
    uint64_t number;
    if (!audit_key_read(key, &number))
        return STATUS_OK;
    rows->count++;
    size_t size = strlen(rows->text);
    snprintf(rows->text + size, sizeof rows->text - size, "%.*s\n", (int)value.size,
             (const char *)value.data);
    return STATUS_OK;
}

static struct rows
rows_of(struct service_fixture *f)
{
    struct rows rows = {0};
    assert_int_equal(
        store_scan(f->store, STORE_SPACE_AUDIT, (struct bytes){0}, false, add_row, &rows, NULL),
        STATUS_OK);
    return rows;
}

static const char *
file_text(void)
{
    static char text[65536];
    struct buffer content;
    buffer_init(&content);
    text[0] = '\0';
    if (file_load(home.file, sizeof text - 1, true, &content, NULL) == STATUS_OK)
        snprintf(text, sizeof text, "%.*s", (int)content.size, (const char *)content.data);
    buffer_clear(&content);
    return text;
}

static size_t
count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

/* How many lines, each of which must follow the one before. */
static size_t
chained_lines(void)
{
    size_t count = 0;
    struct audit_line line = {0};
    const char *at = file_text();
    for (const char *end; (end = strchr(at, '\n')) != NULL; at = end + 1, count++) {
        struct audit_link former = line.link;
        assert_int_equal(audit_check((struct text){at, (size_t)(end - at)}, &former, &line),
                         AUDIT_LINE_GOOD);
    }
    assert_int_equal(*at, '\0');
    return count;
}

static struct uuid
record(struct service_fixture *f, const char *name, const char *how)
{
    struct uuid id = runtime_send(f, NULL, "notes_record", "name", name, "how", how, "agent_id",
                                  "agent:kasra", NULL);
    service_run(f);
    return id;
}

/* ---- which entries there are */

static void
an_audited_operation_leaves_an_entry_beside_its_own(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = record(f, "a", "");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    struct rows rows = rows_of(f);
    assert_int_equal(rows.count, 3);
    assert_contains(rows.text, "\"event\":\"note.written\",\"actor\":\"user:ana\"");
    assert_contains(rows.text, "\"event\":\"note.doubted\",\"actor\":\"agent:critic\"");
    assert_contains(rows.text,
                    "\"event\":\"notes_record\",\"actor\":\"user:ana\",\"subject\":\"agent:kasra\","
                    "\"action\":\"memory:write\",\"resource\":\"notes:agent:kasra/a\"");
    assert_contains(rows.text, "\"outcome\":\"ok\",\"detail\":null");
}

static void
an_entry_names_whom_a_request_came_through(void **state)
{
    struct service_fixture *f = *state;
    const struct sending sending = {.source = "service:gateway", .principal = "user:ana"};
    runtime_send(f, &sending, "notes_peek", "name", "a", NULL);
    service_run(f);
    struct rows rows = rows_of(f);
    assert_contains(rows.text, "\"actor\":\"user:ana\"");
    assert_contains(rows.text, "\"detail\":\"through service:gateway\"");
}

static void
a_refused_step_writes_nothing_but_its_entries(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = record(f, "a", "spoil");
    assert_int_equal(service_status(f, &id), STATUS_FORBIDDEN);
    assert_false(runtime_stored(f, "a", ""));
    struct rows rows = rows_of(f);
    assert_int_equal(rows.count, 2);
    assert_lacks(rows.text, "note.written"); /* it was not */
    assert_contains(rows.text, "note.doubted");
    assert_contains(rows.text, "\"outcome\":\"refused: spoiled\"");
}

static void
what_rights_or_validation_refuse_leaves_an_entry_too(void **state)
{
    struct service_fixture *f = *state;
    struct uuid denied = runtime_send(f, NULL, "notes_purge", "name", "a", NULL);
    struct uuid invalid = runtime_send(f, NULL, "notes_record", "how", "", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &denied), STATUS_CAPABILITY_MISSING);
    assert_int_equal(service_status(f, &invalid), STATUS_VALIDATION);
    struct rows rows = rows_of(f);
    assert_int_equal(rows.count, 2);
    assert_contains(rows.text, "\"event\":\"notes_purge\",\"actor\":\"user:ana\"");
    assert_contains(rows.text, "\"outcome\":\"refused: missing_capability\"");
    assert_contains(rows.text, "\"outcome\":\"refused: validation_error\"");
    assert_int_equal(notes_of(f)->handler_runs, 0);
}

static void
a_refusal_leaves_only_after_its_entry_is_stored(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    struct uuid id = runtime_send(f, NULL, "notes_purge", "name", "a", NULL);
    service_run(f);
    assert_false(service_has_reply(f, &id));
    service_commit(f);
    assert_int_equal(service_status(f, &id), STATUS_CAPABILITY_MISSING);
}

static void
an_operation_that_waits_gets_its_one_entry_at_the_end(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = record(f, "a", "await");
    assert_int_equal(rows_of(f).count, 0);
    service_answer(f, service_call(f, "memory_query"), STATUS_OK, "{}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(rows_of(f).count, 1);
}

static void
a_request_that_times_out_or_is_cancelled_leaves_an_entry(void **state)
{
    struct service_fixture *f = *state;
    const struct sending brief = {.ttl_ms = 100};
    runtime_send(f, &brief, "notes_record", "name", "a", "how", "await", NULL);
    service_run(f);
    service_pass(f, 200);
    struct uuid id = record(f, "b", "await");
    runtime_cancel(f, &id);
    service_run(f);
    struct rows rows = rows_of(f);
    assert_int_equal(rows.count, 2);
    assert_contains(rows.text, "\"outcome\":\"refused: timeout\"");
    assert_contains(rows.text, "\"outcome\":\"refused: cancelled\"");
}

static void
a_lost_session_ends_requests_with_an_entry(void **state)
{
    struct service_fixture *f = *state;
    record(f, "a", "await");
    dispatch_session_lost(f->dispatch);
    service_run(f);
    struct rows rows = rows_of(f);
    assert_int_equal(rows.count, 1);
    assert_contains(rows.text, "\"outcome\":\"refused: cancelled\"");
}

static void
other_operations_leave_none(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);
    runtime_send(f, NULL, "notes_spoil", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(rows_of(f).count, 0);
}

/* ---- the store */

static void
without_room_for_the_entry_even_a_read_is_refused(void **state)
{
    struct service_fixture *f = *state;
    store_set_reserve(f->store, 64 << 20);
    store_pretend_room(f->store, 1 << 20, DISK);
    struct uuid id = runtime_send(f, NULL, "notes_peek", "name", "a", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);

    store_pretend_room(f->store, DISK / 2, DISK);
    id = runtime_send(f, NULL, "notes_peek", "name", "a", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
}

static void
a_failed_commit_keeps_neither_the_write_nor_its_entry(void **state)
{
    struct service_fixture *f = *state;
    store_fault_after(f->store, 0);
    struct uuid id = record(f, "a", "");
    assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
    assert_int_equal(rows_of(f).count, 0);
    service_pass(f, 1100);
    id = record(f, "b", "");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    struct rows rows = rows_of(f);
    /* That the first one was refused is told with the next batch. */
    assert_int_equal(count_of(rows.text, "\"outcome\":\"refused: internal_error\""), 1);
    assert_int_equal(count_of(rows.text, "note.written"), 1);
}

/* ---- the file */

static void
entries_are_in_the_file_before_the_answer_leaves(void **state)
{
    struct service_fixture *f = *state;
    record(f, "a", "");
    record(f, "b", "spoil");
    assert_int_equal(chained_lines(), 5);
    assert_int_equal(count_of(file_text(), "\"event\":\"notes_record\""), 2);
    assert_contains(file_text(), "{\"seq\":1,");
    assert_contains(file_text(), "{\"seq\":5,");
}

static void
rows_that_were_appended_go_with_a_later_commit(void **state)
{
    struct service_fixture *f = *state;
    record(f, "a", "");
    assert_int_equal(rows_of(f).count, 3);
    runtime_send(f, NULL, "notes_put", "name", "b", "text", "x", NULL);
    service_run(f);
    assert_int_equal(rows_of(f).count, 0);
    record(f, "c", "");
    assert_int_equal(chained_lines(), 6);
}

static void
a_crash_before_the_append_loses_no_entry(void **state)
{
    struct service_fixture *f = *state;
    record(f, "a", "");
    f->hold_commits = true;
    record(f, "b", "");
    commit_without_appending(f);
    f->hold_commits = false;
    assert_int_equal(chained_lines(), 3);
    crash(f);
    service_run(f);
    assert_int_equal(chained_lines(), 6);
    assert_int_equal(count_of(file_text(), "notes:agent:kasra/b"), 1);
}

static void
a_crash_after_the_append_doubles_no_entry(void **state)
{
    struct service_fixture *f = *state;
    record(f, "a", "");
    assert_int_equal(rows_of(f).count, 3);
    crash(f);
    service_run(f);
    assert_int_equal(chained_lines(), 3);
    record(f, "b", "");
    assert_int_equal(chained_lines(), 6);
    assert_int_equal(rows_of(f).count, 3); /* those of b */
    crash(f);
    record(f, "c", "");
    assert_int_equal(chained_lines(), 9);
}

static void
numbers_go_on_when_all_rows_are_gone(void **state)
{
    struct service_fixture *f = *state;
    record(f, "a", "");
    runtime_send(f, NULL, "notes_put", "name", "b", "text", "x", NULL);
    service_run(f);
    crash(f);
    record(f, "c", "");
    assert_int_equal(chained_lines(), 6);
    assert_contains(file_text(), "{\"seq\":6,");
}

static void
an_unfinished_line_of_a_crash_is_appended_again_whole(void **state)
{
    struct service_fixture *f = *state;
    struct stat about;
    record(f, "a", "");
    assert_int_equal(stat(home.file, &about), 0);
    assert_int_equal(truncate(home.file, about.st_size - 10), 0);
    crash(f);
    service_run(f);
    assert_int_equal(chained_lines(), 4);
    assert_contains(file_text(), "audit.recovered");
    assert_int_equal(count_of(file_text(), "\"event\":\"notes_record\""), 1);
}

static void
a_folder_that_cannot_be_written_refuses_what_is_audited_and_nothing_else(void **state)
{
    struct service_fixture *f = *state;
    char word[64];
    unlink(home.file);
    assert_int_equal(rmdir(home.audit), 0);
    crash(f);
    struct uuid id = record(f, "a", "");
    assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
    assert_string_equal(runtime_word_of(f, &id, word), "not_audited");
    assert_int_equal(notes_of(f)->handler_runs, 0);
    struct uuid other = runtime_send(f, NULL, "notes_put", "name", "b", "text", "x", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &other), STATUS_OK);
    struct uuid health = runtime_send(f, NULL, "health_check", NULL);
    assert_true(text_equal_string(runtime_text_of(f, &health, "status"), "degraded"));

    assert_int_equal(mkdir(home.audit, 0700), 0);
    service_pass(f, 1100);
    id = record(f, "c", "");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(chained_lines(), 3);
}

/* The file's place is taken while the service runs. */
static void
an_append_that_fails_is_made_up_for(void **state)
{
    struct service_fixture *f = *state;
    char word[64];
    record(f, "a", "");
    unlink(home.file);
    assert_int_equal(mkdir(home.file, 0700), 0);
    struct uuid done = record(f, "b", "");
    assert_int_equal(service_status(f, &done), STATUS_OK); /* its entries are in the store */
    struct uuid refused = record(f, "c", "");
    assert_int_equal(service_status(f, &refused), STATUS_STORE_FAILED);
    assert_string_equal(runtime_word_of(f, &refused, word), "not_audited");

    rmdir(home.file);
    service_pass(f, 1100);
    assert_int_equal(count_of(file_text(), "notes:agent:kasra/b"), 1);
    assert_int_equal(count_of(file_text(), "audit.damaged"), 1);
    struct uuid good = record(f, "d", "");
    assert_int_equal(service_status(f, &good), STATUS_OK);
}

static void
a_backlog_that_is_full_is_said_in_words(void **state)
{
    struct service_fixture *f = *state;
    char word[64];
    struct uuid id = {{0}};
    unlink(home.file);
    rmdir(home.audit);
    crash(f);
    /* What is not audited by its flag goes on recording entries until the bound. */
    for (int i = 0; i < 5; i++) {
        id = runtime_send(f, NULL, "notes_put", "name", "a", "count", "1000", NULL);
        service_run(f);
        assert_int_equal(service_status(f, &id), i < 4 ? STATUS_OK : STATUS_STORE_FAILED);
    }
    assert_string_equal(runtime_word_of(f, &id, word), "not_audited");
    assert_int_equal(rows_of(f).count, 4000);
    assert_int_equal(mkdir(home.audit, 0700), 0);
    service_pass(f, 1100);
    id = runtime_send(f, NULL, "notes_put", "name", "a", "count", "1000", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
}

static void
lines_that_the_store_knows_of_are_missed(void **state)
{
    struct service_fixture *f = *state;
    record(f, "a", "");
    runtime_send(f, NULL, "notes_put", "name", "b", "text", "x", NULL);
    service_run(f); /* the rows are gone, and that they were appended is noted */
    struct stat about;
    assert_int_equal(stat(home.file, &about), 0);
    const char *end = strchr(file_text(), '\n');
    assert_int_equal(truncate(home.file, end + 1 - file_text()), 0);
    crash(f);
    service_run(f);
    assert_int_equal(count_of(file_text(), "audit.damaged"), 1);
    assert_contains(file_text(), "the last one is 1, and 3 was written");
    record(f, "c", "");
    assert_int_equal(count_of(file_text(), "notes:agent:kasra/c"), 1);
    assert_contains(file_text(), "{\"seq\":6,"); /* no number is given twice */
}

/* As after a restore from a backup. */
static void
a_store_that_is_older_than_the_file_loses_no_entry(void **state)
{
    struct service_fixture *f = *state;
    record(f, "a", "");
    struct store_batch *batch = store_batch_new();
    for (uint64_t number = 1; number <= 3; number++) {
        struct audit_key key = audit_key_of(number);
        store_batch_add(batch, STORE_DELETE, STORE_SPACE_AUDIT,
                        (struct bytes){key.bytes, sizeof key.bytes}, (struct bytes){0});
    }
    assert_int_equal(store_commit(f->store, batch, NULL), STATUS_OK);
    store_batch_destroy(&batch);
    crash(f);
    record(f, "b", "");
    assert_int_equal(chained_lines(), 6);
    assert_int_equal(count_of(file_text(), "notes:agent:kasra/b"), 1);
}

/* ---- without a store */

static int
setup_storeless(void **state)
{
    static struct service service;
    setup_trail(state);
    struct service_fixture *f = *state;
    service = notes_service;
    service.has_store = false;
    f->options.service = &service;
    f->options.store = NULL;
    service_reopen(f);
    return 0;
}

static void
a_service_without_a_store_appends_before_it_answers(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    struct uuid id = record(f, "a", "plain");
    while (f->commit && !service_has_reply(f, &id)) {
        assert_int_equal(count_of(file_text(), "notes_record"), 0);
        service_commit(f);
        dispatch_run(f->dispatch);
    }
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(chained_lines(), 3);
    f->hold_commits = false;
    record(f, "b", "plain");
    assert_int_equal(chained_lines(), 6);
}

static void
without_a_store_only_what_cannot_be_audited_is_refused(void **state)
{
    struct service_fixture *f = *state;
    service_run(f);
    runtime_state(f)->rows_applied = 77; /* a state that is made anew does not know it */
    unlink(home.file);
    assert_int_equal(mkdir(home.file, 0700), 0);
    f->hold_commits = true;
    struct uuid id = record(f, "a", "plain");
    struct uuid other = runtime_send(f, NULL, "notes_stream", "name", "a", NULL);
    f->hold_commits = false;
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
    assert_int_equal(service_status(f, &other), STATUS_OK);
    assert_int_equal(runtime_state(f)->rows_applied, 77);
    rmdir(home.file);
    id = record(f, "b", "plain");
    assert_int_equal(service_status(f, &id), STATUS_OK);
}

/* A file size limit stands for a full disk: the first of three lines fits. */
static void
without_a_store_no_line_of_what_was_refused_stays(void **state)
{
    struct service_fixture *f = *state;
    struct rlimit before, small;
    struct stat about;
    signal(SIGXFSZ, SIG_IGN);
    record(f, "a", "plain");
    assert_int_equal(stat(home.file, &about), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = (rlim_t)about.st_size * 3 / 2, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct uuid id = record(f, "b", "plain");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
    assert_int_equal(chained_lines(), 3);
    id = record(f, "c", "plain");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(count_of(file_text(), "\"outcome\":\"ok\""), 4);
    assert_true(chained_lines() >= 6);
}

static void
a_second_instance_writes_a_file_of_its_own(void **state)
{
    struct service_fixture *f = *state;
    char second[128];
    service_run(f);
    struct audit_trail *trail = audit_trail_new(home.folder, "notes", &f->clock, &f->logger);
    struct store_batch *empty = store_batch_new();
    struct audit_report report;
    audit_trail_write(trail, NULL, empty, &report);
    assert_int_equal(report.status, STATUS_OK);
    store_batch_destroy(&empty);
    audit_trail_destroy(&trail);
    snprintf(second, sizeof second, "%s/notes-2.jsonl", home.audit);
    assert_int_equal(unlink(second), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, runtime_setup, runtime_teardown)
#define TRAIL_TEST(name) cmocka_unit_test_setup_teardown(name, setup_trail, teardown_trail)
#define STORELESS_TEST(name) cmocka_unit_test_setup_teardown(name, setup_storeless, teardown_trail)
    const struct CMUnitTest tests[] = {
        TEST(an_audited_operation_leaves_an_entry_beside_its_own),
        TEST(an_entry_names_whom_a_request_came_through),
        TEST(a_refused_step_writes_nothing_but_its_entries),
        TEST(what_rights_or_validation_refuse_leaves_an_entry_too),
        TEST(a_refusal_leaves_only_after_its_entry_is_stored),
        TEST(an_operation_that_waits_gets_its_one_entry_at_the_end),
        TEST(a_request_that_times_out_or_is_cancelled_leaves_an_entry),
        TEST(a_lost_session_ends_requests_with_an_entry),
        TEST(other_operations_leave_none),
        TEST(without_room_for_the_entry_even_a_read_is_refused),
        TEST(a_failed_commit_keeps_neither_the_write_nor_its_entry),
        TRAIL_TEST(entries_are_in_the_file_before_the_answer_leaves),
        TRAIL_TEST(rows_that_were_appended_go_with_a_later_commit),
        TRAIL_TEST(a_crash_before_the_append_loses_no_entry),
        TRAIL_TEST(a_crash_after_the_append_doubles_no_entry),
        TRAIL_TEST(numbers_go_on_when_all_rows_are_gone),
        TRAIL_TEST(an_unfinished_line_of_a_crash_is_appended_again_whole),
        TRAIL_TEST(a_folder_that_cannot_be_written_refuses_what_is_audited_and_nothing_else),
        TRAIL_TEST(an_append_that_fails_is_made_up_for),
        TRAIL_TEST(a_backlog_that_is_full_is_said_in_words),
        TRAIL_TEST(lines_that_the_store_knows_of_are_missed),
        TRAIL_TEST(a_store_that_is_older_than_the_file_loses_no_entry),
        STORELESS_TEST(a_service_without_a_store_appends_before_it_answers),
        STORELESS_TEST(without_a_store_only_what_cannot_be_audited_is_refused),
        STORELESS_TEST(without_a_store_no_line_of_what_was_refused_stays),
        STORELESS_TEST(a_second_instance_writes_a_file_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
