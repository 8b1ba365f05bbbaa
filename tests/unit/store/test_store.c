/* SPDX-License-Identifier: Apache-2.0 */
/* What every driver must do, run over each of them. */
#include "fixture_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct driver_fixture {
    struct fixture *base;
    struct store *store;
};

static int
setup(void **state, bool on_disk)
{
    struct driver_fixture *fixture = calloc(1, sizeof *fixture);
    void *base = NULL;
    if (fixture_setup(&base) != 0)
        return -1;
    fixture->base = base;
    if (on_disk)
        fixture->store = fixture_open(fixture->base, fixture->base->folder);
    else if (store_open_memory(&fixture->store, FIXTURE_SCHEMA) != STATUS_OK)
        return -1;
    *state = fixture;
    return 0;
}

static int
setup_rocksdb(void **state)
{
    return setup(state, true);
}

static int
setup_memory(void **state)
{
    return setup(state, false);
}

static int
teardown(void **state)
{
    struct driver_fixture *fixture = *state;
    void *base = fixture->base;
    store_close(&fixture->store);
    assert_null(fixture->store);
    store_close(&fixture->store);
    free(fixture);
    return fixture_teardown(&base);
}

static struct store *
store_of(void **state)
{
    return ((struct driver_fixture *)*state)->store;
}

/* ---- batches in one line each: {STORE_PUT, "key", "value"} */

struct line {
    enum store_write_type type;
    const char *key;
    const char *value;
};

static enum status
commit_lines(struct store *store, const struct line *lines, size_t count, struct error *error)
{
    struct store_batch *batch = store_batch_new();
    for (size_t i = 0; i < count; i++)
        assert_int_equal(store_batch_add(batch, lines[i].type, FIXTURE_SPACE,
                                         bytes_of(lines[i].key),
                                         bytes_of(lines[i].value ? lines[i].value : "")),
                         STATUS_OK);
    enum status status = store_commit(store, batch, error);
    store_batch_destroy(&batch);
    return status;
}

#define COMMIT(store, error, ...)                                                                  \
    commit_lines(store, (const struct line[]){__VA_ARGS__},                                        \
                 sizeof((const struct line[]){__VA_ARGS__}) / sizeof(struct line), error)

struct seen {
    char text[512];
    int stop_after; /* rows; then CANCELLED */
};

static enum status
see_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%.*s=%.*s ", (int)key.size,
             (const char *)key.data, (int)value.size, (const char *)value.data);
    if (seen->stop_after > 0 && --seen->stop_after == 0) {
        error_set(error, "enough");
        return STATUS_CANCELLED;
    }
    return STATUS_OK;
}

static void
scan_shows(struct store *store, const char *prefix, bool reverse, const char *expected)
{
    struct seen seen = {{0}, 0};
    assert_int_equal(
        store_scan(store, FIXTURE_SPACE, bytes_of(prefix), reverse, see_row, &seen, NULL),
        STATUS_OK);
    assert_string_equal(seen.text, expected);
}

/* ---- the tests */

static void
a_row_is_there_after_put_and_gone_after_delete(void **state)
{
    struct store *store = store_of(state);
    store_lacks(store, "a");
    store_put(store, "a", "1");
    store_has(store, "a", "1");
    store_put(store, "a", "22");
    store_has(store, "a", "22");

    assert_int_equal(COMMIT(store, NULL, {STORE_DELETE, "a", NULL}), STATUS_OK);
    store_lacks(store, "a");
    assert_int_equal(COMMIT(store, NULL, {STORE_DELETE, "a", NULL}), STATUS_OK);
}

static void
get_appends_to_what_the_buffer_holds(void **state)
{
    struct store *store = store_of(state);
    store_put(store, "a", "tail");
    struct buffer out;
    buffer_init(&out);
    buffer_append_string(&out, "head ");

    assert_int_equal(store_get(store, FIXTURE_SPACE, bytes_of("a"), &out, NULL), STATUS_OK);
    assert_true(text_equal_string(buffer_text(&out), "head tail"));
    buffer_clear(&out);
}

static void
empty_keys_empty_values_and_zero_bytes_are_kept(void **state)
{
    struct store *store = store_of(state);
    static const uint8_t binary[] = {0, 0xff, 0, 'x'};
    store_put(store, "", "at the empty key");
    store_put(store, "empty", "");
    struct bytes value = {binary, sizeof binary};
    assert_int_equal(store_put_status(store, "binary", value, NULL), STATUS_OK);

    store_has(store, "", "at the empty key");
    store_has(store, "empty", "");
    struct buffer out;
    buffer_init(&out);
    assert_int_equal(store_get(store, FIXTURE_SPACE, bytes_of("binary"), &out, NULL), STATUS_OK);
    assert_int_equal(out.size, sizeof binary);
    assert_memory_equal(out.data, binary, sizeof binary);
    buffer_clear(&out);
}

