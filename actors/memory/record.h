/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/record.h - the stored rows: memories, and apart from them how often each was read,
 * so that reading one writes a few bytes and touches no index.
 *
 * Values are msgpack arrays that begin with their version. */
#ifndef SOS_MEMORY_RECORD_H
#define SOS_MEMORY_RECORD_H

#include "kernel/error.h"
#include "store/store.h"

enum {
    SPACE_MEMORIES = 1, /* key: the memory's id, 16 bytes */
    SPACE_ACCESSES = 2, /* the same key; no row: never read */

    RECORD_CONTENT_MAX = 65536,
    RECORD_METADATA_MAX = 65536, /* packed */
    RECORD_METADATA_DEPTH_MAX = 16
};

#define MEMORY_TYPE_MAP(X)                                                                         \
    X(ENGRAM, "engram")                                                                            \
    X(FACT, "fact")                                                                                \
    X(EPISODE, "episode")                                                                          \
    X(SKILL, "skill")                                                                              \
    X(CONTEXT, "context")

enum memory_type {
#define MEMORY_TYPE_ENUM(id, word) MEMORY_##id,
    MEMORY_TYPE_MAP(MEMORY_TYPE_ENUM)
#undef MEMORY_TYPE_ENUM
        MEMORY_TYPES
};

const char *memory_type_word(enum memory_type type); /* static */
bool memory_type_find(struct text word, enum memory_type *type);

/* A view: text and metadata borrow from the row or the request. */
struct record {
    struct text agent_id;
    struct text content;
    enum memory_type type;
    double importance;
    uint64_t created_us;
    struct bytes metadata; /* one packed map */
};

struct access {
    uint64_t count;
    uint64_t accessed_us; /* 0: never */
};

/* VALIDATION naming the field: larger or deeper than what a record holds. */
enum status record_check_metadata(struct bytes metadata, struct error *error);

void record_encode(const struct record *record, struct buffer *out);
void access_encode(const struct access *access, struct buffer *out);

/* Any bytes are safe. INVALID: what is wrong and what was expected; the output is as before. */
enum status record_decode(struct record *record, struct bytes row, struct error *error);
enum status access_decode(struct access *access, struct bytes row, struct error *error);
enum status record_key_decode(struct uuid *id, struct bytes key, struct error *error);

static inline struct bytes
record_key(const struct uuid *id)
{
    return (struct bytes){id->bytes, sizeof id->bytes};
}

#endif
