/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/c/sos_map.h - the inside of struct sos_map, for the files that read and write it. */
#ifndef SOS_SDK_SOS_MAP_H
#define SOS_SDK_SOS_MAP_H

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"
#include "sdk/c/sos.h"

enum { MAP_DEPTH_MAX = 32 };

struct map_node {
    char *key; /* NULL in a list */
    size_t key_size;
    enum sos_type type;
    bool negative; /* INT: number is an int64_t */
    union {
        bool boolean;
        uint64_t number;
        double real;
        struct {
            char *bytes; /* with a NUL behind */
            size_t size;
        } data;
        struct sos_map *map;
    } as;
};

struct sos_map {
    bool list;
    bool failed; /* memory ran out */
    bool dirty;  /* packed is old */
    struct map_node *nodes;
    size_t count;
    size_t capacity;
    struct buffer packed;
};

/* The node for a key, nil, to be filled; replaces unless the key is known to be fresh. NULL: out of
 * memory, the map has failed. */
struct map_node *map_put(struct sos_map *map, const char *key, size_t key_size, bool fresh);
void map_set_data(struct sos_map *map, struct map_node *node, enum sos_type type, const void *data,
                  size_t size);

/* ---- sos_map_pack.c */
/* Fills a nil node with a packed value; false: not one whole value, too deep, or out of memory. */
bool map_take_value(struct sos_map *map, struct map_node *node, struct bytes value);
void map_pack(const struct sos_map *map, struct buffer *out);

#endif
