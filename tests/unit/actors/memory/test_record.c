/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/record.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/pack.h"

static const uint8_t metadata[] = {0x81, 0xa1, 'k', 0xa1, 'v'};

static struct record
sample(void)
{
    return (struct record){.agent_id = text_of("agent:kasra"),
                           .content = text_of("My cat is called Pishi"),
                           .type = MEMORY_FACT,
                           .importance = 0.75,
                           .created_us = UINT64_C(1767225600000001),
                           .metadata = {metadata, sizeof metadata}};
}

static struct buffer
encoded(const struct record *record)
{
    struct buffer row;
    buffer_init(&row);
    record_encode(record, &row);
    assert_false(row.failed);
    return row;
}

static void
a_record_comes_back_as_it_went(void **state)
{
    (void)state;
    struct record record = sample(), read;
    struct buffer row = encoded(&record);

    assert_int_equal(record_decode(&read, buffer_bytes(&row), NULL), STATUS_OK);

    assert_true(text_equal(read.agent_id, record.agent_id));
    assert_true(text_equal(read.content, record.content));
    assert_int_equal(read.type, MEMORY_FACT);
    assert_true(read.importance == 0.75);
    assert_int_equal(read.created_us, record.created_us);
    assert_int_equal(read.metadata.size, sizeof metadata);
    assert_memory_equal(read.metadata.data, metadata, sizeof metadata);
    buffer_clear(&row);
}

static void
an_access_comes_back_as_it_went(void **state)
{
    (void)state;
    struct buffer row;
    buffer_init(&row);
    access_encode(&(struct access){7, 9}, &row);
    struct access read;
    assert_int_equal(access_decode(&read, buffer_bytes(&row), NULL), STATUS_OK);
    assert_int_equal(read.count, 7);
    assert_int_equal(read.accessed_us, 9);
    buffer_clear(&row);
}

/* Every cut and every changed byte is either refused or read as something within bounds. */
static void
damaged_rows_never_pass_their_bounds(void **state)
{
    (void)state;
    struct record record = sample();
    struct buffer row = encoded(&record);
    for (size_t size = 0; size < row.size; size++) {
        /* A copy of its own size, so that a sanitizer sees reads behind it. */
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, row.data, size);
        struct record read;
        assert_int_equal(record_decode(&read, (struct bytes){cut, size}, NULL), STATUS_INVALID);
        free(cut);
    }
    for (size_t at = 0; at < row.size; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            row.data[at] ^= (uint8_t)(1u << bit);
            struct record read = {0};
            struct error error = ERROR_INIT;
            if (record_decode(&read, buffer_bytes(&row), &error) == STATUS_OK) {
                assert_in_range(read.content.size, 1, row.size);
                assert_true(read.type < MEMORY_TYPES);
                assert_true(read.importance >= 0 && read.importance <= 1);
            } else {
                assert_true(error.message[0] != '\0');
                assert_null(read.content.data);
            }
            row.data[at] ^= (uint8_t)(1u << bit);
        }
    buffer_clear(&row);
}

static void
refused(struct record record, const char *expected)
{
    struct buffer row = encoded(&record);
    struct record read;
    struct error error = ERROR_INIT;
    assert_int_equal(record_decode(&read, buffer_bytes(&row), &error), STATUS_INVALID);
    if (!strstr(error.message, expected))
        fail_msg("%s, expected %s", error.message, expected);
    buffer_clear(&row);
}

static void
what_is_wrong_with_a_row_is_named(void **state)
{
    (void)state;
    struct record record = sample();
    record.agent_id = text_of("");
    refused(record, "agent_id");
    record = sample();
    record.content = text_of("\xff");
    refused(record, "content");
    record = sample();
    record.importance = (double)NAN;
    refused(record, "importance");
    record.importance = 1.5;
    refused(record, "importance");
    record = sample();
    record.metadata = (struct bytes){(const uint8_t *)"\x90", 1};
    refused(record, "metadata");
    struct record read;
    struct error error = ERROR_INIT;
    static const uint8_t other_version[] = {0x92, 0x02, 0xc0};
    assert_int_equal(
        record_decode(&read, (struct bytes){other_version, sizeof other_version}, &error),
        STATUS_INVALID);
    assert_non_null(strstr(error.message, "version"));
    static const uint8_t short_row[] = {0x91, 0x01};
    assert_int_equal(record_decode(&read, (struct bytes){short_row, sizeof short_row}, &error),
                     STATUS_INVALID);
    assert_non_null(strstr(error.message, "parts"));
    struct access access;
    assert_int_equal(access_decode(&access, (struct bytes){short_row, sizeof short_row}, &error),
                     STATUS_INVALID);
    struct uuid id;
    assert_int_equal(record_key_decode(&id, (struct bytes){short_row, 2}, &error), STATUS_INVALID);
}

static void
metadata_is_bounded_in_size_and_depth(void **state)
{
    (void)state;
    struct buffer map;
    struct error error = ERROR_INIT;
    buffer_init(&map);
    for (unsigned depth = 1; depth < RECORD_METADATA_DEPTH_MAX; depth++) {
        pack_map(&map, 1);
        pack_string(&map, "k");
    }
    pack_array(&map, 1);
    size_t inner = map.size;
    pack_nil(&map);
    assert_int_equal(record_check_metadata(buffer_bytes(&map), &error), STATUS_OK);
    map.size = inner;
    pack_array(&map, 0);
    assert_int_equal(record_check_metadata(buffer_bytes(&map), &error), STATUS_VALIDATION);
    assert_string_equal(error.field, "metadata");

    buffer_reset(&map);
    char *large = calloc(1, RECORD_METADATA_MAX);
    memset(large, 'a', RECORD_METADATA_MAX);
    pack_map(&map, 1);
    pack_pair_text(&map, "k", (struct text){large, RECORD_METADATA_MAX});
    assert_int_equal(record_check_metadata(buffer_bytes(&map), &error), STATUS_VALIDATION);
    free(large);
    buffer_clear(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_went),
        cmocka_unit_test(an_access_comes_back_as_it_went),
        cmocka_unit_test(damaged_rows_never_pass_their_bounds),
        cmocka_unit_test(what_is_wrong_with_a_row_is_named),
        cmocka_unit_test(metadata_is_bounded_in_size_and_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
