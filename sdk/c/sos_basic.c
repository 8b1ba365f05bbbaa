/* SPDX-License-Identifier: Apache-2.0 */
/* Results, bytes, ids: what every function of sos.h speaks. */
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

const char *
sos_version(void)
{
    return SOS_VERSION;
}

/* ---- results */

static enum status
status_of(int status)
{
    return status < 0 ? STATUS_UNKNOWN : status_from_code((uint64_t)status);
}

const char *
sos_status_word(int status)
{
    return status_word(status_of(status));
}

const char *
sos_status_text(int status)
{
    return status_text(status_of(status));
}

int
basic_fail(struct sos_error *told, enum status status, const struct error *error)
{
    if (!told)
        return (int)status;
    const char *message = *error->message ? error->message : status_text(status);
    const char *word = *error->word ? error->word : status_word(status);
    *told = (struct sos_error){.status = (int)status};
    error_copy_text(told->message, sizeof told->message, text_of(message));
    error_copy_text(told->word, sizeof told->word, text_of(word));
    error_copy_text(told->field, sizeof told->field, text_of(error->field));
    return (int)status;
}

bool
basic_is_transient(enum status status)
{
    return status == STATUS_BUSY || status == STATUS_NOMEM || status == STATUS_UNAVAILABLE ||
           status == STATUS_STORE_FAILED || status == STATUS_RATE_LIMITED;
}

/* ---- bytes */

void
sos_bytes_free(struct sos_bytes *bytes)
{
    if (!bytes)
        return;
    free((void *)(uintptr_t)bytes->data);
    *bytes = (struct sos_bytes){0};
}

bool
basic_copy(struct bytes bytes, struct sos_bytes *copy)
{
    *copy = (struct sos_bytes){0};
    if (bytes.size == 0)
        return true;
    void *data = malloc(bytes.size);
    if (!data)
        return false;
    memcpy(data, bytes.data, bytes.size);
    *copy = (struct sos_bytes){data, bytes.size};
    return true;
}

struct text
basic_text(const char *text)
{
    return text_of(text ? text : "");
}

enum status
basic_check_payload(struct sos_bytes payload, struct error *error)
{
    if (payload.size == 0)
        return STATUS_OK;
    if (!payload.data) { /* sos_map_payload() of a map that failed */
        error_set(error, "the map could not be made: out of memory, an entry without a key, or a "
                         "part that is no msgpack value");
        return STATUS_NOMEM;
    }
    if (payload.size > RECORD_SIZE_MAX) {
        error_set(error, "the payload has %zu bytes, a record at most %d", payload.size,
                  RECORD_SIZE_MAX);
        return STATUS_TOO_LARGE;
    }
    struct reader reader = reader_of((struct bytes){payload.data, payload.size});
    if (reader_skip(&reader) && reader.at == reader.end)
        return STATUS_OK;
    error_set(error, "the payload of %zu bytes is not one msgpack value", payload.size);
    return STATUS_INVALID;
}

/* ---- ids */

static struct uuid
uuid_of(const struct sos_id *id)
{
    struct uuid uuid;
    memcpy(uuid.bytes, id->bytes, sizeof uuid.bytes);
    return uuid;
}

void
sos_id_text(const struct sos_id *id, char text[SOS_ID_TEXT_SIZE])
{
    _Static_assert((int)SOS_ID_TEXT_SIZE == (int)UUID_TEXT_SIZE, "one form of UUIDs");
    struct uuid uuid = uuid_of(id);
    uuid_format(&uuid, text);
}

bool
sos_id_parse(const char *text, struct sos_id *id)
{
    struct uuid uuid;
    if (!uuid_parse(basic_text(text), &uuid))
        return false;
    memcpy(id->bytes, uuid.bytes, sizeof id->bytes);
    return true;
}

bool
sos_id_is_none(const struct sos_id *id)
{
    struct uuid uuid = uuid_of(id);
    return uuid_is_nil(&uuid);
}

/* ---- traces */

static bool
parse_hex(const char *hex, uint8_t *out, size_t size)
{
    bool set = false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit_value(hex[2 * i]);
        int low = high < 0 ? -1 : hex_digit_value(hex[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        set = set || out[i];
    }
    return set;
}

enum status
basic_trace(const char *given, struct trace *trace, struct error *error)
{
    enum { ID_AT = 3, SPAN_AT = 36, FLAGS_AT = 52, TRACEPARENT = 55, ID_ALONE = 32 };
    *trace = (struct trace){0};
    if (!given || !*given)
        return STATUS_OK;
    struct trace parsed = {.sampled = true};
    size_t size = strlen(given);
    if (size == ID_ALONE && parse_hex(given, parsed.trace_id, sizeof parsed.trace_id)) {
        *trace = trace_child(&parsed);
        return STATUS_OK;
    }
    if (size == TRACEPARENT && given[ID_AT - 1] == '-' && given[SPAN_AT - 1] == '-' &&
        given[FLAGS_AT] == '-' && parse_hex(given + ID_AT, parsed.trace_id, 16) &&
        parse_hex(given + SPAN_AT, parsed.span_id, 8)) {
        *trace = trace_child(&parsed);
        return STATUS_OK;
    }
    error_set_field(error, "trace", "expected a W3C traceparent or 32 hexadecimal digits");
    return STATUS_INVALID;
}

struct bytes
basic_trace_bytes(const struct trace *trace, uint8_t bytes[static TRACE_PACKED])
{
    if (!trace_is_set(trace))
        return (struct bytes){0};
    memcpy(bytes, trace->trace_id, sizeof trace->trace_id);
    memcpy(bytes + sizeof trace->trace_id, trace->span_id, sizeof trace->span_id);
    return (struct bytes){bytes, TRACE_PACKED};
}