static void
long_keys_and_large_values_are_kept(void **state)
{
    struct store *store = store_of(state);
    uint8_t *key = malloc(STORE_KEY_MAX);
    uint8_t *value = malloc(1 << 20);
    memset(key, 'k', STORE_KEY_MAX);
    memset(value, 'v', 1 << 20);
    struct store_batch *batch = store_batch_new();
    struct bytes long_key = {key, STORE_KEY_MAX};
    assert_int_equal(
        store_batch_add(batch, STORE_PUT, FIXTURE_SPACE, long_key, (struct bytes){value, 1 << 20}),
        STATUS_OK);

    assert_int_equal(store_commit(store, batch, NULL), STATUS_OK);

    struct buffer out;
    buffer_init(&out);
    assert_int_equal(store_get(store, FIXTURE_SPACE, long_key, &out, NULL), STATUS_OK);
    assert_int_equal(out.size, 1 << 20);
    assert_memory_equal(out.data, value, 1 << 20);
    assert_true(store_size(store) >= 1 << 20);
    buffer_clear(&out);
    store_batch_destroy(&batch);
    free(key);
    free(value);
}

static void
scans_are_ordered_and_bounded_by_prefix(void **state)
{
    struct store *store = store_of(state);
    assert_int_equal(COMMIT(store, NULL, {STORE_PUT, "b", "3"}, {STORE_PUT, "a2", "2"},
                            {STORE_PUT, "a", "0"}, {STORE_PUT, "a1", "1"}, {STORE_PUT, "c", "4"}),
                     STATUS_OK);

    scan_shows(store, "", false, "a=0 a1=1 a2=2 b=3 c=4 ");
    scan_shows(store, "", true, "c=4 b=3 a2=2 a1=1 a=0 ");
    scan_shows(store, "a", false, "a=0 a1=1 a2=2 ");
    scan_shows(store, "a", true, "a2=2 a1=1 a=0 ");
    scan_shows(store, "a1", true, "a1=1 ");
    scan_shows(store, "x", false, "");
    scan_shows(store, "x", true, "");
}

static void
a_scan_begins_where_it_is_told(void **state)
{
    static const struct {
        const char *prefix;
        const char *from;
        const char *expected;
    } rows[] = {
        {"k", "", "k1=1 k2=2 k3=3 "},  {"k", "k2", "k2=2 k3=3 "}, {"k", "k11", "k2=2 k3=3 "},
        {"k", "a", "k1=1 k2=2 k3=3 "}, {"k", "k4", ""},           {"k", "z", ""},
        {"", "k3", "k3=3 l=4 "},       {"k3", "k1", "k3=3 "},
    };
    struct store *store = store_of(state);
    assert_int_equal(COMMIT(store, NULL, {STORE_PUT, "k1", "1"}, {STORE_PUT, "k3", "3"},
                            {STORE_PUT, "k2", "2"}, {STORE_PUT, "l", "4"}),
                     STATUS_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct seen seen = {{0}, 0};
        assert_int_equal(store_scan_from(store, FIXTURE_SPACE, bytes_of(rows[i].prefix),
                                         bytes_of(rows[i].from), see_row, &seen, NULL),
                         STATUS_OK);
        assert_string_equal(seen.text, rows[i].expected);
    }
    struct seen seen = {{0}, 1};
    assert_int_equal(
        store_scan_from(store, FIXTURE_SPACE, bytes_of("k"), bytes_of("k2"), see_row, &seen, NULL),
        STATUS_CANCELLED);
    assert_string_equal(seen.text, "k2=2 ");
}

static void
the_head_of_a_value_comes_with_its_whole_size(void **state)
{
    struct store *store = store_of(state);
    struct buffer out;
    size_t size = 99;
    buffer_init(&out);
    buffer_append_string(&out, ">");
    store_put(store, "a", "12345");
    assert_int_equal(store_get_head(store, FIXTURE_SPACE, bytes_of("b"), 3, &out, &size, NULL),
                     STATUS_NOT_FOUND);
    assert_int_equal(size, 99);
    assert_int_equal(store_get_head(store, FIXTURE_SPACE, bytes_of("a"), 3, &out, &size, NULL),
                     STATUS_OK);
    assert_int_equal(size, 5);
    assert_int_equal(store_get_head(store, FIXTURE_SPACE, bytes_of("a"), 5, &out, &size, NULL),
                     STATUS_OK);
    assert_int_equal(store_get_head(store, FIXTURE_SPACE, bytes_of("a"), 0, &out, &size, NULL),
                     STATUS_OK);
    assert_int_equal(size, 5);
    assert_true(text_equal_string(buffer_text(&out), ">12312345"));
    buffer_clear(&out);
}

