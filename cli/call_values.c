/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/call_values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "kernel/pack.h"

static const char *const type_words[] = {
    [FIELD_ANY] = "any",       [FIELD_STRING] = "string",   [FIELD_INTEGER] = "integer",
    [FIELD_NUMBER] = "number", [FIELD_BOOLEAN] = "boolean", [FIELD_IDENTITY] = "identity",
    [FIELD_UUID] = "uuid",     [FIELD_AMOUNT] = "amount",   [FIELD_TIMESTAMP] = "timestamp",
    [FIELD_GLOB] = "glob",     [FIELD_MAP] = "map",         [FIELD_LIST] = "list",
};

struct assignment {
    struct text name;
    const char *value;
    bool is_json;
    const struct field *field;
    bool packed; /* as an item of an earlier one's list */
};

/* One msgpack map as it grows. */
struct map {
    struct buffer entries;
    uint32_t count;
};

void
call_values_type(const struct field *field, struct buffer *out)
{
    buffer_append_string(out, type_words[field->type]);
    if (field->type == FIELD_LIST && field->item != FIELD_ANY)
        buffer_append_format(out, " of %s", type_words[field->item]);
}

static const struct field *
find_field(const struct operation *operation, struct text name)
{
    for (size_t i = 0; i < operation->field_count; i++)
        if (text_equal_string(name, operation->fields[i].name))
            return &operation->fields[i];
    return NULL;
}

static enum status
unknown_field(const struct operation *operation, struct text name, struct error *error)
{
    struct buffer names;
    buffer_init(&names);
    for (size_t i = 0; i < operation->field_count; i++)
        buffer_append_format(&names, "%s%s", i ? ", " : "", operation->fields[i].name);
    error_set(error, "%.*s: %s.%s has no such field; it has: %.*s",
              (int)(name.size > 64 ? 64 : name.size), name.data, operation->service,
              operation->name, TEXT_ARGS(buffer_text(&names)));
    buffer_clear(&names);
    return STATUS_VALIDATION;
}

static enum status
split(const struct operation *operation, const char *argument, struct assignment *assignment,
      struct error *error)
{
    const char *equals = strchr(argument, '=');
    if (!equals || equals == argument || (equals == argument + 1 && *argument == ':')) {
        error_set(error, "came '%.64s', expected FIELD=TEXT or FIELD:=JSON", argument);
        return STATUS_VALIDATION;
    }
    bool is_json = equals[-1] == ':';
    *assignment = (struct assignment){
        .name = {argument, (size_t)(equals - argument) - (is_json ? 1 : 0)},
        .value = equals + 1,
        .is_json = is_json,
    };
    assignment->field = find_field(operation, assignment->name);
    return assignment->field ? STATUS_OK : unknown_field(operation, assignment->name, error);
}

/* ---- one value */

static enum status
refuse(const struct field *field, const char *text, const char *expected, struct error *error)
{
    if (field->flags & FIELD_SECRET)
        error_set_field(error, field->name, "expected %s", expected);
    else
        error_set_field(error, field->name, "came '%.64s', expected %s", text, expected);
    return STATUS_VALIDATION;
}

static enum status
pack_json(const struct field *field, const char *text, struct buffer *out, struct error *error)
{
    struct json_parser *parser = json_parser_new();
    if (!parser)
        return STATUS_NOMEM;
    enum status status = json_to_msgpack(parser, text_of(text), out, error);
    if (status != STATUS_OK)
        error_wrap(error, "%s", field->name);
    json_parser_destroy(&parser);
    return status == STATUS_INVALID ? STATUS_VALIDATION : status;
}

static enum status
pack_integer(const struct field *field, const char *text, struct buffer *out, struct error *error)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return refuse(field, text, "a whole number", error);
    pack_int(out, number);
    return STATUS_OK;
}

static enum status
pack_number(const struct field *field, const char *text, struct buffer *out, struct error *error)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !isfinite(number))
        return refuse(field, text, "a number", error);
    pack_double(out, number);
    return STATUS_OK;
}

static enum status
pack_boolean(const struct field *field, const char *text, struct buffer *out, struct error *error)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return refuse(field, text, "true or false", error);
    pack_bool(out, *text == 't');
    return STATUS_OK;
}

