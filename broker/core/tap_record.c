/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tap_record.h"

#include "kernel/capability.h"

enum { TRACE_SIZE = 24 };

struct tap_header
tap_sighting_header(const struct tap_sighting *sighting)
{
    return (struct tap_header){
        .kind = sighting->kind ? text_of(kind_word(sighting->kind)) : (struct text){"", 0},
        .source = sighting->source,
        .target = sighting->target,
        .type = sighting->type,
        .verdict = sighting->verdict,
        .trace = {sighting->trace, sighting->has_trace ? sizeof sighting->trace : 0},
        .has_status = sighting->kind == KIND_REPLY || sighting->kind == KIND_ERROR,
        .status = sighting->status,
    };
}

/* A map whose absent entries are left out: its head is written when they are counted. There may be
 * hundreds of thousands a second, so what is bounded is written straight into room that was made
 * for all of it; pack.h takes several times as long. */
struct map {
    struct buffer *out;
    size_t head; /* where it stands: one byte and two of the count */
    uint8_t *at; /* where the next entry goes */
    uint16_t count;
};

enum {
    MAP_HEAD = 3,
    TEXT_MAX = 255,   /* of one value, its head aside */
    HEADER_MAX = 2048 /* all entries but the payload */
};

/* False: no memory. */
static bool
begin_map(struct map *map, struct buffer *out)
{
    if (!buffer_reserve(out, HEADER_MAX))
        return false;
    *map = (struct map){out, out->size, out->data + out->size + MAP_HEAD, 0};
    return true;
}

/* What was written belongs to the buffer from here on. */
static void
end_map(struct map *map)
{
    uint8_t *head = map->out->data + map->head;
    head[0] = 0xde;
    head[1] = (uint8_t)(map->count >> 8);
    head[2] = (uint8_t)map->count;
    map->out->size = (size_t)(map->at - map->out->data);
}

/* key: a literal of less than 32 bytes. */
#define add_key(map, key) add_short((map), "" key, sizeof(key) - 1)

static inline void
add_short(struct map *map, const char *text, size_t size)
{
    *map->at++ = (uint8_t)(0xa0 | size);
    memcpy(map->at, text, size);
    map->at += size;
}

static void
put_text(struct map *map, struct text value)
{
    size_t size = value.size < TEXT_MAX ? value.size : TEXT_MAX;
    if (size < 32) {
        *map->at++ = (uint8_t)(0xa0 | size);
    } else {
        *map->at++ = 0xd9;
        *map->at++ = (uint8_t)size;
    }
    memcpy(map->at, value.data, size);
    map->at += size;
    map->count++;
}

#define add_text(map, key, value)                                                                  \
    do {                                                                                           \
        const struct text text_to_add = (value);                                                   \
        if (text_to_add.size > 0) {                                                                \
            add_key(map, key);                                                                     \
            put_text(map, text_to_add);                                                            \
        }                                                                                          \
    } while (0)

static void
put_number(struct map *map, uint64_t value)
{
    unsigned size = value < 128           ? 0
                    : value <= UINT8_MAX  ? 1
                    : value <= UINT16_MAX ? 2
                    : value <= UINT32_MAX ? 4
                                          : 8;
    static const uint8_t heads[] = {[1] = 0xcc, [2] = 0xcd, [4] = 0xce, [8] = 0xcf};
    if (size == 0)
        *map->at++ = (uint8_t)value;
    else
        *map->at++ = heads[size];
    for (unsigned shift = 8 * size; shift > 0; shift -= 8)
        *map->at++ = (uint8_t)(value >> (shift - 8));
    map->count++;
}

#define add_number(map, key, value)                                                                \
    do {                                                                                           \
        add_key(map, key);                                                                         \
        put_number(map, value);                                                                    \
    } while (0)

#define add_positive(map, key, value)                                                              \
    do {                                                                                           \
        if ((value) > 0)                                                                           \
            add_number(map, key, value);                                                           \
    } while (0)

static uint8_t *
put_hex(uint8_t *at, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *at++ = (uint8_t)digits[bytes[i] >> 4];
        *at++ = (uint8_t)digits[bytes[i] & 15];
    }
    return at;
}

/* 8-4-4-4-12 digits. */
static void
put_uuid(struct map *map, const struct uuid *uuid)
{
    static const uint8_t parts[] = {4, 2, 2, 2, 6};
    const uint8_t *bytes = uuid->bytes;
    *map->at++ = 0xd9;
    *map->at++ = UUID_TEXT_SIZE - 1;
    for (size_t i = 0; i < sizeof parts; i++) {
        if (i > 0)
            *map->at++ = '-';
        map->at = put_hex(map->at, bytes, parts[i]);
        bytes += parts[i];
    }
    map->count++;
}