static void
scans_see_one_space_only(void **state)
{
    struct store *store = store_of(state);
    static const store_space spaces[] = {0x00, 0x0f, 0x10, 0x11, 0xfe, 0xff};
    struct store_batch *batch = store_batch_new();
    for (size_t i = 0; i < sizeof spaces; i++)
        assert_int_equal(
            store_batch_add(batch, STORE_PUT, spaces[i], bytes_of("\xff\xff"), bytes_of("v")),
            STATUS_OK);
    assert_int_equal(store_commit(store, batch, NULL), STATUS_OK);
    store_batch_destroy(&batch);

    for (size_t i = 0; i < sizeof spaces; i++) {
        for (int reverse = 0; reverse < 2; reverse++) {
            struct seen seen = {{0}, 0};
            assert_int_equal(
                store_scan(store, spaces[i], bytes_of("\xff"), reverse, see_row, &seen, NULL),
                STATUS_OK);
            assert_string_equal(seen.text, "\xff\xff=v ");
        }
    }
}

static void
a_scan_ends_with_what_the_row_function_returns(void **state)
{
    struct store *store = store_of(state);
    assert_int_equal(
        COMMIT(store, NULL, {STORE_PUT, "a", "1"}, {STORE_PUT, "b", "2"}, {STORE_PUT, "c", "3"}),
        STATUS_OK);
    struct seen seen = {{0}, 2};
    struct error error = ERROR_INIT;

    assert_int_equal(store_scan(store, FIXTURE_SPACE, bytes_of(""), false, see_row, &seen, &error),
                     STATUS_CANCELLED);
    assert_string_equal(seen.text, "a=1 b=2 ");
    assert_string_equal(error.message, "enough");
}

static enum status
read_within_scan(void *context, struct bytes key, struct bytes value, struct error *error)
{
    (void)key;
    (void)value;
    struct buffer out;
    buffer_init(&out);
    enum status status = store_get(context, FIXTURE_SPACE, bytes_of("a"), &out, error);
    buffer_clear(&out);
    return status;
}

static void
a_row_function_may_read_the_store(void **state)
{
    struct store *store = store_of(state);
    store_put(store, "a", "1");
    assert_int_equal(
        store_scan(store, FIXTURE_SPACE, bytes_of(""), false, read_within_scan, store, NULL),
        STATUS_OK);
}

static void
later_writes_of_a_batch_win(void **state)
{
    struct store *store = store_of(state);
    assert_int_equal(COMMIT(store, NULL, {STORE_PUT, "a", "1"}, {STORE_DELETE, "a", NULL},
                            {STORE_PUT, "a", "2"}, {STORE_PUT, "b", "1"},
                            {STORE_DELETE, "b", NULL}),
                     STATUS_OK);
    store_has(store, "a", "2");
    store_lacks(store, "b");
}

/* Expectations against a store that holds a=1: which hold, and what a batch that fails leaves. */
static void
expectations_decide_over_the_whole_batch(void **state)
{
    struct store *store = store_of(state);
    static const struct {
        struct line lines[3];
        enum status status;
    } cases[] = {
        {{{STORE_EXPECT_ABSENT, "b", NULL}}, STATUS_OK},
        {{{STORE_EXPECT_ABSENT, "a", NULL}}, STATUS_CONFLICT},
        {{{STORE_EXPECT_VALUE, "a", "1"}}, STATUS_OK},
        {{{STORE_EXPECT_VALUE, "a", "2"}}, STATUS_CONFLICT},
        {{{STORE_EXPECT_VALUE, "a", "12"}}, STATUS_CONFLICT},
        {{{STORE_EXPECT_VALUE, "a", ""}}, STATUS_CONFLICT},
        {{{STORE_EXPECT_VALUE, "b", ""}}, STATUS_CONFLICT},
        {{{STORE_EXPECT_VALUE, "b", "1"}}, STATUS_CONFLICT},
        /* earlier writes of the batch count */
        {{{STORE_DELETE, "a", NULL}, {STORE_EXPECT_ABSENT, "a", NULL}, {STORE_PUT, "a", "1"}},
         STATUS_OK},
        {{{STORE_PUT, "b", "2"}, {STORE_EXPECT_ABSENT, "b", NULL}}, STATUS_CONFLICT},
        {{{STORE_PUT, "a", "2"}, {STORE_EXPECT_VALUE, "a", "1"}}, STATUS_CONFLICT},
        {{{STORE_PUT, "a", "2"}, {STORE_EXPECT_VALUE, "a", "2"}, {STORE_PUT, "a", "1"}}, STATUS_OK},
        /* later ones do not */
        {{{STORE_EXPECT_VALUE, "a", "1"}, {STORE_DELETE, "a", NULL}, {STORE_PUT, "a", "1"}},
         STATUS_OK},
    };
    store_put(store, "a", "1");

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line lines[5] = {{STORE_PUT, "x", "written"}};
        size_t count = 1;
        for (size_t j = 0; j < 3 && cases[i].lines[j].key; j++)
            lines[count++] = cases[i].lines[j];
        lines[count++] = (struct line){STORE_PUT, "y", "written"};
        struct error error = ERROR_INIT;

        enum status status = commit_lines(store, lines, count, &error);

        if (status != cases[i].status)
            print_error("case %zu: %s\n", i, error.message);
        assert_int_equal(status, cases[i].status);
        if (status == STATUS_OK) {
            store_has(store, "x", "written");
            store_has(store, "y", "written");
        } else {
            assert_non_null(strstr(error.message, "space 0x10"));
            store_lacks(store, "x");
            store_lacks(store, "y");
        }
        store_has(store, "a", "1");
        store_lacks(store, "b");
        assert_int_equal(COMMIT(store, NULL, {STORE_DELETE, "x", NULL}, {STORE_DELETE, "y", NULL}),
                         STATUS_OK);
    }
}

