/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/contract.h"

#include <math.h>

#include "kernel/assert.h"
#include "kernel/clock.h"
#include "kernel/refusal.h"

const char *
door_word(enum door door)
{
    static const char *const words[DOORS] = {
        [DOOR_ENGINE] = "engine", [DOOR_MEMORY] = "memory",     [DOOR_ECONOMY] = "economy",
        [DOOR_TOOLS] = "tools",   [DOOR_IDENTITY] = "identity", [DOOR_VOICE] = "voice",
    };

    ASSERT((unsigned)door < DOORS);
    return words[door];
}

const struct contract *
contract_find(struct text service)
{
    for (size_t i = 0; contracts[i]; i++)
        if (text_equal_string(service, contracts[i]->service))
            return contracts[i];
    return NULL;
}

const struct operation *
contract_operation(const struct contract *contract, struct text type)
{
    for (size_t i = 0; i < contract->operation_count; i++)
        if (text_equal_string(type, contract->operations[i].type))
            return &contract->operations[i];
    return NULL;
}

/* ---- checking one value */

static bool
has_control_characters(struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte < 0x20 || byte == 0x7f)
            return true;
        /* U+0080 to U+009F */
        if (byte == 0xc2 && i + 1 < text.size && (unsigned char)text.data[i + 1] < 0xa0)
            return true;
    }
    return false;
}

static bool
is_one_of(struct text text, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        if (text_equal_string(text, words[i]))
            return true;
    return false;
}

static bool
whole_of(const struct value *value, int64_t *out)
{
    if (value->type == VALUE_INT) {
        *out = value->as.integer;
        return true;
    }
    if (value->type == VALUE_UINT && value->as.uint <= INT64_MAX) {
        *out = (int64_t)value->as.uint;
        return true;
    }
    return false;
}

static bool
number_of(const struct value *value, double *out)
{
    switch (value->type) {
    case VALUE_UINT:
        *out = (double)value->as.uint;
        return true;
    case VALUE_INT:
        *out = (double)value->as.integer;
        return true;
    case VALUE_DOUBLE:
        *out = value->as.number;
        return isfinite(value->as.number);
    default:
        return false;
    }
}

/* JSON knows no binary data, no infinity, and only texts as keys. The depth is
 * bounded by value_parse. */
static bool
fits_json(const struct value *value)
{
    struct entries entries;
    struct value key, entry;

    switch (value->type) {
    case VALUE_NIL:
    case VALUE_BOOL:
    case VALUE_UINT:
    case VALUE_INT:
        return true;
    case VALUE_DOUBLE:
        return isfinite(value->as.number);
    case VALUE_TEXT:
        return text_is_utf8(value->as.text);
    case VALUE_ARRAY:
        entries = value_entries(value);
        while (entries_next(&entries, &entry))
            if (!fits_json(&entry))
                return false;
        return true;
    case VALUE_MAP:
        entries = value_entries(value);
        while (entries_next_pair(&entries, &key, &entry))
            if (key.type != VALUE_TEXT || !fits_json(&key) || !fits_json(&entry))
                return false;
        return true;
    case VALUE_BIN:
    case VALUE_EXT:
        break;
    }
    return false;
}

/* A text of the type's form; its size is the caller's to check. */
static bool
text_has_form(struct text text, enum field_type type)
{
    uint64_t wall_us;

    if (!text_is_utf8(text))
        return false;
    if (type == FIELD_IDENTITY)
        return text.size > 0 && !has_control_characters(text);
    return type != FIELD_TIMESTAMP || timestamp_parse(text, &wall_us);
}

static bool
item_fits(const struct field *field, const struct value *value)
{
    int64_t whole;
    double number;

    switch (field->item) {
    case FIELD_STRING:
    case FIELD_IDENTITY:
    case FIELD_UUID:
    case FIELD_TIMESTAMP:
    case FIELD_GLOB:
        return value->type == VALUE_TEXT && text_has_form(value->as.text, field->item) &&
               (!field->words || is_one_of(value->as.text, field->words));
    case FIELD_INTEGER:
    case FIELD_AMOUNT:
        return whole_of(value, &whole);
    case FIELD_NUMBER:
        return number_of(value, &number);
    case FIELD_BOOLEAN:
        return value->type == VALUE_BOOL;
    case FIELD_ANY:
    case FIELD_MAP:
    case FIELD_LIST:
        break;
    }
    return fits_json(value);
}

static enum status
check_list(const struct field *field, const struct value *value, struct error *error)
{
    struct value item;
    uint32_t index = 0;

    if (value->type != VALUE_ARRAY || value->as.count < field->size_min ||
        value->as.count > field->size_max)
        return refusal_value(field, value, error);

    struct entries entries = value_entries(value);
    for (; entries_next(&entries, &item); index++)
        if (!item_fits(field, &item))
            return refusal_item(field, &item, index, error);
    return STATUS_OK;
}

static enum status
check_map(const struct field *field, const struct value *value, struct error *error)
{
    if (value->type != VALUE_MAP || value->as.count < field->size_min ||
        value->as.count > field->size_max)
        return refusal_value(field, value, error);
    if (!fits_json(value))
        return refusal_as(field, "a map with a value that JSON cannot hold", error);
    return STATUS_OK;
}

static enum status
check_text(const struct field *field, const struct value *value, struct error *error)
{
    if (value->type != VALUE_TEXT)
        return refusal_value(field, value, error);

    struct text text = value->as.text;
    if (!text_is_utf8(text))
        return refusal_as(field, "text that is not UTF-8", error);
    if (text.size < field->size_min || text.size > field->size_max ||
        !text_has_form(text, field->type) || (field->words && !is_one_of(text, field->words)))
        return refusal_value(field, value, error);
    return STATUS_OK;
}

