/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/pack.h"

#include <endian.h>
#include <msgpack.h>

#include "kernel/clock.h"

static int
write_to_buffer(void *data, const char *bytes, size_t size)
{
    struct buffer *out = data;
    buffer_append(out, bytes, size);
    return out->failed ? -1 : 0;
}

static msgpack_packer
packer_onto(struct buffer *out)
{
    return (msgpack_packer){.data = out, .callback = write_to_buffer};
}

/* msgpack cannot say a length beyond 32 bits, and msgpack-c would cut it. */
static bool
fits(struct buffer *out, size_t size)
{
    if (size > UINT32_MAX)
        out->failed = true;
    return size <= UINT32_MAX;
}

void
pack_nil(struct buffer *out)
{
    msgpack_packer packer = packer_onto(out);
    msgpack_pack_nil(&packer);
}

void
pack_bool(struct buffer *out, bool value)
{
    msgpack_packer packer = packer_onto(out);
    if (value)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
}

void
pack_uint(struct buffer *out, uint64_t value)
{
    msgpack_packer packer = packer_onto(out);
    msgpack_pack_uint64(&packer, value);
}

void
pack_int(struct buffer *out, int64_t value)
{
    msgpack_packer packer = packer_onto(out);
    msgpack_pack_int64(&packer, value);
}

void
pack_double(struct buffer *out, double value)
{
    msgpack_packer packer = packer_onto(out);
    msgpack_pack_double(&packer, value);
}

void
pack_text(struct buffer *out, struct text text)
{
    if (!fits(out, text.size))
        return;
    msgpack_packer packer = packer_onto(out);
    msgpack_pack_str(&packer, text.size);
    buffer_append(out, text.data, text.size);
}

void
pack_string(struct buffer *out, const char *string)
{
    if (string)
        pack_text(out, text_of(string));
    else
        pack_nil(out);
}

void
pack_bin(struct buffer *out, const void *data, size_t size)
{
    if (!fits(out, size))
        return;
    msgpack_packer packer = packer_onto(out);
    msgpack_pack_bin(&packer, size);
    buffer_append(out, data, size);
}

void
pack_array(struct buffer *out, uint32_t count)
{
    msgpack_packer packer = packer_onto(out);
    msgpack_pack_array(&packer, count);
}

void
pack_map(struct buffer *out, uint32_t count)
{
    msgpack_packer packer = packer_onto(out);
    msgpack_pack_map(&packer, count);
}

void
pack_raw(struct buffer *out, struct bytes value)
{
    buffer_append(out, value.data, value.size);
}

void
pack_pair_text(struct buffer *out, const char *key, struct text value)
{
    pack_string(out, key);
    pack_text(out, value);
}

void
pack_pair_string(struct buffer *out, const char *key, const char *value)
{
    pack_string(out, key);
    pack_string(out, value);
}

void
pack_pair_uint(struct buffer *out, const char *key, uint64_t value)
{
    pack_string(out, key);
    pack_uint(out, value);
}

void
pack_pair_int(struct buffer *out, const char *key, int64_t value)
{
    pack_string(out, key);
    pack_int(out, value);
}

void
pack_pair_double(struct buffer *out, const char *key, double value)
{
    pack_string(out, key);
    pack_double(out, value);
}

void
pack_pair_bool(struct buffer *out, const char *key, bool value)
{
    pack_string(out, key);
    pack_bool(out, value);
}

void
pack_pair_nil(struct buffer *out, const char *key)
{
    pack_string(out, key);
    pack_nil(out);
}

void
pack_pair_raw(struct buffer *out, const char *key, struct bytes value)
{
    pack_string(out, key);
    pack_raw(out, value);
}

void
pack_pair_timestamp(struct buffer *out, const char *key, uint64_t wall_us)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_us, text);
    pack_pair_string(out, key, text);
}

/* size: 1, 2, 4 or 8. Each is one load and a swap; a loop over the bytes took three times longer.
 */
static inline uint64_t
read_big_endian(const uint8_t *at, size_t size)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;

    switch (size) {
    case 1:
        return *at;
    case 2:
        memcpy(&two, at, sizeof two);
        return be16toh(two);
    case 4:
        memcpy(&four, at, sizeof four);
        return be32toh(four);
    default:
        memcpy(&eight, at, sizeof eight);
        return be64toh(eight);
    }
}

static void
set_signed(struct value *value, int64_t number)
{
    if (number >= 0) {
        value->type = VALUE_UINT;
        value->as.uint = (uint64_t)number;
    } else {
        value->type = VALUE_INT;
        value->as.integer = number;
    }
}

static double
double_of_bits(uint64_t bits, size_t size)
{
    if (size == sizeof(double)) {
        double number;
        memcpy(&number, &bits, sizeof number);
        return number;
    }
    uint32_t narrow = (uint32_t)bits;
    float number;
    memcpy(&number, &narrow, sizeof number);
    return (double)number;
}

/* What a first byte announces: how many bytes of number follow it (a length, a count or the
 * value itself). The families of the format are contiguous, so the width follows from the
 * position in the family. */
