/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/message.h"

#include <stdio.h>

#include "kernel/assert.h"
#include "kernel/identity.h"
#include "kernel/pack.h"

enum {
    LENGTH_SIZE = 4,
    HEADER_LENGTH_SIZE = 2,
    HEADER_FIELDS = 17,
    HEADER_FIELDS_MIN = 4,
    UUID_SIZE = sizeof(struct uuid),
    TRACE_SIZE = 24,
    /* More than a header's heads, numbers, ids and trace can take (117 bytes). */
    HEADER_FIXED_MAX = 128
};

const char *
kind_word(enum kind kind)
{
    switch (kind) {
#define KIND_WORD(id, number, word)                                                                \
    case KIND_##id:                                                                                \
        return word;
        KIND_MAP(KIND_WORD)
#undef KIND_WORD
    }
    return "unknown";
}

/* Walks the header's fields. Each take_ reads one field into *out, leaves *out alone when the
 * field is missing or nil, and notes what was wrong when it fails. */
struct walk {
    struct reader reader;
    uint32_t left;
    const char *field;
    const char *expected;
};

static bool
fail_field(struct walk *walk, const char *field, const char *expected)
{
    walk->field = field;
    walk->expected = expected;
    return false;
}

/* Is there nothing to take? Passes over a nil. */
static inline bool
is_absent(struct walk *walk)
{
    if (walk->left == 0)
        return true;
    walk->left--;
    if (walk->reader.at == walk->reader.end || *walk->reader.at != 0xC0)
        return false;
    walk->reader.at++;
    return true;
}

static inline bool
take_u64(struct walk *walk, const char *field, uint64_t *out)
{
    struct value value;
    if (is_absent(walk))
        return true;
    /* Most numbers of a header are small: one byte that is the number. */
    if (walk->reader.at != walk->reader.end && *walk->reader.at < 0x80) {
        *out = *walk->reader.at++;
        return true;
    }
    if (!reader_next(&walk->reader, &value) || value.type != VALUE_UINT)
        return fail_field(walk, field, "an unsigned integer");
    *out = value.as.uint;
    return true;
}

static inline bool
take_u32(struct walk *walk, const char *field, uint32_t *out)
{
    uint64_t number = *out;
    if (!take_u64(walk, field, &number))
        return false;
    if (number > UINT32_MAX)
        return fail_field(walk, field, "an integer of at most 32 bits");
    *out = (uint32_t)number;
    return true;
}

/* The field's `size` bytes in bin's short form, the one that writers use for them; NULL when it
 * is anything else. */
static inline const uint8_t *
take_bin8(struct walk *walk, uint8_t size)
{
    const uint8_t *at = walk->reader.at;
    if (walk->reader.end - at < 2 + size || at[0] != 0xC4 || at[1] != size)
        return NULL;
    walk->reader.at += 2 + size;
    return at + 2;
}

static inline const uint8_t *
take_bin(struct walk *walk, uint8_t size)
{
    const uint8_t *data = take_bin8(walk, size);
    if (data)
        return data;

    struct value value;
    if (!reader_next(&walk->reader, &value) || value.type != VALUE_BIN || value.as.bin.size != size)
        return NULL;
    return value.as.bin.data;
}

static inline bool
take_uuid(struct walk *walk, const char *field, struct uuid *out)
{
    if (is_absent(walk))
        return true;
    const uint8_t *data = take_bin(walk, UUID_SIZE);
    if (!data)
        return fail_field(walk, field, "16 bytes of bin");
    memcpy(out->bytes, data, UUID_SIZE);
    return true;
}

static inline bool
take_trace(struct walk *walk, const char *field, struct bytes *out)
{
    if (is_absent(walk))
        return true;
    const uint8_t *data = take_bin(walk, TRACE_SIZE);
    if (!data)
        return fail_field(walk, field, "24 bytes of bin or nil");
    *out = (struct bytes){data, TRACE_SIZE};
    return true;
}

