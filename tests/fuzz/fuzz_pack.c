/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a value both ways, whole and entry by entry: both must see the same, and what the writer
 * makes of it must read as the same again. */
#include <stdlib.h>

#include "kernel/assert.h"
#include "kernel/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack_again(struct buffer *out, const struct value *value);

static void
pack_entries(struct buffer *out, const struct value *container)
{
    struct entries entries = value_entries(container);
    struct value key, value;
    uint32_t count = 0;

    if (container->type == VALUE_ARRAY) {
        for (; entries_next(&entries, &value); count++)
            pack_again(out, &value);
    } else {
        for (; entries_next_pair(&entries, &key, &value); count++) {
            pack_again(out, &key);
            pack_again(out, &value);
        }
    }
    ASSERT(count == container->as.count);
    ASSERT(entries.reader.at == container->raw.data + container->raw.size);
}

static void
pack_again(struct buffer *out, const struct value *value)
{
    switch (value->type) {
    case VALUE_NIL:
        pack_nil(out);
        break;
    case VALUE_BOOL:
        pack_bool(out, value->as.boolean);
        break;
    case VALUE_UINT:
        pack_uint(out, value->as.uint);
        break;
    case VALUE_INT:
        ASSERT(value->as.integer < 0);
        pack_int(out, value->as.integer);
        break;
    case VALUE_DOUBLE:
        pack_double(out, value->as.number);
        break;
    case VALUE_TEXT:
        pack_text(out, value->as.text);
        text_is_utf8(value->as.text);
        break;
    case VALUE_BIN:
        pack_bin(out, value->as.bin.data, value->as.bin.size);
        break;
    case VALUE_ARRAY:
        pack_array(out, value->as.count);
        pack_entries(out, value);
        break;
    case VALUE_MAP:
        pack_map(out, value->as.count);
        pack_entries(out, value);
        break;
    case VALUE_EXT:
        pack_raw(out, value->raw);
        break;
    }
}

static void
check_lookups(const struct value *map)
{
    struct value found;
    struct text text;
    uint64_t number;

    value_find_text(map, "message", &text);
    value_find_uint(map, "status", &number);
    ASSERT(!value_find(map, "a key nobody would come upon", &found));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = {data, size};
    struct reader skipper = reader_of(bytes), stepper = reader_of(bytes);
    struct value value;

    bool whole = reader_skip(&skipper) && skipper.at == skipper.end;
    bool parsed = value_parse(bytes, &value);
    ASSERT(whole == parsed);
    if (parsed) {
        struct buffer once = {0}, twice = {0};
        pack_again(&once, &value);
        check_lookups(&value);
        ASSERT(value_parse(buffer_bytes(&once), &value));
        pack_again(&twice, &value);
        ASSERT(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
        buffer_clear(&once);
        buffer_clear(&twice);
    }
    while (reader_next(&stepper, &value))
        ASSERT(value.raw.size > 0 && value.raw.data + value.raw.size == stepper.at);
    return 0;
}
