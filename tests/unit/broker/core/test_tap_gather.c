/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/core/tap_gather.h"
#include "kernel/pack.h"

enum { CHUNKS_MAX = 64 };

struct fixture {
    struct tap_secrets *secrets;
    struct tap_gather *gather;
    struct tap_chunk *chunks[CHUNKS_MAX];
    size_t count;
    uint64_t number;
};

static void
emit(void *context, struct tap_chunk **chunk_p)
{
    struct fixture *f = context;
    assert_true(f->count < CHUNKS_MAX);
    f->chunks[f->count++] = *chunk_p;
    *chunk_p = NULL;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->secrets = tap_secrets_new(contracts);
    f->gather = tap_gather_new(f->secrets, emit, f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->count; i++)
        tap_chunk_destroy(&f->chunks[i]);
    tap_gather_destroy(&f->gather);
    tap_secrets_destroy(&f->secrets);
    free(f);
    return 0;
}

static void
open_tap(struct fixture *f, uint64_t tap, unsigned slot, const char *type, bool payload)
{
    struct tap_opening *opening = calloc(1, sizeof *opening);
    struct tap_query query = {.type = text_of(type)};
    assert_int_equal(tap_filter_new(&opening->filter, &query, NULL), STATUS_OK);
    opening->tap = tap;
    opening->slot = slot;
    opening->from = f->number;
    opening->payload = payload;
    tap_gather_open(f->gather, &opening);
}

static void
see(struct fixture *f, uint32_t slots, const char *type, size_t payload_size)
{
    static const uint8_t bytes[TAP_PAYLOAD_MAX];
    struct buffer payload;
    buffer_init(&payload);
    if (payload_size)
        pack_bin(&payload, bytes, payload_size);
    struct tap_sighting sighting = {.number = f->number++,
                                    .slots = slots,
                                    .kind = KIND_REQUEST,
                                    .source = text_of("agent:kasra"),
                                    .type = text_of(type),
                                    .payload = buffer_bytes(&payload),
                                    .payload_size = (uint32_t)payload.size};
    tap_gather_take(f->gather, &sighting);
    buffer_clear(&payload);
}

static void
each_tap_gets_what_its_filter_matches(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 11, 0, "memory_*", false);
    open_tap(f, 12, 3, "", false);
    see(f, 0x9, "memory_store", 0);
    see(f, 0x9, "chat", 0);
    see(f, 0x1, "memory_search", 0);
    see(f, 0xf0, "chat", 0); /* slots that nobody has */
    tap_gather_flush(f->gather);
    assert_int_equal(f->count, 2);
    assert_int_equal(f->chunks[0]->tap, 11);
    assert_int_equal(f->chunks[0]->count, 2);
    assert_int_equal(f->chunks[1]->tap, 12);
    assert_int_equal(f->chunks[1]->count, 2);
    tap_gather_flush(f->gather);
    assert_int_equal(f->count, 2);
}

static void
sightings_from_before_a_tap_are_not_shown_to_it(void **state)
{
    struct fixture *f = *state;
    uint64_t before = f->number;
    f->number = 5;
    open_tap(f, 1, 0, "", false);
    f->number = before;
    for (int i = 0; i < 7; i++)
        see(f, 1, "chat", 0);
    tap_gather_flush(f->gather);
    assert_int_equal(f->chunks[0]->count, 2);
}

static void
chunks_stay_within_their_size_and_none_is_lost_while_they_come_back(void **state)
{
    struct fixture *f = *state;
    size_t records = 0;
    open_tap(f, 1, 0, "", true);
    for (int i = 0; i < 200; i++) {
        see(f, 1, "chat", 1 + (size_t)i * 270 % TAP_PAYLOAD_MAX);
        while (f->count > 0) {
            struct tap_chunk *chunk = f->chunks[--f->count];
            assert_true(chunk->records.size + 64 <= CHUNK_SIZE_MAX);
            assert_int_equal(chunk->dropped, 0);
            records += chunk->count;
            tap_gather_return(f->gather, &chunk);
        }
    }
    tap_gather_flush(f->gather);
    assert_int_equal(records + f->chunks[0]->count, 200);
}