/* Of one or two bytes of head, the forms of nearly every name; false leaves the walk alone. */
static inline bool
take_short_text(struct walk *walk, struct text *out)
{
    const uint8_t *at = walk->reader.at;
    size_t left = (size_t)(walk->reader.end - at), size;

    if (left >= 1 && (at[0] & 0xE0) == 0xA0) {
        size = at[0] & 0x1F;
        at += 1;
        left -= 1;
    } else if (left >= 2 && at[0] == 0xD9) {
        size = at[1];
        at += 2;
        left -= 2;
    } else {
        return false;
    }
    if (size > left)
        return false;
    *out = (struct text){(const char *)at, size};
    walk->reader.at = at + size;
    return true;
}

static inline bool
take_text(struct walk *walk, const char *field, size_t size_max, struct text *out)
{
    struct text text;
    struct value value;

    if (is_absent(walk))
        return true;
    if (!take_short_text(walk, &text)) {
        if (!reader_next(&walk->reader, &value) || value.type != VALUE_TEXT)
            return fail_field(walk, field, "text or nil");
        text = value.as.text;
    }
    if (text.size > size_max)
        return fail_field(walk, field, "a shorter text");
    *out = text;
    return true;
}

static inline bool
take_utf8(struct walk *walk, const char *field, size_t size_max, struct text *out)
{
    return take_text(walk, field, size_max, out) &&
           (text_is_utf8(*out) || fail_field(walk, field, "UTF-8"));
}

static inline bool
take_identity(struct walk *walk, const char *field, struct text *out)
{
    struct identity identity;
    return take_text(walk, field, MESSAGE_NAME_MAX, out) &&
           (text_is_empty(*out) || identity_parse(*out, &identity, NULL) == STATUS_OK ||
            fail_field(walk, field, "an identity <type>:<name>"));
}

static bool
take_map(struct walk *walk, const char *field, struct bytes *out)
{
    if (is_absent(walk))
        return true;

    struct value value;
    struct reader head = walk->reader;
    const uint8_t *from = walk->reader.at;
    if (!reader_next(&head, &value) || value.type != VALUE_MAP || !reader_skip(&walk->reader))
        return fail_field(walk, field, "a well-formed map or nil");
    *out = (struct bytes){from, (size_t)(walk->reader.at - from)};
    return true;
}

static inline bool
take_version(struct walk *walk, struct message *message)
{
    return take_u32(walk, "version", &message->version) &&
           (message->version == MESSAGE_VERSION || fail_field(walk, "version", "1"));
}

static inline bool
take_kind(struct walk *walk, struct message *message)
{
    uint32_t kind = 0;
    if (!take_u32(walk, "kind", &kind))
        return false;
    if (kind < KIND_HELLO || kind > KIND_ERROR)
        return fail_field(walk, "kind", "a number from 1 to 18");
    message->kind = (enum kind)kind;
    return true;
}

static inline bool
is_nil(const struct walk *walk)
{
    return walk->reader.at != walk->reader.end && *walk->reader.at == 0xC0;
}

/* These say what the record is: never nil. */
static inline bool
take_required(struct walk *walk, struct message *message)
{
    if (!take_version(walk, message) || !take_kind(walk, message))
        return false;
    if (is_nil(walk))
        return fail_field(walk, "flags", "an unsigned integer");
    if (!take_u32(walk, "flags", &message->flags))
        return false;
    if (is_nil(walk))
        return fail_field(walk, "id", "16 bytes of bin");
    return take_uuid(walk, "id", &message->id);
}

static bool
take_later_fields(struct walk *walk)
{
    for (; walk->left > 0; walk->left--)
        if (!reader_skip(&walk->reader))
            return fail_field(walk, "a later field", "a well-formed value");
    return true;
}

/* The head of the header; up to 15 fields it is one byte. */
static inline bool
take_array(struct walk *walk)
{
    struct value array;
    const uint8_t *at = walk->reader.at;

    if (at != walk->reader.end && (*at & 0xF0) == 0x90) {
        walk->left = *at & 0x0F;
        walk->reader.at++;
        return true;
    }
    if (!reader_next(&walk->reader, &array) || array.type != VALUE_ARRAY)
        return false;
    walk->left = array.as.count;
    return true;
}

