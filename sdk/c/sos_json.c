/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in by jansson (the kernel's own parser is C++), JSON out by the kernel's writer. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/json.h"
#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"
#include "sdk/c/sos_map.h"

static bool append(struct buffer *out, const json_t *json, int depth);

static bool
append_object(struct buffer *out, const json_t *json, int depth)
{
    const char *key;
    json_t *member;
    pack_map(out, (uint32_t)json_object_size(json));
    json_object_foreach((json_t *)(uintptr_t)json, key, member)
    {
        pack_string(out, key);
        if (!append(out, member, depth + 1))
            return false;
    }
    return true;
}

static bool
append_array(struct buffer *out, const json_t *json, int depth)
{
    size_t count = json_array_size(json);
    pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        if (!append(out, json_array_get(json, i), depth + 1))
            return false;
    return true;
}

/* False: too deep. */
static bool
append(struct buffer *out, const json_t *json, int depth)
{
    if (depth > MAP_DEPTH_MAX)
        return false;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return append_object(out, json, depth);
    case JSON_ARRAY:
        return append_array(out, json, depth);
    case JSON_STRING:
        pack_text(out, (struct text){json_string_value(json), json_string_length(json)});
        break;
    case JSON_INTEGER:
        if (json_integer_value(json) < 0)
            pack_int(out, json_integer_value(json));
        else
            pack_uint(out, (uint64_t)json_integer_value(json));
        break;
    case JSON_REAL:
        pack_double(out, json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        pack_bool(out, json_is_true(json));
        break;
    case JSON_NULL:
        pack_nil(out);
        break;
    }
    return true;
}

static enum status
pack_json(const char *text, struct buffer *out, struct error *error)
{
    json_error_t reason;
    json_t *json = json_loads(text ? text : "",
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &reason);
    if (!json) {
        error_set(error, "not JSON: line %d column %d: %s", reason.line, reason.column,
                  reason.text);
        return STATUS_INVALID;
    }
    bool shallow = append(out, json, 1);
    json_decref(json);
    if (!shallow) {
        error_set(error, "nests deeper than %d", MAP_DEPTH_MAX);
        return STATUS_INVALID;
    }
    return out->failed ? STATUS_NOMEM : STATUS_OK;
}

int
sos_json_to_payload(const char *json, struct sos_bytes *payload, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct buffer out;
    buffer_init(&out);
    enum status status = pack_json(json, &out, &error);
    if (status != STATUS_OK) {
        buffer_clear(&out);
        return basic_fail(told, status, &error);
    }
    *payload = (struct sos_bytes){out.data, out.size}; /* malloc()ed; the caller's now */
    return SOS_OK;
}

int
sos_map_from_json(struct sos_map **map_p, const char *json, struct sos_error *told)
{
    struct sos_bytes payload = {0};
    int result = sos_json_to_payload(json, &payload, told);
    if (result == SOS_OK)
        result = sos_map_parse(map_p, payload, told);
    sos_bytes_free(&payload);
    return result;
}

int
sos_payload_to_json(struct sos_bytes payload, char **json_p, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct buffer out;
    buffer_init(&out);
    enum status status = basic_check_payload(payload, &error);
    if (status == STATUS_OK && payload.size == 0)
        buffer_append_string(&out, "null");
    else if (status == STATUS_OK)
        status = msgpack_to_json((struct bytes){payload.data, payload.size}, &out, &error);
    buffer_append_byte(&out, '\0');
    if (status == STATUS_OK && out.failed)
        status = STATUS_NOMEM;
    if (status != STATUS_OK) {
        buffer_clear(&out);
        return basic_fail(told, status, &error);
    }
    *json_p = (char *)out.data;
    return SOS_OK;
}

char *
sos_map_to_json(const struct sos_map *map)
{
    char *json = NULL;
    sos_payload_to_json(sos_map_payload(map), &json, NULL);
    return json;
}