static void
when_no_chunk_comes_back_records_are_dropped_counted_and_told(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 1, 0, "", true);
    for (int i = 0; i < 30; i++)
        see(f, 1, "chat", 40000);
    assert_int_equal(f->count, TAP_CHUNKS);
    tap_gather_flush(f->gather);
    assert_int_equal(f->count, TAP_CHUNKS);

    struct tap_chunk *chunk = f->chunks[--f->count];
    tap_gather_return(f->gather, &chunk);
    see(f, 1, "chat", 10);
    tap_gather_flush(f->gather);
    assert_int_equal(f->chunks[TAP_CHUNKS - 1]->dropped, 30 - TAP_CHUNKS);
    assert_int_equal(f->chunks[TAP_CHUNKS - 1]->count, 1);
}

static void
what_was_dropped_is_told_even_when_nothing_follows(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 1, 0, "", true);
    for (int i = 0; i < 10; i++)
        see(f, 1, "chat", 40000);
    struct tap_chunk *chunk = f->chunks[--f->count];
    tap_gather_return(f->gather, &chunk);
    tap_gather_flush(f->gather);
    assert_int_equal(f->count, TAP_CHUNKS);
    assert_int_equal(f->chunks[TAP_CHUNKS - 1]->dropped, 2);
    assert_int_equal(f->chunks[TAP_CHUNKS - 1]->count, 0);
}

static void
a_slot_that_is_taken_anew_begins_anew(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 1, 0, "", false);
    see(f, 1, "chat", 0);
    tap_gather_close(f->gather, 1);
    open_tap(f, 2, 0, "", false);
    see(f, 1, "chat", 0);
    tap_gather_flush(f->gather);
    assert_int_equal(f->count, 1);
    assert_int_equal(f->chunks[0]->tap, 2);
    assert_int_equal(f->chunks[0]->count, 1);

    tap_gather_close(f->gather, 2);
    struct tap_chunk *late = f->chunks[--f->count];
    tap_gather_return(f->gather, &late); /* freed */
}

static void
a_tap_takes_as_many_as_it_may_and_is_full_until_it_may_more(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 1, 0, "memory_*", false);
    open_tap(f, 2, 5, "", false);
    tap_gather_allow(f->gather, 3);
    for (int i = 0; i < 5; i++)
        see(f, 0x21, "chat", 0);
    assert_int_equal(tap_gather_full(f->gather), 0x20);
    assert_int_equal(tap_gather_spent(f->gather), 0x20);
    tap_gather_missed(f->gather, 5, 10);
    tap_gather_missed(f->gather, 3, 10); /* nobody's */
    tap_gather_flush(f->gather);
    assert_int_equal(f->count, 1);
    assert_int_equal(f->chunks[0]->count, 3);

    tap_gather_allow(f->gather, 3);
    assert_int_equal(tap_gather_full(f->gather), 0);
    see(f, 0x21, "chat", 0);
    tap_gather_flush(f->gather);
    assert_int_equal(f->chunks[1]->count, 1);
    assert_int_equal(f->chunks[1]->dropped, 2 + 10);
}

static void
a_tap_whose_chunks_are_all_under_way_is_full_but_has_not_spent_what_it_may(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 1, 0, "", true);
    for (int i = 0; i < 30; i++)
        see(f, 1, "chat", 40000);
    assert_int_equal(f->count, TAP_CHUNKS);
    assert_int_equal(tap_gather_full(f->gather), 1);
    assert_int_equal(tap_gather_spent(f->gather), 0);
    struct tap_chunk *chunk = f->chunks[--f->count];
    tap_gather_return(f->gather, &chunk);
    assert_int_equal(tap_gather_full(f->gather), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_tap_gets_what_its_filter_matches),
        TEST(sightings_from_before_a_tap_are_not_shown_to_it),
        TEST(chunks_stay_within_their_size_and_none_is_lost_while_they_come_back),
        TEST(when_no_chunk_comes_back_records_are_dropped_counted_and_told),
        TEST(what_was_dropped_is_told_even_when_nothing_follows),
        TEST(a_slot_that_is_taken_anew_begins_anew),
        TEST(a_tap_takes_as_many_as_it_may_and_is_full_until_it_may_more),
        TEST(a_tap_whose_chunks_are_all_under_way_is_full_but_has_not_spent_what_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