static bool
take_header(struct walk *walk, struct message *message)
{
    if (!take_array(walk))
        return fail_field(walk, "header", "an array");
    if (walk->left < HEADER_FIELDS_MIN)
        return fail_field(walk, "header", "at least 4 fields");

    if (!take_required(walk, message) || !take_uuid(walk, "correlation", &message->correlation) ||
        !take_identity(walk, "source", &message->source))
        return false;
    if (text_is_empty(message->source))
        return fail_field(walk, "source", "an identity <type>:<name>");
    if (!take_identity(walk, "target", &message->target) ||
        !take_utf8(walk, "type", MESSAGE_TYPE_MAX, &message->type) ||
        !take_u64(walk, "timestamp", &message->timestamp_us) ||
        !take_u32(walk, "ttl_ms", &message->ttl_ms) ||
        !take_trace(walk, "trace", &message->trace) ||
        !take_utf8(walk, "capability", MESSAGE_CAPABILITY_MAX, &message->capability) ||
        !take_u32(walk, "status", &message->status) || !take_u64(walk, "seq", &message->seq) ||
        !take_utf8(walk, "principal", MESSAGE_NAME_MAX, &message->principal) ||
        !take_map(walk, "metadata", &message->metadata) ||
        !take_u32(walk, "attempt", &message->attempt) || !take_later_fields(walk))
        return false;
    if (walk->reader.at != walk->reader.end)
        return fail_field(walk, "header", "nothing behind its array");
    return true;
}

enum status
message_decode(struct message *message, struct bytes frame, size_t *used, struct error *error)
{
    *used = 0;
    if (frame.size < LENGTH_SIZE) {
        error_set(error, "record: %zu bytes, expected a length of 4", frame.size);
        return STATUS_INVALID;
    }

    const uint8_t *at = frame.data;
    size_t length = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    if (length > RECORD_SIZE_MAX - LENGTH_SIZE) {
        error_set(error, "record: length %zu, expected at most %d", length,
                  RECORD_SIZE_MAX - LENGTH_SIZE);
        return STATUS_TOO_LARGE;
    }
    if (length < HEADER_LENGTH_SIZE) {
        error_set(error, "record: length %zu, expected at least 2", length);
        return STATUS_INVALID;
    }
    if (length > frame.size - LENGTH_SIZE) {
        error_set(error, "record: length %zu, but the frame ends after %zu bytes", length,
                  frame.size - LENGTH_SIZE);
        return STATUS_INVALID;
    }

    *used = LENGTH_SIZE + length;
    memset(message, 0, sizeof *message);
    message->raw = (struct bytes){at, *used};
    size_t header_size = (size_t)at[4] << 8 | at[5];
    if (header_size > length - HEADER_LENGTH_SIZE) {
        error_set(error, "record: header length %zu, expected at most %zu", header_size,
                  length - HEADER_LENGTH_SIZE);
        return STATUS_INVALID;
    }

    struct bytes header = {at + RECORD_OVERHEAD, header_size};
    struct walk walk = {.reader = reader_of(header)};
    if (!take_header(&walk, message)) {
        *message = (struct message){.id = message->id, .raw = message->raw};
        error_set(error, "record: %s: expected %s", walk.field, walk.expected);
        return STATUS_INVALID;
    }
    message->payload =
        (struct bytes){header.data + header_size, length - HEADER_LENGTH_SIZE - header_size};
    return STATUS_OK;
}

