/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <msgpack.h>

#include "kernel/pack.h"

/* splitmix64: the same values in every run. */
static uint64_t
next_random(uint64_t *seed)
{
    uint64_t bits = *seed += UINT64_C(0x9E3779B97F4A7C15);
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94D049BB133111EB);
    return bits ^ (bits >> 31);
}

/* Integers of every width come up: the number of bits is random too. */
static uint64_t
random_integer(uint64_t *seed)
{
    return next_random(seed) >> (next_random(seed) % 64);
}

static void
pack_random(struct buffer *out, uint64_t *seed, int depth)
{
    static const char filler[70000] = {'x'};
    uint64_t kind = next_random(seed) % (depth > 0 ? 10 : 8);
    uint64_t size = random_integer(seed) % (next_random(seed) % 100 == 0 ? sizeof filler : 40);
    uint32_t count = (uint32_t)(next_random(seed) % (next_random(seed) % 20 == 0 ? 40 : 5));

    switch (kind) {
    case 0:
        pack_nil(out);
        break;
    case 1:
        pack_bool(out, next_random(seed) % 2);
        break;
    case 2:
        pack_uint(out, random_integer(seed));
        break;
    case 3:
        pack_int(out, -(int64_t)(random_integer(seed) >> 1));
        break;
    case 4:
        pack_double(out, ldexp((double)random_integer(seed), -20));
        break;
    case 5:
        pack_string(out, size % 2 ? "text" : NULL);
        break;
    case 6:
        pack_text(out, (struct text){filler, size});
        break;
    case 7:
        pack_bin(out, filler, size);
        break;
    case 8:
        pack_array(out, count);
        for (uint32_t i = 0; i < count; i++)
            pack_random(out, seed, depth - 1);
        break;
    default:
        pack_map(out, count);
        for (uint32_t i = 0; i < count; i++) {
            pack_random(out, seed, depth - 1);
            pack_random(out, seed, depth - 1);
        }
    }
}

