/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/idempotency.h"

#include <sodium.h>
#include <stdlib.h>

#include "kernel/assert.h"

/* value = kept at, wall_us, 8 bytes big-endian | hash of the body | reply */
enum {
    VALUE_HEAD = 8 + IDEMPOTENCY_HASH_SIZE,
    CLEAN_MAX = 512, /* twice what a batch can add, so that cleaning always catches up */
    RING_MIN = 64
};

struct kept {
    uint64_t wall_us;
    uint32_t size; /* of the row */
    uint8_t hash[IDEMPOTENCY_HASH_SIZE];
};

struct idempotency {
    struct idempotency_limits limits;
    struct kept *ring; /* oldest first from `first` */
    size_t capacity;   /* power of two */
    size_t first;
    size_t count;
    uint64_t bytes;
};

struct idempotency *
idempotency_new(struct idempotency_limits limits)
{
    struct idempotency *idempotency = calloc(1, sizeof *idempotency);
    if (idempotency)
        idempotency->limits = limits;
    return idempotency;
}

void
idempotency_destroy(struct idempotency **idempotency_p)
{
    if (!*idempotency_p)
        return;
    free((*idempotency_p)->ring);
    free(*idempotency_p);
    *idempotency_p = NULL;
}

static void
hash_text(crypto_generichash_state *state, struct text text)
{
    uint64_t size = text.size;
    crypto_generichash_update(state, (const uint8_t *)&size, sizeof size);
    crypto_generichash_update(state, (const uint8_t *)text.data, text.size);
}

void
idempotency_hash(struct text principal, struct text operation, struct text key,
                 uint8_t hash[static IDEMPOTENCY_HASH_SIZE])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, IDEMPOTENCY_HASH_SIZE);
    hash_text(&state, principal);
    hash_text(&state, operation);
    hash_text(&state, key);
    crypto_generichash_final(&state, hash, IDEMPOTENCY_HASH_SIZE);
}

void
idempotency_hash_body(struct bytes body, uint8_t hash[static IDEMPOTENCY_HASH_SIZE])
{
    crypto_generichash(hash, IDEMPOTENCY_HASH_SIZE, body.data, body.size, NULL, 0);
}

static uint64_t
read_time(const uint8_t *at)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

/* Also for a wall clock that stepped back: then nothing is old. */
static bool
is_old(const struct idempotency *idempotency, uint64_t kept_us, uint64_t wall_us)
{
    return wall_us > kept_us && wall_us - kept_us > idempotency->limits.keep_us;
}

enum status
idempotency_find(const struct idempotency *idempotency, struct overlay *overlay,
                 struct store *store, const uint8_t hash[static IDEMPOTENCY_HASH_SIZE],
                 const uint8_t body[static IDEMPOTENCY_HASH_SIZE], uint64_t wall_us,
                 struct buffer *reply, struct error *error)
{
    struct buffer value;
    buffer_init(&value);
    enum status status = overlay_get(overlay, store, STORE_SPACE_IDEMPOTENCY,
                                     (struct bytes){hash, IDEMPOTENCY_HASH_SIZE}, &value, error);
    if (status != STATUS_OK)
        goto out;
    if (value.size < VALUE_HEAD || is_old(idempotency, read_time(value.data), wall_us)) {
        status = STATUS_NOT_FOUND;
        goto out;
    }
    if (memcmp(value.data + 8, body, IDEMPOTENCY_HASH_SIZE) != 0) {
        error_set_word(error, "idempotency_key_reused",
                       "this idempotency key was used for a request with another body");
        status = STATUS_CONFLICT;
        goto out;
    }
    buffer_append(reply, value.data + VALUE_HEAD, value.size - VALUE_HEAD);
    if (reply->failed)
        status = STATUS_NOMEM;

out:
    buffer_clear(&value);
    return status;
}