static enum status
check(const struct field *field, const struct value *value, struct error *error)
{
    int64_t whole;
    double number;
    bool good = false;

    switch (field->type) {
    case FIELD_STRING:
    case FIELD_IDENTITY:
    case FIELD_UUID:
    case FIELD_TIMESTAMP:
    case FIELD_GLOB:
        return check_text(field, value, error);
    case FIELD_MAP:
        return check_map(field, value, error);
    case FIELD_LIST:
        return check_list(field, value, error);
    case FIELD_INTEGER:
    case FIELD_AMOUNT:
        good = whole_of(value, &whole) && whole >= field->min && whole <= field->max;
        break;
    case FIELD_NUMBER:
        good =
            number_of(value, &number) && number >= field->number_min && number <= field->number_max;
        break;
    case FIELD_BOOLEAN:
        good = value->type == VALUE_BOOL;
        break;
    case FIELD_ANY:
        good = fits_json(value);
        break;
    }
    return good ? STATUS_OK : refusal_value(field, value, error);
}

/* ---- the whole payload */

static bool
find_field(const struct operation *operation, struct text name, size_t *index)
{
    for (size_t i = 0; i < operation->field_count; i++)
        if (text_equal_string(name, operation->fields[i].name)) {
            *index = i;
            return true;
        }
    return false;
}

/* With duplicate keys the first counts, as in value_find. */
static void
collect(const struct operation *operation, struct arguments *arguments)
{
    struct entries entries = value_entries(&arguments->map);
    struct value key, value;
    size_t index;

    while (entries_next_pair(&entries, &key, &value))
        if (key.type == VALUE_TEXT && find_field(operation, key.as.text, &index) &&
            !arguments->present[index]) {
            arguments->present[index] = true;
            arguments->values[index] = value;
        }
}

static enum status
settle(const struct field *field, bool *present, struct value *value, struct error *error)
{
    if (*present && value->type == VALUE_NIL && (field->flags & FIELD_NULLABLE))
        *present = false;
    if (*present)
        return check(field, value, error);
    if (field->flags & FIELD_REQUIRED)
        return refusal_missing(field, error);
    if (field->fallback.size > 0) {
        *present = value_parse(field->fallback, value);
        ASSERT(*present);
    }
    return STATUS_OK;
}

enum status
contract_validate(const struct operation *operation, struct bytes payload,
                  struct arguments *arguments, struct error *error)
{
    static const uint8_t empty_map[] = {0x80};
    struct arguments found = {.operation = operation};

    ASSERT(operation->field_count <= ARGUMENTS_MAX);
    if (payload.size == 0)
        payload = (struct bytes){empty_map, sizeof empty_map};
    if (!value_parse(payload, &found.map)) {
        error_set(error, "the payload is not one whole msgpack value");
        return STATUS_INVALID;
    }
    if (found.map.type != VALUE_MAP) {
        error_set_field(error, "body", "came no map, expected a map of fields");
        return STATUS_VALIDATION;
    }

    collect(operation, &found);
    for (size_t i = 0; i < operation->field_count; i++) {
        enum status status =
            settle(&operation->fields[i], &found.present[i], &found.values[i], error);
        if (status != STATUS_OK)
            return status;
    }
    *arguments = found;
    return STATUS_OK;
}

/* ---- typed access */

static bool
is_text_type(enum field_type type)
{
    return type == FIELD_STRING || type == FIELD_IDENTITY || type == FIELD_UUID ||
           type == FIELD_TIMESTAMP || type == FIELD_GLOB;
}

static enum field_type
type_of(const struct arguments *arguments, unsigned field)
{
    ASSERT(field < arguments->operation->field_count);
    return arguments->operation->fields[field].type;
}

struct text
arguments_text(const struct arguments *arguments, unsigned field)
{
    ASSERT(is_text_type(type_of(arguments, field)));
    return arguments->present[field] ? arguments->values[field].as.text : text_of("");
}

int64_t
arguments_integer(const struct arguments *arguments, unsigned field)
{
    enum field_type type = type_of(arguments, field);
    int64_t whole = 0;

    ASSERT(type == FIELD_INTEGER || type == FIELD_AMOUNT);
    if (arguments->present[field])
        (void)whole_of(&arguments->values[field], &whole);
    return whole;
}

double
arguments_number(const struct arguments *arguments, unsigned field)
{
    double number = 0;

    ASSERT(type_of(arguments, field) == FIELD_NUMBER);
    if (arguments->present[field])
        (void)number_of(&arguments->values[field], &number);
    return number;
}

bool
arguments_boolean(const struct arguments *arguments, unsigned field)
{
    ASSERT(type_of(arguments, field) == FIELD_BOOLEAN);
    return arguments->present[field] && arguments->values[field].as.boolean;
}

bool
arguments_has(const struct arguments *arguments, unsigned field)
{
    ASSERT(field < arguments->operation->field_count);
    return arguments->present[field];
}

void
contract_resource(const struct operation *operation, const struct arguments *arguments,
                  struct buffer *out)
{
    const char *at = operation->capability_resource;
    size_t index;

    ASSERT(at);
    for (;;) {
        const char *open = strchr(at, '{');
        const char *close = open ? strchr(open, '}') : NULL;
        if (!close)
            break;
        buffer_append_text(out, (struct text){at, (size_t)(open - at)});
        struct text name = {open + 1, (size_t)(close - open - 1)};
        if (find_field(operation, name, &index) && is_text_type(operation->fields[index].type))
            buffer_append_text(out, arguments_text(arguments, (unsigned)index));
        at = close + 1;
    }
    buffer_append_string(out, at);
}