#define add_uuid(map, key, uuid)                                                                   \
    do {                                                                                           \
        if (!uuid_is_nil(uuid)) {                                                                  \
            add_key(map, key);                                                                     \
            put_uuid(map, uuid);                                                                   \
        }                                                                                          \
    } while (0)

static void
put_id(struct map *map, const uint8_t *bytes, size_t size)
{
    if (2 * size >= 32)
        *map->at++ = 0xd9;
    *map->at++ = (uint8_t)(2 * size >= 32 ? 2 * size : 0xa0 | (2 * size));
    map->at = put_hex(map->at, bytes, size);
    map->count++;
}

/* Never the token: it would let whoever reads the tap act. What is not plainly an id is parsed as
 * a token, and what is neither is not shown. */
static void
add_capability(struct map *map, struct text capability)
{
    if (capability.size == 0)
        return;
    if (capability.size <= CAPABILITY_ID_MAX && text_starts_with(capability, "cap_")) {
        add_text(map, "capability", capability);
        return;
    }
    struct capability *parsed = NULL;
    if (capability_parse(&parsed, capability, NULL) == STATUS_OK &&
        strlen(capability_id(parsed)) <= CAPABILITY_ID_MAX)
        add_text(map, "capability", text_of(capability_id(parsed)));
    else
        add_text(map, "capability", text_of("(unreadable)"));
    capability_destroy(&parsed);
}

static void
add_size_for_payload(struct map *map, const char *word, uint32_t size)
{
    add_text(map, "note", text_of(word));
    add_key(map, "payload");
    *map->at++ = 0x81; /* a map of one pair */
    add_short(map, word, strlen(word));
    put_number(map, size); /* counts as the entry */
}

/* The last entry: the buffer may move with it. */
static void
add_payload(struct map *map, const struct tap_sighting *sighting, const struct tap_secrets *secrets)
{
    if (sighting->payload_size == 0)
        return;
    if (sighting->payload.size == 0) {
        add_size_for_payload(map, "too_large", sighting->payload_size);
        return;
    }
    size_t entry = (size_t)(map->at - map->out->data);
    add_key(map, "payload");
    size_t start = (size_t)(map->at - map->out->data);
    map->out->size = start;
    enum tap_payload shown = tap_redact(secrets, sighting->type, sighting->payload, map->out);
    bool fits = shown != TAP_UNREADABLE && map->out->size - start <= TAP_PAYLOAD_MAX;
    if (map->out->failed || !buffer_reserve(map->out, HEADER_MAX))
        return; /* whoever packs looks at `failed` */
    if (!fits) {
        map->at = map->out->data + entry;
        add_size_for_payload(map, shown == TAP_UNREADABLE ? "unreadable" : "too_large",
                             sighting->payload_size);
        return;
    }
    map->at = map->out->data + map->out->size;
    map->count++;
    if (shown == TAP_REDACTED)
        add_text(map, "note", text_of("redacted"));
}

void
tap_record_pack(const struct tap_sighting *sighting, bool payload,
                const struct tap_secrets *secrets, struct buffer *out)
{
    struct map map;
    enum kind kind = sighting->kind;
    if (!begin_map(&map, out))
        return;
    add_number(&map, "at_us", sighting->at_us);
    add_text(&map, "direction", text_of(sighting->direction == TAP_IN ? "in" : "out"));
    if (kind)
        add_text(&map, "kind", text_of(kind_word(kind)));
    add_uuid(&map, "id", &sighting->id);
    add_uuid(&map, "correlation", &sighting->correlation);
    add_text(&map, "source", sighting->source);
    add_text(&map, "target", sighting->target);
    add_text(&map, "type", sighting->type);
    add_positive(&map, "ttl_ms", sighting->ttl_ms);
    if (sighting->has_trace) {
        add_key(&map, "trace");
        put_id(&map, sighting->trace, TRACE_ID_SIZE);
        add_key(&map, "span");
        put_id(&map, sighting->trace + TRACE_ID_SIZE, TRACE_SIZE - TRACE_ID_SIZE);
    }
    add_capability(&map, sighting->capability);
    if (kind == KIND_REPLY || kind == KIND_ERROR)
        add_number(&map, "status", sighting->status);
    if (kind == KIND_CHUNK || kind == KIND_CONTROL || kind == KIND_DELIVER || kind == KIND_EVENT ||
        kind == KIND_ACK)
        add_number(&map, "seq", sighting->seq);
    add_positive(&map, "attempt", sighting->attempt);
    add_text(&map, "principal", sighting->principal);
    add_number(&map, "size", sighting->size);
    add_text(&map, "verdict", sighting->verdict);
    if (payload)
        add_payload(&map, sighting, secrets);
    if (!out->failed)
        end_map(&map);
}