static void
an_empty_batch_is_fine(void **state)
{
    struct store_batch *batch = store_batch_new();
    assert_int_equal(store_commit(store_of(state), batch, NULL), STATUS_OK);
    store_batch_destroy(&batch);
}

static void
the_meta_row_is_out_of_reach(void **state)
{
    struct store *store = store_of(state);
    static const enum store_write_type types[] = {STORE_PUT, STORE_DELETE};
    for (size_t i = 0; i < 2; i++) {
        struct store_batch *batch = store_batch_new();
        struct error error = ERROR_INIT;
        assert_int_equal(
            store_batch_add(batch, types[i], STORE_SPACE_RUNTIME, bytes_of("meta"), bytes_of("x")),
            STATUS_OK);
        assert_int_equal(store_commit(store, batch, &error), STATUS_INVALID);
        assert_non_null(strstr(error.message, "meta row"));
        store_batch_destroy(&batch);
    }
}

static void
a_new_store_has_an_id_and_epoch_one(void **state)
{
    struct uuid uuid = store_uuid(store_of(state));
    assert_false(uuid_is_nil(&uuid));
    assert_int_equal(store_epoch(store_of(state)), 1);
    assert_int_equal(store_verify(store_of(state), NULL), STATUS_OK);
}

enum { THREADS = 4, ROUNDS = 25 };

/* Each round reads the counter and writes it one higher, if it still is what was read. */
static void *
count_up(void *context)
{
    struct store *store = context;
    for (int done = 0; done < ROUNDS;) {
        struct buffer old;
        buffer_init(&old);
        if (store_get(store, FIXTURE_SPACE, bytes_of("n"), &old, NULL) != STATUS_OK)
            return "get";
        char text[16];
        snprintf(text, sizeof text, "%.*s", TEXT_ARGS(buffer_text(&old)));
        char next[16];
        snprintf(next, sizeof next, "%d", atoi(text) + 1);
        enum status status =
            COMMIT(store, NULL, {STORE_EXPECT_VALUE, "n", text}, {STORE_PUT, "n", next});
        buffer_clear(&old);
        if (status == STATUS_OK)
            done++;
        else if (status != STATUS_CONFLICT)
            return "commit";
    }
    return NULL;
}

static void
expectations_hold_between_threads(void **state)
{
    struct store *store = store_of(state);
    pthread_t threads[THREADS];
    store_put(store, "n", "0");

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, store), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failure;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }

    char expected[16];
    snprintf(expected, sizeof expected, "%d", THREADS * ROUNDS);
    store_has(store, "n", expected);
}

#define BOTH(test)                                                                                 \
    {"memory: " #test, test, setup_memory, teardown, NULL},                                        \
    {                                                                                              \
        "rocksdb: " #test, test, setup_rocksdb, teardown, NULL                                     \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_row_is_there_after_put_and_gone_after_delete),
        BOTH(get_appends_to_what_the_buffer_holds),
        BOTH(empty_keys_empty_values_and_zero_bytes_are_kept),
        BOTH(long_keys_and_large_values_are_kept),
        BOTH(scans_are_ordered_and_bounded_by_prefix),
        BOTH(a_scan_begins_where_it_is_told),
        BOTH(the_head_of_a_value_comes_with_its_whole_size),
        BOTH(scans_see_one_space_only),
        BOTH(a_scan_ends_with_what_the_row_function_returns),
        BOTH(a_row_function_may_read_the_store),
        BOTH(later_writes_of_a_batch_win),
        BOTH(expectations_decide_over_the_whole_batch),
        BOTH(an_empty_batch_is_fine),
        BOTH(the_meta_row_is_out_of_reach),
        BOTH(a_new_store_has_an_id_and_epoch_one),
        BOTH(expectations_hold_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