static void
expect_same(const struct value *value, const msgpack_object *oracle)
{
    struct entries entries = value_entries(value);
    struct value key, entry;

    switch (oracle->type) {
    case MSGPACK_OBJECT_NIL:
        assert_int_equal(value->type, VALUE_NIL);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        assert_int_equal(value->type, VALUE_BOOL);
        assert_int_equal(value->as.boolean, oracle->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        assert_int_equal(value->type, VALUE_UINT);
        assert_true(value->as.uint == oracle->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        assert_int_equal(value->type, VALUE_INT);
        assert_true(value->as.integer == oracle->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        assert_int_equal(value->type, VALUE_DOUBLE);
        assert_memory_equal(&value->as.number, &oracle->via.f64, sizeof(double));
        break;
    case MSGPACK_OBJECT_STR:
        assert_int_equal(value->type, VALUE_TEXT);
        assert_true(
            text_equal(value->as.text, (struct text){oracle->via.str.ptr, oracle->via.str.size}));
        break;
    case MSGPACK_OBJECT_BIN:
        assert_int_equal(value->type, VALUE_BIN);
        assert_int_equal(value->as.bin.size, oracle->via.bin.size);
        assert_true(oracle->via.bin.size == 0 ||
                    memcmp(value->as.bin.data, oracle->via.bin.ptr, oracle->via.bin.size) == 0);
        break;
    case MSGPACK_OBJECT_EXT:
        assert_int_equal(value->type, VALUE_EXT);
        assert_int_equal(value->as.bin.size, oracle->via.ext.size);
        assert_true(oracle->via.ext.size == 0 ||
                    memcmp(value->as.bin.data, oracle->via.ext.ptr, oracle->via.ext.size) == 0);
        break;
    case MSGPACK_OBJECT_ARRAY:
        assert_int_equal(value->type, VALUE_ARRAY);
        assert_int_equal(value->as.count, oracle->via.array.size);
        for (uint32_t i = 0; i < oracle->via.array.size; i++) {
            assert_true(entries_next(&entries, &entry));
            expect_same(&entry, &oracle->via.array.ptr[i]);
        }
        assert_false(entries_next(&entries, &entry));
        assert_ptr_equal(entries.reader.at, value->raw.data + value->raw.size);
        break;
    case MSGPACK_OBJECT_MAP:
        assert_int_equal(value->type, VALUE_MAP);
        assert_int_equal(value->as.count, oracle->via.map.size);
        for (uint32_t i = 0; i < oracle->via.map.size; i++) {
            assert_true(entries_next_pair(&entries, &key, &entry));
            expect_same(&key, &oracle->via.map.ptr[i].key);
            expect_same(&entry, &oracle->via.map.ptr[i].val);
        }
        assert_false(entries_next_pair(&entries, &key, &entry));
        break;
    }
}

static void
random_values_read_as_the_library_reads_them(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct buffer packed = {0};
        struct value value;
        msgpack_unpacked oracle;
        size_t offset = 0;
        pack_random(&packed, &seed, 5);
        assert_false(packed.failed);

        msgpack_unpacked_init(&oracle);
        assert_int_equal(
            msgpack_unpack_next(&oracle, (const char *)packed.data, packed.size, &offset),
            MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(offset, packed.size);
        assert_true(value_parse(buffer_bytes(&packed), &value));
        expect_same(&value, &oracle.data);

        msgpack_unpacked_destroy(&oracle);
        buffer_clear(&packed);
    }
}

/* Random bytes: what the library refuses is refused, what it accepts reads the same. Without the
 * heads of 32-bit counts: the library makes room for what they promise, gigabytes at once. */
static char
random_byte(uint64_t *seed)
{
    char byte = (char)next_random(seed);
    return (uint8_t)byte == 0xDD || (uint8_t)byte == 0xDF ? (char)0xC0 : byte;
}

static void
random_bytes_are_accepted_exactly_when_the_library_accepts_them(void **state)
{
    uint64_t seed = 2;
    int accepted = 0;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char bytes[24];
        size_t size = 1 + next_random(&seed) % sizeof bytes, offset = 0;
        for (size_t j = 0; j < size; j++)
            bytes[j] = random_byte(&seed);
        struct reader reader = reader_of((struct bytes){(const uint8_t *)bytes, size});
        struct value value;
        msgpack_unpacked oracle;
        msgpack_unpacked_init(&oracle);

        msgpack_unpack_return answer = msgpack_unpack_next(&oracle, bytes, size, &offset);
        bool skipped = reader_skip(&reader);

        assert_int_equal(skipped, answer == MSGPACK_UNPACK_SUCCESS);
        if (skipped) {
            assert_int_equal(reader.at - (const uint8_t *)bytes, offset);
            assert_true(value_parse((struct bytes){(const uint8_t *)bytes, offset}, &value));
            expect_same(&value, &oracle.data);
            accepted++;
        }
        msgpack_unpacked_destroy(&oracle);
    }
    assert_true(accepted > 1000);
}

static void
integers_at_the_edges_of_every_width_survive(void **state)
{
    struct buffer out = {0};
    struct value value;
    (void)state;
    for (unsigned bits = 1; bits <= 64; bits++) {
        uint64_t edge = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        for (uint64_t number = edge - 1; number - (edge - 1) < 3; number++) {
            buffer_reset(&out);
            pack_uint(&out, number);
            assert_true(value_parse(buffer_bytes(&out), &value));
            assert_int_equal(value.type, VALUE_UINT);
            assert_true(value.as.uint == number);
            if (number > INT64_MAX || number == 0)
                continue;
            buffer_reset(&out);
            pack_int(&out, -(int64_t)number);
            assert_true(value_parse(buffer_bytes(&out), &value));
            assert_int_equal(value.type, VALUE_INT);
            assert_true(value.as.integer == -(int64_t)number);
        }
    }
    buffer_reset(&out);
    pack_int(&out, INT64_MIN);
    assert_true(value_parse(buffer_bytes(&out), &value));
    assert_true(value.as.integer == INT64_MIN);
    buffer_clear(&out);
}

static struct bytes
bytes_of(const char *data, size_t size)
{
    return (struct bytes){(const uint8_t *)data, size};
}

static void
heads_the_writer_never_uses_read_as_well(void **state)
{
    struct value value;
    (void)state;
    assert_true(value_parse(bytes_of("\xCA\x3F\xC0\x00\x00", 5), &value));
    assert_int_equal(value.type, VALUE_DOUBLE);
    assert_true(value.as.number > 1.49 && value.as.number < 1.51);
    assert_true(value_parse(bytes_of("\xD0\x05", 2), &value));
    assert_int_equal(value.type, VALUE_UINT);
    assert_int_equal(value.as.uint, 5);
    assert_true(value_parse(bytes_of("\xD2\xFF\xFF\xFF\xFE", 5), &value));
    assert_int_equal(value.type, VALUE_INT);
    assert_true(value.as.integer == -2);
    assert_true(value_parse(bytes_of("\xD5\x01gh", 4), &value));
    assert_int_equal(value.type, VALUE_EXT);
    assert_memory_equal(value.as.bin.data, "gh", 2);
    assert_true(value_parse(bytes_of("\xC7\x00\x01", 3), &value));
    assert_int_equal(value.as.bin.size, 0);
    assert_false(value_parse(bytes_of("\xC1", 1), &value));
}

static void
trailing_and_missing_bytes_are_refused(void **state)
{
    struct value value = {.type = VALUE_EXT};
    struct reader reader = reader_of(bytes_of("\xA4"
                                              "abc",
                                              4));
    const uint8_t *before = reader.at;
    (void)state;
    assert_false(value_parse(bytes_of("", 0), &value));
    assert_false(value_parse((struct bytes){NULL, 0}, &value));
    assert_false(value_parse(bytes_of("\x01\x02", 2), &value));
    assert_false(value_parse(bytes_of("\x92\x01", 2), &value));
    assert_false(value_parse(bytes_of("\xDB\xFF\xFF\xFF\xFFx", 6), &value));
    assert_false(value_parse(bytes_of("\xDD\xFF\xFF\xFF\xFF\x01", 6), &value));
    assert_false(value_parse(bytes_of("\xDF\x80\x00\x00\x00\x01\x01", 7), &value));
    assert_false(reader_next(&reader, &value));
    assert_ptr_equal(reader.at, before);
    assert_int_equal(value.type, VALUE_EXT);
    reader = reader_of(bytes_of("\x92\x01", 2));
    before = reader.at;
    assert_false(reader_skip(&reader));
    assert_ptr_equal(reader.at, before);
}

static void
a_count_that_cannot_be_true_is_refused_at_the_head(void **state)
{
    struct value value;
    struct reader reader = reader_of(bytes_of("\xDD\xFF\xFF\xFF\xFF\x01", 6));
    (void)state;
    assert_false(reader_next(&reader, &value));
    reader = reader_of(bytes_of("\x82\x01\x01\x01", 4));
    assert_false(reader_next(&reader, &value));
    reader = reader_of(bytes_of("\x82\x01\x01\x01\x01", 5));
    assert_true(reader_next(&reader, &value));
    assert_int_equal(value.as.count, 2);
}

static void
nesting_is_accepted_up_to_its_bound(void **state)
{
    (void)state;
    for (size_t depth = PACK_DEPTH_MAX - 1; depth <= PACK_DEPTH_MAX + 1; depth++) {
        struct buffer out = {0};
        struct value value;
        for (size_t i = 0; i < depth; i++)
            pack_array(&out, 1);
        pack_nil(&out);
        assert_int_equal(value_parse(buffer_bytes(&out), &value), depth <= PACK_DEPTH_MAX);
        buffer_clear(&out);
    }
}

static void
a_million_open_containers_are_refused_at_once(void **state)
{
    struct buffer out = {0};
    struct value value;
    (void)state;
    for (int i = 0; i < 1000000; i++)
        pack_map(&out, 1);
    assert_false(value_parse(buffer_bytes(&out), &value));
    buffer_clear(&out);
}

static void
pairs_are_found_by_key_and_type(void **state)
{
    struct buffer out = {0};
    struct value map, found;
    struct text text = text_of("same");
    struct bytes bin = {0};
    uint64_t number = 1;
    int64_t integer = 1;
    double real = 1;
    bool truth = false;
    (void)state;
    pack_map(&out, 11);
    pack_uint(&out, 7);
    pack_string(&out, "a key that is no text");
    pack_pair_string(&out, "text", "hello");
    pack_pair_text(&out, "text", text_of("second of its key"));
    pack_pair_uint(&out, "uint", UINT64_MAX);
    pack_pair_int(&out, "int", -3);
    pack_pair_double(&out, "double", 0.5);
    pack_pair_bool(&out, "bool", true);
    pack_pair_nil(&out, "nil");
    pack_pair_string(&out, "no string", NULL);
    pack_pair_raw(&out, "raw", bytes_of("\x92\x01\x02", 3));
    pack_string(&out, "bin");
    pack_bin(&out, "\0\1", 2);

    assert_true(value_parse(buffer_bytes(&out), &map));
    assert_true(value_find_text(&map, "text", &text));
    assert_true(text_equal_string(text, "hello"));
    assert_true(value_find_uint(&map, "uint", &number));
    assert_true(number == UINT64_MAX);
    assert_true(value_find_int(&map, "int", &integer));
    assert_true(integer == -3);
    assert_true(value_find_double(&map, "double", &real));
    assert_true(fabs(real - 0.5) < DBL_EPSILON);
    assert_true(value_find_double(&map, "int", &real));
    assert_true(fabs(real + 3) < DBL_EPSILON);
    assert_true(value_find_bool(&map, "bool", &truth) && truth);
    assert_true(value_find_bin(&map, "bin", &bin));
    assert_int_equal(bin.size, 2);
    assert_true(value_find(&map, "nil", &found));
    assert_int_equal(found.type, VALUE_NIL);
    assert_true(value_find(&map, "no string", &found));
    assert_int_equal(found.type, VALUE_NIL);
    assert_true(value_find(&map, "raw", &found));
    assert_int_equal(found.raw.size, 3);

    assert_false(value_find_int(&map, "uint", &integer));
    assert_true(integer == -3);
    assert_false(value_find_uint(&map, "int", &number));
    assert_false(value_find_text(&map, "bin", &text));
    assert_false(value_find_bin(&map, "text", &bin));
    assert_false(value_find_bool(&map, "nil", &truth));
    assert_false(value_find(&map, "absent", &found));
    assert_false(value_find(&map, "tex", &found));
    assert_true(value_find(&map, "raw", &found));
    assert_false(value_find(&found, "text", &map));
    buffer_clear(&out);
}

static void
a_text_beyond_32_bits_fails_instead_of_being_cut(void **state)
{
    struct buffer out = {0};
    (void)state;
    pack_text(&out, (struct text){"x", (size_t)UINT32_MAX + 1});
    assert_true(out.failed);
    assert_int_equal(out.size, 0);
    buffer_reset(&out);
    pack_bin(&out, "x", (size_t)UINT32_MAX + 1);
    assert_true(out.failed);
    buffer_clear(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_values_read_as_the_library_reads_them),
        cmocka_unit_test(random_bytes_are_accepted_exactly_when_the_library_accepts_them),
        cmocka_unit_test(integers_at_the_edges_of_every_width_survive),
        cmocka_unit_test(heads_the_writer_never_uses_read_as_well),
        cmocka_unit_test(trailing_and_missing_bytes_are_refused),
        cmocka_unit_test(a_count_that_cannot_be_true_is_refused_at_the_head),
        cmocka_unit_test(nesting_is_accepted_up_to_its_bound),
        cmocka_unit_test(a_million_open_containers_are_refused_at_once),
        cmocka_unit_test(pairs_are_found_by_key_and_type),
        cmocka_unit_test(a_text_beyond_32_bits_fails_instead_of_being_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
