/* SPDX-License-Identifier: Apache-2.0 */
/* Maps and lists as trees: texts are kept NUL-terminated, which msgpack's are not. */
#include "sdk/c/sos_map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/message.h"

/* ---- life */

static struct sos_map *
map_new(bool list)
{
    struct sos_map *map = calloc(1, sizeof *map);
    if (!map)
        return NULL;
    map->list = list;
    buffer_init(&map->packed);
    return map;
}

struct sos_map *
sos_map_new(void)
{
    return map_new(false);
}

struct sos_map *
sos_map_new_list(void)
{
    return map_new(true);
}

static void
clear_node(struct map_node *node)
{
    if (node->type == SOS_TYPE_TEXT || node->type == SOS_TYPE_BYTES)
        free(node->as.data.bytes);
    else if (node->type == SOS_TYPE_MAP || node->type == SOS_TYPE_LIST)
        sos_map_free(&node->as.map);
    free(node->key);
}

void
sos_map_free(struct sos_map **map_p)
{
    struct sos_map *map = map_p ? *map_p : NULL;
    if (!map)
        return;
    *map_p = NULL;
    for (size_t i = 0; i < map->count; i++)
        clear_node(&map->nodes[i]);
    free(map->nodes);
    buffer_clear(&map->packed);
    free(map);
}

/* ---- putting */

static struct map_node *
find_key(const struct sos_map *map, const char *key, size_t size)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->nodes[i].key_size == size && memcmp(map->nodes[i].key, key, size) == 0)
            return &map->nodes[i];
    return NULL;
}

static char *
copy(const void *data, size_t size)
{
    char *bytes = malloc(size + 1);
    if (!bytes)
        return NULL;
    if (size)
        memcpy(bytes, data, size);
    bytes[size] = '\0';
    return bytes;
}

static struct map_node *
add_node(struct sos_map *map)
{
    if (map->count == map->capacity) {
        size_t capacity = map->capacity ? map->capacity * 2 : 8;
        struct map_node *nodes = realloc(map->nodes, capacity * sizeof *nodes);
        if (!nodes)
            return NULL;
        map->nodes = nodes;
        map->capacity = capacity;
    }
    struct map_node *node = &map->nodes[map->count++];
    *node = (struct map_node){.type = SOS_TYPE_NIL};
    return node;
}

struct map_node *
map_put(struct sos_map *map, const char *key, size_t key_size, bool fresh)
{
    if (!map)
        return NULL;
    map->dirty = true;
    /* In a list keys do not count, in a map each entry has one. */
    if (!map->list && !key) {
        map->failed = true;
        return NULL;
    }
    struct map_node *node = map->list || fresh ? NULL : find_key(map, key, key_size);
    char *kept = map->list ? NULL : node ? node->key : copy(key, key_size);
    if (!map->list && !kept) {
        map->failed = true;
        return NULL;
    }
    if (node) {
        node->key = NULL;
        clear_node(node);
        *node = (struct map_node){.type = SOS_TYPE_NIL};
    } else {
        node = add_node(map);
    }
    if (!node) {
        free(kept);
        map->failed = true;
        return NULL;
    }
    node->key = kept;
    node->key_size = map->list ? 0 : key_size;
    return node;
}

static struct map_node *
put(struct sos_map *map, const char *key, enum sos_type type)
{
    struct map_node *node = map_put(map, key, key ? strlen(key) : 0, false);
    if (node)
        node->type = type;
    return node;
}

void
map_set_data(struct sos_map *map, struct map_node *node, enum sos_type type, const void *data,
             size_t size)
{
    char *bytes = copy(data, size);
    if (!bytes) {
        map->failed = true;
        return;
    }
    node->type = type;
    node->as.data.bytes = bytes;
    node->as.data.size = size;
}

static void
put_data(struct sos_map *map, const char *key, enum sos_type type, const void *data, size_t size)
{
    struct map_node *node = put(map, key, SOS_TYPE_NIL);
    if (node)
        map_set_data(map, node, type, data, size);
}

void
sos_map_put_text(struct sos_map *map, const char *key, const char *text)
{
    if (text)
        put_data(map, key, SOS_TYPE_TEXT, text, strlen(text));
    else
        sos_map_put_nil(map, key);
}

void
sos_map_put_int(struct sos_map *map, const char *key, int64_t number)
{
    struct map_node *node = put(map, key, SOS_TYPE_INT);
    if (node) {
        node->negative = number < 0;
        node->as.number = (uint64_t)number;
    }
}

void
sos_map_put_uint(struct sos_map *map, const char *key, uint64_t number)
{
    struct map_node *node = put(map, key, SOS_TYPE_INT);
    if (node)
        node->as.number = number;
}

void
sos_map_put_double(struct sos_map *map, const char *key, double number)
{
    struct map_node *node = put(map, key, SOS_TYPE_DOUBLE);
    if (node)
        node->as.real = number;
}