struct head {
    enum value_type type;
    uint8_t number_size;
    bool is_signed;
};

static bool
classify(uint8_t byte, struct head *head)
{
    switch (byte) {
    case 0xC4:
    case 0xC5:
    case 0xC6:
        *head = (struct head){VALUE_BIN, (uint8_t)(1u << (byte - 0xC4)), false};
        return true;
    case 0xC7:
    case 0xC8:
    case 0xC9:
        *head = (struct head){VALUE_EXT, (uint8_t)(1u << (byte - 0xC7)), false};
        return true;
    case 0xCA:
    case 0xCB:
        *head = (struct head){VALUE_DOUBLE, byte == 0xCA ? 4 : 8, false};
        return true;
    case 0xCC:
    case 0xCD:
    case 0xCE:
    case 0xCF:
        *head = (struct head){VALUE_UINT, (uint8_t)(1u << (byte - 0xCC)), false};
        return true;
    case 0xD0:
    case 0xD1:
    case 0xD2:
    case 0xD3:
        *head = (struct head){VALUE_UINT, (uint8_t)(1u << (byte - 0xD0)), true};
        return true;
    case 0xD9:
    case 0xDA:
    case 0xDB:
        *head = (struct head){VALUE_TEXT, (uint8_t)(1u << (byte - 0xD9)), false};
        return true;
    case 0xDC:
    case 0xDD:
        *head = (struct head){VALUE_ARRAY, byte == 0xDC ? 2 : 4, false};
        return true;
    case 0xDE:
    case 0xDF:
        *head = (struct head){VALUE_MAP, byte == 0xDE ? 2 : 4, false};
        return true;
    default:
        return false;
    }
}

/* Borrows `size` bytes after `at` for the value; false when they are not there. */
static bool
take_body(struct reader *reader, struct value *value, const uint8_t *at, uint64_t size)
{
    if (size > (uint64_t)(reader->end - at))
        return false;
    if (value->type == VALUE_TEXT)
        value->as.text = (struct text){(const char *)at, (size_t)size};
    else
        value->as.bin = (struct bytes){at, (size_t)size};
    value->raw.size = (size_t)(at - reader->at) + (size_t)size;
    reader->at = at + size;
    return true;
}

/* An entry takes at least a byte, so a count that cannot be true is refused before anybody loops
 * over it or makes room for it. */
static bool
take_count(struct reader *reader, struct value *value, const uint8_t *at, uint64_t count)
{
    uint64_t bytes_least = value->type == VALUE_MAP ? count * 2 : count;
    if (bytes_least > (uint64_t)(reader->end - at))
        return false;
    value->as.count = (uint32_t)count;
    value->raw.size = (size_t)(at - reader->at);
    reader->at = at;
    return true;
}

static bool
next_of_head(struct reader *reader, struct value *value)
{
    const uint8_t *at = reader->at + 1;
    struct head head;

    if (!classify(*reader->at, &head) || (size_t)(reader->end - at) < head.number_size)
        return false;
    uint64_t number = read_big_endian(at, head.number_size);
    at += head.number_size;
    value->type = head.type;

    switch (head.type) {
    case VALUE_UINT:
        if (head.is_signed) {
            unsigned shift = 64u - 8u * head.number_size;
            set_signed(value, (int64_t)(number << shift) >> shift);
        } else {
            value->as.uint = number;
        }
        break;
    case VALUE_DOUBLE:
        value->as.number = double_of_bits(number, head.number_size);
        break;
    case VALUE_ARRAY:
    case VALUE_MAP:
        return take_count(reader, value, at, number);
    case VALUE_EXT:
        if (at == reader->end)
            return false;
        return take_body(reader, value, at + 1, number);
    default:
        return take_body(reader, value, at, number);
    }
    value->raw.size = (size_t)(at - reader->at);
    reader->at = at;
    return true;
}

/* Writes *value also on failure, which only the callers below may see. */
static inline bool
next_value(struct reader *reader, struct value *value)
{
    if (reader->at == reader->end)
        return false;

    const uint8_t *at = reader->at;
    uint8_t byte = *at;
    value->raw = (struct bytes){at, 1};

    if (byte < 0x80) {
        value->type = VALUE_UINT;
        value->as.uint = byte;
    } else if (byte >= 0xE0) {
        value->type = VALUE_INT;
        value->as.integer = (int8_t)byte;
    } else if (byte >= 0xA0 && byte < 0xC0) {
        value->type = VALUE_TEXT;
        return take_body(reader, value, at + 1, byte & 0x1Fu);
    } else if (byte < 0xA0) {
        value->type = byte < 0x90 ? VALUE_MAP : VALUE_ARRAY;
        return take_count(reader, value, at + 1, byte & 0x0Fu);
    } else if (byte == 0xC0) {
        value->type = VALUE_NIL;
    } else if (byte == 0xC2 || byte == 0xC3) {
        value->type = VALUE_BOOL;
        value->as.boolean = byte == 0xC3;
    } else if (byte >= 0xD4 && byte <= 0xD8) {
        value->type = VALUE_EXT;
        if (reader->end - at < 2)
            return false;
        return take_body(reader, value, at + 2, 1u << (byte - 0xD4));
    } else {
        return next_of_head(reader, value);
    }
    reader->at = at + 1;
    return true;
}