/* How many header fields to write: up to the last one that is not empty. */
static uint32_t
count_fields(const struct message *message)
{
    const bool is_set[HEADER_FIELDS] = {
        [3] = true,
        [4] = !uuid_is_nil(&message->correlation),
        [5] = message->source.size > 0,
        [6] = message->target.size > 0,
        [7] = message->type.size > 0,
        [8] = message->timestamp_us > 0,
        [9] = message->ttl_ms > 0,
        [10] = message->trace.size > 0,
        [11] = message->capability.size > 0,
        [12] = message->status > 0,
        [13] = message->seq > 0,
        [14] = message->principal.size > 0,
        [15] = message->metadata.size > 0,
        [16] = message->attempt > 0,
    };
    uint32_t count = HEADER_FIELDS;
    while (!is_set[count - 1])
        count--;
    return count;
}

/* Writers into room that was reserved for the largest header: a record is encoded for each thing
 * that is said, so nothing asks for room byte by byte. Each returns where the next begins. */
static inline uint8_t *
put_big_endian(uint8_t *at, uint64_t value, unsigned bytes)
{
    while (bytes > 0)
        *at++ = (uint8_t)(value >> (8 * --bytes));
    return at;
}

static inline uint8_t *
put_nil(uint8_t *at)
{
    *at = 0xC0;
    return at + 1;
}

static inline uint8_t *
put_uint(uint8_t *at, uint64_t value)
{
    if (value < 0x80) {
        *at = (uint8_t)value;
        return at + 1;
    }
    unsigned form = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
    *at = (uint8_t)(0xCC + form);
    return put_big_endian(at + 1, value, 1u << form);
}

static inline uint8_t *
put_bytes(uint8_t *at, const void *data, size_t size)
{
    if (size > 0)
        memcpy(at, data, size);
    return at + size;
}

/* At most 255 bytes, and an id's 16 or a trace's 24 are. */
static inline uint8_t *
put_bin(uint8_t *at, const void *data, size_t size)
{
    *at++ = 0xC4;
    *at++ = (uint8_t)size;
    return put_bytes(at, data, size);
}

static inline uint8_t *
put_uuid_or_nil(uint8_t *at, const struct uuid *uuid)
{
    return uuid_is_nil(uuid) ? put_nil(at) : put_bin(at, uuid->bytes, UUID_SIZE);
}

/* At most 65535 bytes. */
static inline uint8_t *
put_text_or_nil(uint8_t *at, struct text text)
{
    if (text.size == 0)
        return put_nil(at);
    if (text.size < 32) {
        *at++ = (uint8_t)(0xA0 | text.size);
    } else if (text.size <= UINT8_MAX) {
        *at++ = 0xD9;
        *at++ = (uint8_t)text.size;
    } else {
        *at++ = 0xDA;
        at = put_big_endian(at, text.size, 2);
    }
    return put_bytes(at, text.data, text.size);
}

static uint8_t *
put_field(uint8_t *at, const struct message *message, uint32_t field)
{
    switch (field) {
    case 4:
        return put_uuid_or_nil(at, &message->correlation);
    case 5:
        return put_text_or_nil(at, message->source);
    case 6:
        return put_text_or_nil(at, message->target);
    case 7:
        return put_text_or_nil(at, message->type);
    case 8:
        return put_uint(at, message->timestamp_us);
    case 9:
        return put_uint(at, message->ttl_ms);
    case 10:
        return message->trace.size ? put_bin(at, message->trace.data, TRACE_SIZE) : put_nil(at);
    case 11:
        return put_text_or_nil(at, message->capability);
    case 12:
        return put_uint(at, message->status);
    case 13:
        return put_uint(at, message->seq);
    case 14:
        return put_text_or_nil(at, message->principal);
    case 15:
        return message->metadata.size
                   ? put_bytes(at, message->metadata.data, message->metadata.size)
                   : put_nil(at);
    default:
        return put_uint(at, message->attempt);
    }
}

static uint8_t *
put_header(uint8_t *at, const struct message *message)
{
    uint32_t count = count_fields(message);
    if (count > 15) {
        *at++ = 0xDC;
        at = put_big_endian(at, count, 2);
    } else {
        *at++ = (uint8_t)(0x90 | count);
    }
    at = put_uint(at, MESSAGE_VERSION);
    at = put_uint(at, (uint64_t)message->kind);
    at = put_uint(at, message->flags);
    at = put_bin(at, message->id.bytes, UUID_SIZE);
    for (uint32_t field = HEADER_FIELDS_MIN; field < count; field++)
        at = put_field(at, message, field);
    return at;
}