void
sos_map_put_bool(struct sos_map *map, const char *key, bool value)
{
    struct map_node *node = put(map, key, SOS_TYPE_BOOL);
    if (node)
        node->as.boolean = value;
}

void
sos_map_put_bytes(struct sos_map *map, const char *key, const void *data, size_t size)
{
    put_data(map, key, SOS_TYPE_BYTES, data, size);
}

void
sos_map_put_nil(struct sos_map *map, const char *key)
{
    put(map, key, SOS_TYPE_NIL);
}

void
sos_map_put_map(struct sos_map *map, const char *key, struct sos_map **nested_p)
{
    struct sos_map *nested = *nested_p;
    *nested_p = NULL;
    struct map_node *node = put(map, key, SOS_TYPE_NIL);
    if (!node || !nested) {
        if (map && !nested)
            map->failed = true; /* it ran out of memory when it was made */
        sos_map_free(&nested);
        return;
    }
    map->failed = map->failed || nested->failed;
    node->type = nested->list ? SOS_TYPE_LIST : SOS_TYPE_MAP;
    node->as.map = nested;
}

void
sos_map_put_payload(struct sos_map *map, const char *key, struct sos_bytes payload)
{
    struct map_node *node = put(map, key, SOS_TYPE_NIL);
    if (node && payload.size &&
        !map_take_value(map, node, (struct bytes){payload.data, payload.size}))
        map->failed = true;
}

/* ---- getting */

static const struct map_node *
find_index(const struct sos_map *list, const char *digits, size_t size)
{
    size_t index = 0;
    if (size == 0 || size > 9)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return NULL;
        index = index * 10 + (size_t)(digits[i] - '0');
    }
    return index < list->count ? &list->nodes[index] : NULL;
}

static const struct map_node *
find_step(const struct sos_map *map, const char *step, size_t size)
{
    return map->list ? find_index(map, step, size) : find_key(map, step, size);
}

static bool
is_nest(const struct map_node *node)
{
    return node->type == SOS_TYPE_MAP || node->type == SOS_TYPE_LIST;
}

/* The longest key that the path begins with counts, so that keys with points are found. */
static const struct map_node *
find(const struct sos_map *map, const char *path)
{
    while (map && path) {
        size_t size = strlen(path);
        const struct map_node *node = find_step(map, path, size);
        if (node)
            return node;
        do {
            while (size > 0 && path[size - 1] != '.')
                size--;
            if (size == 0)
                return NULL;
            size--;
            node = find_step(map, path, size);
        } while (!node || !is_nest(node));
        map = node->as.map;
        path += size + 1;
    }
    return NULL;
}

enum sos_type
sos_map_type(const struct sos_map *map, const char *path)
{
    const struct map_node *node = find(map, path);
    return node ? node->type : SOS_TYPE_NONE;
}

const char *
sos_map_text(const struct sos_map *map, const char *path)
{
    const struct map_node *node = find(map, path);
    return node && node->type == SOS_TYPE_TEXT ? node->as.data.bytes : NULL;
}

struct sos_bytes
sos_map_bytes(const struct sos_map *map, const char *path)
{
    const struct map_node *node = find(map, path);
    if (!node || (node->type != SOS_TYPE_TEXT && node->type != SOS_TYPE_BYTES))
        return (struct sos_bytes){0};
    return (struct sos_bytes){node->as.data.bytes, node->as.data.size};
}

int64_t
sos_map_int(const struct sos_map *map, const char *path, int64_t fallback)
{
    const struct map_node *node = find(map, path);
    if (!node || node->type != SOS_TYPE_INT)
        return fallback;
    if (!node->negative && node->as.number > INT64_MAX)
        return fallback;
    return (int64_t)node->as.number;
}

uint64_t
sos_map_uint(const struct sos_map *map, const char *path, uint64_t fallback)
{
    const struct map_node *node = find(map, path);
    return node && node->type == SOS_TYPE_INT && !node->negative ? node->as.number : fallback;
}

double
sos_map_double(const struct sos_map *map, const char *path, double fallback)
{
    const struct map_node *node = find(map, path);
    if (node && node->type == SOS_TYPE_DOUBLE)
        return node->as.real;
    if (node && node->type == SOS_TYPE_INT)
        return node->negative ? (double)(int64_t)node->as.number : (double)node->as.number;
    return fallback;
}

bool
sos_map_bool(const struct sos_map *map, const char *path, bool fallback)
{
    const struct map_node *node = find(map, path);
    return node && node->type == SOS_TYPE_BOOL ? node->as.boolean : fallback;
}

const struct sos_map *
sos_map_get(const struct sos_map *map, const char *path)
{
    const struct map_node *node = find(map, path);
    return node && is_nest(node) ? node->as.map : NULL;
}

size_t
sos_map_count(const struct sos_map *map)
{
    return map ? map->count : 0;
}

const char *
sos_map_key(const struct sos_map *map, size_t index)
{
    return map && index < map->count ? map->nodes[index].key : NULL;
}
