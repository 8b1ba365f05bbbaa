/* SPDX-License-Identifier: Apache-2.0 */
/* A file is a run of frames, one for each call that revoked:
 *   magic (8) | payload size (u32) | BLAKE2b over size and payload (16) | payload
 * A payload is a run of entries: expires_us (u64) | size of the id (u8) | id. Numbers are little
 * endian. One frame is written at once, so a torn write can only damage the last one. */
#include "kernel/revocation_form.h"

#include <sodium.h>

enum {
    MAGIC_SIZE = 8,
    LENGTH_SIZE = 4,
    HASH_SIZE = 16,
    HEAD_SIZE = MAGIC_SIZE + LENGTH_SIZE + HASH_SIZE,
    ENTRY_HEAD_SIZE = 9,
    PAYLOAD_MAX = REVOCATIONS_MAX * (ENTRY_HEAD_SIZE + CAPABILITY_ID_MAX)
};

static const uint8_t magic[MAGIC_SIZE] = {'S', 'O', 'S', 'R', 'V', 'K', 'D', '1'};

/* ---- packing */

static void
put_number(struct buffer *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer_append_byte(out, (uint8_t)(number >> 8 * i));
}

static void
hash_payload(const uint8_t length[static LENGTH_SIZE], struct bytes payload,
             uint8_t hash[static HASH_SIZE])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
    crypto_generichash_update(&state, length, LENGTH_SIZE);
    if (payload.size > 0)
        crypto_generichash_update(&state, payload.data, payload.size);
    crypto_generichash_final(&state, hash, HASH_SIZE);
}

void
revocation_form_pack(struct buffer *out, const struct revocation *list, size_t count)
{
    uint8_t hash[HASH_SIZE];
    size_t start = out->size;
    static const uint8_t no_hash[HASH_SIZE];
    buffer_append(out, magic, sizeof magic);
    put_number(out, 0, LENGTH_SIZE);
    buffer_append(out, no_hash, sizeof no_hash);
    for (size_t i = 0; i < count; i++) {
        put_number(out, list[i].expires_us, 8);
        put_number(out, list[i].id.size, 1);
        buffer_append_text(out, list[i].id);
    }
    if (out->failed)
        return;
    uint8_t *length = out->data + start + MAGIC_SIZE;
    struct bytes payload = {out->data + start + HEAD_SIZE, out->size - start - HEAD_SIZE};
    for (size_t i = 0; i < LENGTH_SIZE; i++)
        length[i] = (uint8_t)(payload.size >> 8 * i);
    hash_payload(length, payload, hash);
    memcpy(length + LENGTH_SIZE, hash, sizeof hash);
}

/* ---- reading */

static uint64_t
get_number(const uint8_t *at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = size; i > 0; i--)
        number = number << 8 | at[i - 1];
    return number;
}

/* Is a whole frame at the beginning of these bytes? Then this is its payload. */
static bool
find_frame(struct bytes bytes, struct bytes *payload)
{
    uint8_t hash[HASH_SIZE];
    if (bytes.size < HEAD_SIZE || memcmp(bytes.data, magic, sizeof magic) != 0)
        return false;
    const uint8_t *length = bytes.data + MAGIC_SIZE;
    size_t size = (size_t)get_number(length, LENGTH_SIZE);
    if (size > PAYLOAD_MAX || size > bytes.size - HEAD_SIZE)
        return false;
    *payload = (struct bytes){bytes.data + HEAD_SIZE, size};
    hash_payload(length, *payload, hash);
    return memcmp(length + LENGTH_SIZE, hash, sizeof hash) == 0;
}

static struct bytes
behind(struct bytes bytes, size_t size)
{
    return (struct bytes){bytes.data + size, bytes.size - size};
}

static bool
is_frame_within(struct bytes bytes)
{
    struct bytes payload;
    while (bytes.size >= HEAD_SIZE) {
        const uint8_t *at = memchr(bytes.data, magic[0], bytes.size);
        if (!at)
            return false;
        bytes = behind(bytes, (size_t)(at - bytes.data));
        if (find_frame(bytes, &payload))
            return true;
        bytes = behind(bytes, 1);
    }
    return false;
}

static enum status
take_entries(struct bytes payload, revocation_take_fn *take, void *context, struct error *error)
{
    while (payload.size > 0) {
        size_t size = payload.size < ENTRY_HEAD_SIZE ? 0 : payload.data[ENTRY_HEAD_SIZE - 1];
        if (size == 0 || size > CAPABILITY_ID_MAX || size > payload.size - ENTRY_HEAD_SIZE) {
            error_set(error, "an entry has another form");
            return STATUS_VALIDATION;
        }
        const struct revocation revocation = {
            .id = {(const char *)payload.data + ENTRY_HEAD_SIZE, size},
            .expires_us = get_number(payload.data, 8)};
        enum status status = take(context, &revocation, error);
        if (status != STATUS_OK)
            return status;
        payload = behind(payload, ENTRY_HEAD_SIZE + size);
    }
    return STATUS_OK;
}

enum status
revocation_form_read(struct bytes bytes, revocation_take_fn *take, void *context, size_t *whole,
                     struct error *error)
{
    size_t offset = 0;
    enum status status = STATUS_OK;
    struct bytes payload;
    while (status == STATUS_OK && offset < bytes.size) {
        struct bytes rest = behind(bytes, offset);
        if (find_frame(rest, &payload)) {
            status = take_entries(payload, take, context, error);
            offset += HEAD_SIZE + payload.size;
        } else if (is_frame_within(behind(rest, 1))) {
            error_set(error, "damaged, with more behind that is whole");
            status = STATUS_VALIDATION;
        } else {
            break;
        }
    }
    if (status == STATUS_OK)
        *whole = offset;
    else if (status == STATUS_VALIDATION)
        error_wrap(error, "at byte %zu", offset);
    return status;
}