static enum status
check_size(const char *field, size_t size, size_t size_max, struct error *error)
{
    if (size <= size_max)
        return STATUS_OK;
    error_set(error, "record: %s: %zu bytes, expected at most %zu", field, size, size_max);
    return STATUS_TOO_LARGE;
}

static enum status
check_sizes(const struct message *message, struct error *error)
{
    const struct {
        const char *field;
        size_t size, size_max;
    } limits[] = {
        {"source", message->source.size, MESSAGE_NAME_MAX},
        {"target", message->target.size, MESSAGE_NAME_MAX},
        {"type", message->type.size, MESSAGE_TYPE_MAX},
        {"capability", message->capability.size, MESSAGE_CAPABILITY_MAX},
        {"principal", message->principal.size, MESSAGE_NAME_MAX},
        {"metadata", message->metadata.size, UINT16_MAX},
        {"payload", message->payload.size, RECORD_SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        enum status status = check_size(limits[i].field, limits[i].size, limits[i].size_max, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status
message_encode(struct buffer *out, const struct message *message, struct error *error)
{
    ASSERT(message->trace.size == 0 || message->trace.size == TRACE_SIZE);

    size_t start = out->size;
    enum status status = check_sizes(message, error);
    if (status != STATUS_OK)
        return status;

    size_t size_most = RECORD_OVERHEAD + HEADER_FIXED_MAX + message->source.size +
                       message->target.size + message->type.size + message->capability.size +
                       message->principal.size + message->metadata.size + message->payload.size;
    if (!buffer_reserve(out, size_most)) {
        error_set(error, "record of %zu bytes: out of memory", size_most);
        return STATUS_NOMEM;
    }

    uint8_t *at = out->data + start;
    uint8_t *header_end = put_header(at + RECORD_OVERHEAD, message);
    size_t header_size = (size_t)(header_end - at) - RECORD_OVERHEAD;
    ASSERT(header_size + RECORD_OVERHEAD + message->payload.size <= size_most);
    size_t record_size = RECORD_OVERHEAD + header_size + message->payload.size;

    status = check_size("header", header_size, UINT16_MAX, error);
    if (status == STATUS_OK)
        status = check_size("all of it", record_size, RECORD_SIZE_MAX, error);
    if (status != STATUS_OK)
        return status;
    put_bytes(header_end, message->payload.data, message->payload.size);
    put_big_endian(at, record_size - LENGTH_SIZE, LENGTH_SIZE);
    put_big_endian(at + LENGTH_SIZE, header_size, HEADER_LENGTH_SIZE);
    out->size = start + record_size;
    return STATUS_OK;
}

void
error_pack(struct buffer *out, enum status status, const struct error *error)
{
    bool has_field = error && error->field[0];

    pack_map(out, has_field ? 3 : 2);
    pack_pair_string(out, "message",
                     error && error->message[0] ? error->message : status_text(status));
    pack_pair_string(out, "detail", error && error->word[0] ? error->word : status_word(status));
    if (has_field) {
        pack_string(out, "context");
        pack_map(out, 1);
        pack_pair_string(out, "field", error->field);
    }
}

void
error_unpack(struct bytes payload, struct error *error)
{
    struct value map, context;
    struct text message = {0}, word = {0}, field = {0};

    if (!error)
        return;
    if (value_parse(payload, &map)) {
        value_find_text(&map, "message", &message);
        value_find_text(&map, "detail", &word);
        if (value_find(&map, "context", &context))
            value_find_text(&context, "field", &field);
    }
    error_copy_text(error->message, sizeof error->message, message);
    error_copy_text(error->word, sizeof error->word, word);
    error_copy_text(error->field, sizeof error->field, field);
}