enum status
idempotency_keep(struct overlay *overlay, const uint8_t hash[static IDEMPOTENCY_HASH_SIZE],
                 const uint8_t body[static IDEMPOTENCY_HASH_SIZE], uint64_t wall_us,
                 struct bytes reply)
{
    struct buffer value;
    buffer_init(&value);
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_append_byte(&value, (uint8_t)(wall_us >> shift));
    buffer_append(&value, body, IDEMPOTENCY_HASH_SIZE);
    buffer_append(&value, reply.data, reply.size);
    enum status status = value.failed ? STATUS_NOMEM
                                      : overlay_write(overlay, STORE_PUT, STORE_SPACE_IDEMPOTENCY,
                                                      (struct bytes){hash, IDEMPOTENCY_HASH_SIZE},
                                                      buffer_bytes(&value));
    buffer_clear(&value);
    return status;
}

static struct kept *
at(const struct idempotency *idempotency, size_t index)
{
    return &idempotency->ring[(idempotency->first + index) & (idempotency->capacity - 1)];
}

static bool
grow(struct idempotency *idempotency)
{
    size_t capacity = idempotency->capacity ? idempotency->capacity * 2 : RING_MIN;
    struct kept *ring = malloc(capacity * sizeof *ring);
    if (!ring)
        return false;
    for (size_t i = 0; i < idempotency->count; i++)
        ring[i] = *at(idempotency, i);
    free(idempotency->ring);
    idempotency->ring = ring;
    idempotency->capacity = capacity;
    idempotency->first = 0;
    return true;
}

enum status
idempotency_apply(struct idempotency *idempotency, struct bytes key, struct bytes value,
                  bool deleted, struct error *error)
{
    if (deleted) /* left the ring when it was cleaned */
        return STATUS_OK;
    if (key.size != IDEMPOTENCY_HASH_SIZE || value.size < VALUE_HEAD || value.size > UINT32_MAX) {
        error_set(error, "a kept answer of %zu bytes is too short to be one", value.size);
        return STATUS_STORE_FAILED;
    }
    if (idempotency->count == idempotency->capacity && !grow(idempotency))
        return STATUS_NOMEM;
    struct kept *kept = at(idempotency, idempotency->count++);
    kept->wall_us = read_time(value.data);
    kept->size = (uint32_t)(key.size + value.size);
    memcpy(kept->hash, key.data, IDEMPOTENCY_HASH_SIZE);
    idempotency->bytes += kept->size;
    return STATUS_OK;
}

static int
compare_age(const void *a, const void *b)
{
    const struct kept *left = a, *right = b;
    return left->wall_us < right->wall_us ? -1 : left->wall_us > right->wall_us;
}

void
idempotency_loaded(struct idempotency *idempotency)
{
    ASSERT(idempotency->first == 0);
    if (idempotency->count > 1)
        qsort(idempotency->ring, idempotency->count, sizeof *idempotency->ring, compare_age);
}

bool
idempotency_is_due(const struct idempotency *idempotency, uint64_t wall_us)
{
    return idempotency->count > 0 && (idempotency->count > idempotency->limits.rows_max ||
                                      idempotency->bytes > idempotency->limits.bytes_max ||
                                      is_old(idempotency, at(idempotency, 0)->wall_us, wall_us));
}

enum status
idempotency_clean(struct idempotency *idempotency, struct overlay *overlay, struct store *store,
                  uint64_t wall_us, struct error *error)
{
    struct buffer value;
    buffer_init(&value);
    enum status status = STATUS_OK;
    for (int i = 0; i < CLEAN_MAX && idempotency_is_due(idempotency, wall_us); i++) {
        const struct kept *kept = at(idempotency, 0);
        const struct bytes key = {kept->hash, IDEMPOTENCY_HASH_SIZE};
        buffer_reset(&value);
        status = overlay_get(overlay, store, STORE_SPACE_IDEMPOTENCY, key, &value, error);
        /* A key that was used again after its day has a younger row: that one stays. */
        if (status == STATUS_OK && value.size >= VALUE_HEAD &&
            read_time(value.data) == kept->wall_us)
            status = overlay_write(overlay, STORE_DELETE, STORE_SPACE_IDEMPOTENCY, key,
                                   (struct bytes){0});
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            break;
        status = STATUS_OK;
        idempotency->bytes -= kept->size;
        idempotency->first = (idempotency->first + 1) & (idempotency->capacity - 1);
        idempotency->count--;
    }
    buffer_clear(&value);
    return status;
}