bool
reader_next(struct reader *reader, struct value *value)
{
    struct value next;
    if (!next_value(reader, &next))
        return false;
    *value = next;
    return true;
}

bool
reader_skip(struct reader *reader)
{
    uint64_t left[PACK_DEPTH_MAX + 1] = {1};
    size_t depth = 0;
    struct reader ahead = *reader;

    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0) {
                *reader = ahead;
                return true;
            }
            depth--;
        }
        left[depth]--;

        struct value value;
        if (!next_value(&ahead, &value))
            return false;
        if (value.type != VALUE_ARRAY && value.type != VALUE_MAP)
            continue;
        if (depth == PACK_DEPTH_MAX)
            return false;
        depth++;
        left[depth] = value.type == VALUE_MAP ? (uint64_t)value.as.count * 2 : value.as.count;
    }
}

/* The next value whole: entries included in raw, reader behind them. */
static bool
next_whole(struct reader *reader, struct value *value)
{
    struct reader behind = *reader;
    struct value next;

    if (!next_value(&behind, &next))
        return false;
    if (next.type == VALUE_ARRAY || next.type == VALUE_MAP) {
        behind = *reader;
        if (!reader_skip(&behind))
            return false;
        next.raw.size = (size_t)(behind.at - reader->at);
    }
    *reader = behind;
    *value = next;
    return true;
}

bool
value_parse(struct bytes bytes, struct value *value)
{
    if (bytes.size == 0)
        return false;

    struct reader reader = reader_of(bytes);
    struct value whole;
    if (!next_whole(&reader, &whole) || reader.at != reader.end)
        return false;
    *value = whole;
    return true;
}

struct entries
value_entries(const struct value *container)
{
    struct entries entries = {{NULL, NULL}, 0};
    struct value head;

    if (container->type != VALUE_ARRAY && container->type != VALUE_MAP)
        return entries;
    entries.reader = reader_of(container->raw);
    if (next_value(&entries.reader, &head))
        entries.left = head.as.count;
    return entries;
}

bool
entries_next(struct entries *entries, struct value *value)
{
    if (entries->left == 0 || !next_whole(&entries->reader, value))
        return false;
    entries->left--;
    return true;
}

bool
entries_next_pair(struct entries *entries, struct value *key, struct value *value)
{
    struct reader ahead = entries->reader;
    struct value next_key;

    if (entries->left == 0 || !next_whole(&ahead, &next_key) || !next_whole(&ahead, value))
        return false;
    *key = next_key;
    entries->reader = ahead;
    entries->left--;
    return true;
}

bool
value_find(const struct value *map, const char *key, struct value *found)
{
    if (map->type != VALUE_MAP)
        return false;

    struct text wanted = text_of(key);
    struct entries entries = value_entries(map);
    struct value name;
    for (; entries.left > 0; entries.left--) {
        if (!next_whole(&entries.reader, &name))
            return false;
        if (name.type == VALUE_TEXT && text_equal(name.as.text, wanted))
            return next_whole(&entries.reader, found);
        if (!reader_skip(&entries.reader))
            return false;
    }
    return false;
}

bool
value_find_text(const struct value *map, const char *key, struct text *out)
{
    struct value found;
    if (!value_find(map, key, &found) || found.type != VALUE_TEXT)
        return false;
    *out = found.as.text;
    return true;
}

bool
value_find_uint(const struct value *map, const char *key, uint64_t *out)
{
    struct value found;
    if (!value_find(map, key, &found) || found.type != VALUE_UINT)
        return false;
    *out = found.as.uint;
    return true;
}

bool
value_find_int(const struct value *map, const char *key, int64_t *out)
{
    struct value found;
    if (!value_find(map, key, &found))
        return false;
    if (found.type == VALUE_INT)
        *out = found.as.integer;
    else if (found.type == VALUE_UINT && found.as.uint <= INT64_MAX)
        *out = (int64_t)found.as.uint;
    else
        return false;
    return true;
}

bool
value_find_double(const struct value *map, const char *key, double *out)
{
    struct value found;
    if (!value_find(map, key, &found))
        return false;
    if (found.type == VALUE_DOUBLE)
        *out = found.as.number;
    else if (found.type == VALUE_UINT)
        *out = (double)found.as.uint;
    else if (found.type == VALUE_INT)
        *out = (double)found.as.integer;
    else
        return false;
    return true;
}

bool
value_find_bool(const struct value *map, const char *key, bool *out)
{
    struct value found;
    if (!value_find(map, key, &found) || found.type != VALUE_BOOL)
        return false;
    *out = found.as.boolean;
    return true;
}

bool
value_find_bin(const struct value *map, const char *key, struct bytes *out)
{
    struct value found;
    if (!value_find(map, key, &found) || found.type != VALUE_BIN)
        return false;
    *out = found.as.bin;
    return true;
}
