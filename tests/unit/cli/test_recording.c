/* SPDX-License-Identifier: Apache-2.0 */
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

#include "cli/recording.h"
#include "platform/file.h"

struct fixture {
    char folder[64];
    char path[96];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/sos-recording-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/tap.jsonl", f->folder);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

/* A record with this payload; the caller clears it. */
static struct buffer
record_with(struct bytes payload)
{
    struct buffer record;
    buffer_init(&record);
    pack_map(&record, payload.size ? 2 : 1);
    pack_pair_string(&record, "kind", "request");
    if (payload.size)
        pack_pair_raw(&record, "payload", payload);
    return record;
}

/* Writes it and reads it back. */
static void
assert_comes_back(const struct fixture *f, struct bytes payload)
{
    struct recorder *recorder = NULL;
    struct recording *recording = NULL;
    struct recorded recorded;
    bool payloads = false;
    bool end = false;
    struct buffer record = record_with(payload);
    assert_int_equal(recorder_open(&recorder, f->path, true,
                                   (struct bytes){(const uint8_t *)"\x80", 1}, 1767225600000000,
                                   NULL),
                     STATUS_OK);
    assert_int_equal(recorder_add(recorder, buffer_bytes(&record), NULL), STATUS_OK);
    assert_int_equal(recorder_dropped(recorder, 7, NULL), STATUS_OK);
    assert_int_equal(recorder_close(&recorder, NULL), STATUS_OK);

    assert_int_equal(recording_open(&recording, f->path, &payloads, NULL), STATUS_OK);
    assert_true(payloads);
    assert_int_equal(recording_next(recording, &recorded, &end, NULL), STATUS_OK);
    assert_int_equal(recorded.type, RECORDED_RECORD);
    assert_int_equal(recorded.payload.size, payload.size);
    assert_memory_equal(recorded.payload.data, payload.data, payload.size);
    struct text kind;
    assert_true(value_find_text(&recorded.value, "kind", &kind));
    assert_true(text_equal_string(kind, "request"));
    assert_int_equal(recording_next(recording, &recorded, &end, NULL), STATUS_OK);
    assert_int_equal(recorded.type, RECORDED_DROPPED);
    assert_int_equal(recorded.dropped, 7);
    assert_int_equal(recording_next(recording, &recorded, &end, NULL), STATUS_OK);
    assert_true(end);
    recording_close(&recording);
    buffer_clear(&record);
    unlink(f->path);
}

static void
payloads_come_back_to_the_byte_whatever_they_are(void **state)
{
    struct fixture *f = *state;
    struct buffer deep;
    buffer_init(&deep);
    for (int i = 0; i < PACK_DEPTH_MAX - 4; i++)
        pack_array(&deep, 1);
    pack_nil(&deep);
    static const struct bytes payloads[] = {
        {(const uint8_t *)"\x81\xa1x\x01", 4},
        {(const uint8_t *)"\xc0", 1},
        {(const uint8_t *)"\xc4\x03\x00\xff\x01", 5},   /* bin */
        {(const uint8_t *)"\xd9\x01x", 3},              /* a text packed the long way */
        {(const uint8_t *)"\x81\x01\x02", 3},           /* a key that is no text */
        {(const uint8_t *)"\x82\xa1x\x01\xa1x\x02", 7}, /* a key twice */
        {(const uint8_t *)"\xca\x3f\x80\x00\x00", 5},   /* a short float */
        {(const uint8_t *)"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", 9}, /* infinity */
        {(const uint8_t *)"\xa2\xff\xfe", 3},                         /* no UTF-8 */
    };
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        assert_comes_back(f, payloads[i]);
    assert_comes_back(f, buffer_bytes(&deep));
    assert_comes_back(f, (struct bytes){(const uint8_t *)"", 0});
    buffer_clear(&deep);
}

static void
a_recording_is_private_and_never_written_over(void **state)
{
    struct fixture *f = *state;
    struct recorder *recorder = NULL;
    struct recorder *second = NULL;
    struct error error = ERROR_INIT;
    struct stat about;
    const struct bytes none = {(const uint8_t *)"\x80", 1};
    assert_int_equal(recorder_open(&recorder, f->path, false, none, 0, NULL), STATUS_OK);
    assert_int_equal(stat(f->path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(recorder_open(&second, f->path, false, none, 0, &error),
                     STATUS_ALREADY_EXISTS);
    assert_non_null(strstr(error.message, f->path));
    recorder_close(&recorder, NULL);
}

/* A file size limit stands for a full disk. */
static void
what_cannot_be_written_is_an_error_that_stays(void **state)
{
    struct fixture *f = *state;
    struct recorder *recorder = NULL;
    struct error error = ERROR_INIT;
    struct rlimit before, none;
    const struct bytes map = {(const uint8_t *)"\x80", 1};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(recorder_open(&recorder, f->path, false, map, 0, NULL), STATUS_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(recorder_add(recorder, map, NULL), STATUS_OK); /* gathered */
    enum status flushed = recorder_flush(recorder, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(flushed, STATUS_INTERNAL);
    assert_non_null(strstr(error.message, f->path));
    assert_int_equal(recorder_add(recorder, map, NULL), STATUS_INTERNAL);
    assert_int_equal(recorder_close(&recorder, NULL), STATUS_INTERNAL);
}

static void
write_file(const struct fixture *f, const char *content)
{
    assert_int_equal(
        file_save(f->path, (struct bytes){(const uint8_t *)content, strlen(content)}, 0600, NULL),
        STATUS_OK);
}

static void
what_is_no_recording_is_refused_with_its_line(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *content, *why;
    } rows[] = {
        {"", "not a recording"},        {"{\"at_us\":1}\n", "not a recording"},
        {"[]\n", "expected an object"}, {"{\"sos_recording\":2}\n", "form 2"},
        {"garbage\n", "line 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recording *recording = NULL;
        struct error error = ERROR_INIT;
        bool payloads;
        write_file(f, rows[i].content);
        assert_true(recording_open(&recording, f->path, &payloads, &error) != STATUS_OK);
        assert_null(recording);
        if (!strstr(error.message, rows[i].why))
            fail_msg("%s: %s", rows[i].content, error.message);
    }
}

static void
a_bad_line_is_named_and_a_last_one_without_an_end_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct recording *recording = NULL;
    struct recorded recorded;
    struct error error = ERROR_INIT;
    bool payloads, end;
    write_file(f, "{\"sos_recording\":1,\"payloads\":true}\n{\"packed\":\"!\"}\n");
    assert_int_equal(recording_open(&recording, f->path, &payloads, &error), STATUS_OK);
    assert_int_equal(recording_next(recording, &recorded, &end, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "line 2: packed"));
    recording_close(&recording);

    write_file(f, "{\"sos_recording\":1,\"payloads\":true}\n{\"at_us\":1}\n\n{\"at_us\":2");
    assert_int_equal(recording_open(&recording, f->path, &payloads, &error), STATUS_OK);
    assert_int_equal(recording_next(recording, &recorded, &end, &error), STATUS_OK);
    assert_false(end);
    assert_int_equal(recording_next(recording, &recorded, &end, &error), STATUS_OK);
    assert_true(end);
    recording_close(&recording);
}

static void
a_line_without_an_end_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct recording *recording = NULL;
    struct error error = ERROR_INIT;
    bool payloads;
    char *line = malloc(RECORDING_LINE_MAX + 2);
    memset(line, ' ', RECORDING_LINE_MAX + 1);
    line[RECORDING_LINE_MAX + 1] = '\0';
    write_file(f, line);
    free(line);
    assert_int_equal(recording_open(&recording, f->path, &payloads, &error), STATUS_TOO_LARGE);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(payloads_come_back_to_the_byte_whatever_they_are),
        TEST(a_recording_is_private_and_never_written_over),
        TEST(what_cannot_be_written_is_an_error_that_stays),
        TEST(what_is_no_recording_is_refused_with_its_line),
        TEST(a_bad_line_is_named_and_a_last_one_without_an_end_is_left_out),
        TEST(a_line_without_an_end_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