static enum status
pack_as(const struct field *field, enum field_type type, const char *text, struct buffer *out,
        struct error *error)
{
    switch (type) {
    case FIELD_INTEGER:
    case FIELD_AMOUNT:
        return pack_integer(field, text, out, error);
    case FIELD_NUMBER:
        return pack_number(field, text, out, error);
    case FIELD_BOOLEAN:
        return pack_boolean(field, text, out, error);
    case FIELD_MAP:
    case FIELD_LIST:
        return pack_json(field, text, out, error);
    default:
        if (!text_is_utf8(text_of(text)))
            return refuse(field, "bytes", "UTF-8 text", error);
        pack_string(out, text);
        return STATUS_OK;
    }
}

/* ---- the map */

static enum status
add_items(struct assignment *assignments, size_t count, size_t first, struct map *map,
          struct error *error)
{
    const struct field *field = assignments[first].field;
    struct buffer items;
    buffer_init(&items);
    uint32_t item_count = 0;
    enum status status = STATUS_OK;
    for (size_t i = first; i < count && status == STATUS_OK; i++) {
        if (assignments[i].field != field || assignments[i].is_json)
            continue;
        assignments[i].packed = true;
        item_count++;
        status = pack_as(field, field->item, assignments[i].value, &items, error);
    }
    if (status == STATUS_OK) {
        pack_array(&map->entries, item_count);
        buffer_append(&map->entries, items.data, items.size);
        map->entries.failed |= items.failed;
    }
    buffer_clear(&items);
    return status;
}

static enum status
check_once(const struct assignment *assignments, size_t index, const struct value *body,
           struct error *error)
{
    const struct assignment *assignment = &assignments[index];
    struct value found;
    bool twice = value_find(body, assignment->field->name, &found);
    for (size_t i = 0; i < index; i++)
        twice = twice || assignments[i].field == assignment->field;
    if (!twice)
        return STATUS_OK;
    error_set_field(error, assignment->field->name, "given more than once");
    return STATUS_VALIDATION;
}

static enum status
add_assignments(struct assignment *assignments, size_t count, const struct value *body,
                struct map *map, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct assignment *assignment = &assignments[i];
        if (assignment->packed)
            continue;
        enum status status = check_once(assignments, i, body, error);
        if (status != STATUS_OK)
            return status;
        pack_string(&map->entries, assignment->field->name);
        map->count++;
        if (assignment->is_json)
            status = pack_json(assignment->field, assignment->value, &map->entries, error);
        else if (assignment->field->type == FIELD_LIST)
            status = add_items(assignments, count, i, map, error);
        else
            status = pack_as(assignment->field, assignment->field->type, assignment->value,
                             &map->entries, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status
parse_body(struct text body, struct buffer *packed, struct value *value, struct error *error)
{
    if (body.size == 0) {
        pack_map(packed, 0);
    } else {
        struct json_parser *parser = json_parser_new();
        if (!parser)
            return STATUS_NOMEM;
        enum status status = json_to_msgpack(parser, body, packed, error);
        json_parser_destroy(&parser);
        if (status != STATUS_OK) {
            error_wrap(error, "--json-body");
            return status;
        }
    }
    if (!value_parse(buffer_bytes(packed), value) || value->type != VALUE_MAP) {
        error_set(error, "--json-body: expected a JSON object");
        return STATUS_VALIDATION;
    }
    return STATUS_OK;
}

static enum status
pack_request(const struct operation *operation, const struct value *body, struct map *map,
             struct buffer *out, struct error *error)
{
    size_t before = out->size;
    pack_map(out, body->as.count + map->count);
    struct entries entries = value_entries(body);
    buffer_append(out, entries.reader.at, (size_t)(entries.reader.end - entries.reader.at));
    buffer_append(out, map->entries.data, map->entries.size);
    if (out->failed || map->entries.failed) {
        error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    struct arguments arguments;
    return contract_validate(operation, (struct bytes){out->data + before, out->size - before},
                             &arguments, error);
}

enum status
call_values_pack(const struct operation *operation, struct text body,
                 const char *const *assignments, size_t count, struct buffer *out,
                 struct error *error)
{
    struct assignment split_up[CALL_VALUES_MAX];
    if (count > CALL_VALUES_MAX) {
        error_set(error, "more than %d fields", CALL_VALUES_MAX);
        return STATUS_VALIDATION;
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = split(operation, assignments[i], &split_up[i], error);
    if (status != STATUS_OK)
        return status;

    struct buffer packed;
    struct value value;
    struct map map = {.count = 0};
    buffer_init(&packed);
    buffer_init(&map.entries);
    status = parse_body(body, &packed, &value, error);
    if (status == STATUS_OK)
        status = add_assignments(split_up, count, &value, &map, error);
    if (status == STATUS_OK)
        status = pack_request(operation, &value, &map, out, error);
    buffer_clear(&map.entries);
    buffer_clear(&packed);
    return status;
}
