/* SPDX-License-Identifier: Apache-2.0 */
/* Maps to msgpack and back. */
#include <stdlib.h>

#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"
#include "sdk/c/sos_map.h"

/* ---- writing */

static void
pack_node(const struct map_node *node, struct buffer *out)
{
    switch (node->type) {
    case SOS_TYPE_NONE:
    case SOS_TYPE_NIL:
        pack_nil(out);
        break;
    case SOS_TYPE_BOOL:
        pack_bool(out, node->as.boolean);
        break;
    case SOS_TYPE_INT:
        if (node->negative)
            pack_int(out, (int64_t)node->as.number);
        else
            pack_uint(out, node->as.number);
        break;
    case SOS_TYPE_DOUBLE:
        pack_double(out, node->as.real);
        break;
    case SOS_TYPE_TEXT:
        pack_text(out, (struct text){node->as.data.bytes, node->as.data.size});
        break;
    case SOS_TYPE_BYTES:
        pack_bin(out, node->as.data.bytes, node->as.data.size);
        break;
    case SOS_TYPE_MAP:
    case SOS_TYPE_LIST:
        map_pack(node->as.map, out);
        break;
    }
}

void
map_pack(const struct sos_map *map, struct buffer *out)
{
    if (map->list)
        pack_array(out, (uint32_t)map->count);
    else
        pack_map(out, (uint32_t)map->count);
    for (size_t i = 0; i < map->count; i++) {
        if (!map->list)
            pack_text(out, (struct text){map->nodes[i].key, map->nodes[i].key_size});
        pack_node(&map->nodes[i], out);
    }
    out->failed = out->failed || map->failed;
}

/* The packed form is kept beside the map, which stays what it was for whoever reads it. */
struct sos_bytes
sos_map_payload(const struct sos_map *map)
{
    if (!map)
        return (struct sos_bytes){0};
    struct sos_map *own = (struct sos_map *)(uintptr_t)map;
    if (own->dirty || own->packed.size == 0) {
        buffer_reset(&own->packed);
        map_pack(map, &own->packed);
        own->dirty = false;
    }
    if (own->packed.failed || own->failed)
        return (struct sos_bytes){NULL, 1};
    return (struct sos_bytes){own->packed.data, own->packed.size};
}

/* ---- reading */

static bool take(struct sos_map *map, struct map_node *node, struct reader *reader, int depth);

static bool
take_entries(struct sos_map *nested, struct reader *reader, uint32_t count, int depth)
{
    for (uint32_t i = 0; i < count; i++) {
        struct value key = {.type = VALUE_TEXT};
        if (!nested->list && (!reader_next(reader, &key) || key.type != VALUE_TEXT))
            return false;
        struct map_node *node =
            map_put(nested, nested->list ? NULL : key.as.text.data, key.as.text.size, true);
        if (!node || !take(nested, node, reader, depth))
            return false;
    }
    return true;
}

static bool
take_nest(struct map_node *node, struct reader *reader, const struct value *head, int depth)
{
    bool list = head->type == VALUE_ARRAY;
    struct sos_map *nested = list ? sos_map_new_list() : sos_map_new();
    if (!nested)
        return false;
    node->type = list ? SOS_TYPE_LIST : SOS_TYPE_MAP;
    node->as.map = nested;
    return depth < MAP_DEPTH_MAX && take_entries(nested, reader, head->as.count, depth + 1);
}

static bool
take(struct sos_map *map, struct map_node *node, struct reader *reader, int depth)
{
    struct value value;
    if (!reader_next(reader, &value))
        return false;
    switch (value.type) {
    case VALUE_NIL:
        break;
    case VALUE_BOOL:
        node->type = SOS_TYPE_BOOL;
        node->as.boolean = value.as.boolean;
        break;
    case VALUE_UINT:
        node->type = SOS_TYPE_INT;
        node->as.number = value.as.uint;
        break;
    case VALUE_INT:
        node->type = SOS_TYPE_INT;
        node->negative = true;
        node->as.number = (uint64_t)value.as.integer;
        break;
    case VALUE_DOUBLE:
        node->type = SOS_TYPE_DOUBLE;
        node->as.real = value.as.number;
        break;
    case VALUE_TEXT:
        map_set_data(map, node, SOS_TYPE_TEXT, value.as.text.data, value.as.text.size);
        break;
    case VALUE_BIN:
    case VALUE_EXT:
        map_set_data(map, node, SOS_TYPE_BYTES, value.as.bin.data, value.as.bin.size);
        break;
    case VALUE_ARRAY:
    case VALUE_MAP:
        return take_nest(node, reader, &value, depth);
    }
    return !map->failed;
}

bool
map_take_value(struct sos_map *map, struct map_node *node, struct bytes value)
{
    struct value whole;
    struct reader reader = reader_of(value);
    return value_parse(value, &whole) && take(map, node, &reader, 1);
}

int
sos_map_parse(struct sos_map **map_p, struct sos_bytes payload, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct bytes bytes = {payload.data, payload.size};
    struct reader reader = reader_of(bytes);
    struct value value;
    enum status status = basic_check_payload(payload, &error);
    if (status != STATUS_OK)
        return basic_fail(told, status, &error);
    if (payload.size == 0)
        value = (struct value){.type = VALUE_MAP};
    else
        reader_next(&reader, &value);
    if (value.type != VALUE_MAP && value.type != VALUE_ARRAY) {
        error_set(&error, "the payload is neither a map nor a list");
        return basic_fail(told, STATUS_INVALID, &error);
    }
    struct sos_map *map = value.type == VALUE_ARRAY ? sos_map_new_list() : sos_map_new();
    if (!map)
        return basic_fail(told, STATUS_NOMEM, &error);
    if (!take_entries(map, &reader, value.as.count, 1)) {
        status = map->failed ? STATUS_NOMEM : STATUS_INVALID;
        error_set(&error, "the payload nests deeper than %d, or has keys that are no texts",
                  MAP_DEPTH_MAX);
        sos_map_free(&map);
        return basic_fail(told, status, &error);
    }
    *map_p = map;
    return SOS_OK;
}

int
sos_text_to_payload(const char *text, struct sos_bytes *payload, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct buffer out;
    buffer_init(&out);
    pack_text(&out, basic_text(text));
    if (out.failed) {
        buffer_clear(&out);
        return basic_fail(told, STATUS_NOMEM, &error);
    }
    *payload = (struct sos_bytes){out.data, out.size}; /* malloc()ed; the caller's now */
    return SOS_OK;
}
