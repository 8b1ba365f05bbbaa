/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/id.h"

static const uint64_t now_us = UINT64_C(1735689600123456);

static uint64_t
ms_of(const struct uuid *uuid)
{
    uint64_t ms = 0;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | uuid->bytes[i];
    return ms;
}

static void
an_id_is_version_7_and_begins_with_its_millisecond(void **state)
{
    struct uuid_source source = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct uuid uuid = uuid_next(&source, now_us + 1000 * (uint64_t)i);
        assert_int_equal(uuid.bytes[6] >> 4, 7);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
        assert_int_equal(ms_of(&uuid), now_us / 1000 + (uint64_t)i);
    }
}

static void
ids_increase_within_a_millisecond_and_when_the_clock_steps_back(void **state)
{
    struct uuid_source source = {0};
    struct uuid before = uuid_next(&source, now_us);
    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        struct uuid next = uuid_next(&source, i % 3 == 0 ? now_us : now_us - i * 1000);
        assert_true(uuid_compare(&before, &next) < 0);
        before = next;
    }
}

static void
random_bits_that_run_over_borrow_the_next_millisecond(void **state)
{
    struct uuid_source source = {0};
    (void)state;
    uuid_next(&source, now_us);
    memset(source.last + 7, 0xFF, 9);
    source.last[6] = 0x7F;
    source.last[8] = 0xBF;
    struct uuid last;
    memcpy(last.bytes, source.last, sizeof last.bytes);

    struct uuid next = uuid_next(&source, now_us);

    assert_true(uuid_compare(&last, &next) < 0);
    assert_int_equal(ms_of(&next), now_us / 1000 + 1);
    assert_int_equal(next.bytes[6] >> 4, 7);
    assert_int_equal(next.bytes[8] >> 6, 2);
}

static void
counting_up_carries_over_version_and_variant(void **state)
{
    struct uuid_source source = {0};
    (void)state;
    uuid_next(&source, now_us);
    source.last[6] = 0x70;
    source.last[7] = 0x12;
    source.last[8] = 0xBF;
    memset(source.last + 9, 0xFF, 7);

    struct uuid next = uuid_next(&source, now_us);

    static const uint8_t tail[] = {0x70, 0x13, 0x80, 0, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(next.bytes + 6, tail, sizeof tail);
}

static void
two_sources_differ_at_the_same_time_even_at_time_zero(void **state)
{
    struct uuid_source one = {0}, two = {0};
    (void)state;
    struct uuid a = uuid_next(&one, 0), b = uuid_next(&two, 0);
    assert_false(uuid_equal(&a, &b));
    assert_int_equal(a.bytes[6] >> 4, 7);
    assert_int_equal(ms_of(&a), 0);
}

static void
text_and_bytes_agree(void **state)
{
    static const struct uuid uuid = {{0x01, 0x92, 0xf3, 0xa4, 0xb5, 0xc6, 0x7d, 0x8e, 0x9f, 0xa0,
                                      0xb1, 0xc2, 0xd3, 0xe4, 0xf5, 0x06}};
    char text[UUID_TEXT_SIZE];
    struct uuid parsed;
    (void)state;

    uuid_format(&uuid, text);
    assert_string_equal(text, "0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506");
    assert_true(uuid_parse(text_of(text), &parsed));
    assert_true(uuid_equal(&uuid, &parsed));
    assert_true(uuid_parse(text_of("0192F3A4B5C67D8E9FA0B1C2D3E4F506"), &parsed));
    assert_true(uuid_equal(&uuid, &parsed));
    assert_false(uuid_is_nil(&parsed));
    assert_true(uuid_parse(text_of("00000000-0000-0000-0000-000000000000"), &parsed));
    assert_true(uuid_is_nil(&parsed));
}

static void
other_texts_are_refused_and_leave_the_output_alone(void **state)
{
    static const char *const bad[] = {
        "",
        "0192f3a4",
        "0192f3a4b5c67d8e9fa0b1c2d3e4f50",
        "0192f3a4b5c67d8e9fa0b1c2d3e4f5060",
        "0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f50g",
        "0192f3a4b-5c6-7d8e-9fa0-b1c2d3e4f506",
        "0192f3a4-b5c6-7d8e-9fa0b-1c2d3e4f506",
        "{192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f50}",
        "0192f3a4b5c67d8e9fa0b1c2d3e4f5-6",
        "0192f3a4 b5c6 7d8e 9fa0 b1c2d3e4f506",
    };
    struct uuid uuid = {{7}}, same = {{7}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(uuid_parse(text_of(bad[i]), &uuid));
        assert_true(uuid_equal(&uuid, &same));
    }
}

static void
hashes_of_neighbours_spread(void **state)
{
    struct uuid_source source = {0};
    unsigned hits[64] = {0};
    (void)state;
    for (int i = 0; i < 6400; i++) {
        struct uuid uuid = uuid_next(&source, now_us);
        hits[uuid_hash(&uuid) % 64]++;
    }
    for (size_t i = 0; i < 64; i++)
        assert_in_range(hits[i], 40, 180);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_version_7_and_begins_with_its_millisecond),
        cmocka_unit_test(ids_increase_within_a_millisecond_and_when_the_clock_steps_back),
        cmocka_unit_test(random_bits_that_run_over_borrow_the_next_millisecond),
        cmocka_unit_test(counting_up_carries_over_version_and_variant),
        cmocka_unit_test(two_sources_differ_at_the_same_time_even_at_time_zero),
        cmocka_unit_test(text_and_bytes_agree),
        cmocka_unit_test(other_texts_are_refused_and_leave_the_output_alone),
        cmocka_unit_test(hashes_of_neighbours_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
