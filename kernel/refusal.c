/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/refusal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SHOWN_MAX = 48,  /* bytes of a foreign text that a message shows */
    CAME_SIZE = 128, /* "came …" */
    BOUND_SIZE = 32, /* one number */
    EXPECTED_SIZE = 256
};

/* ---- what came, in words */

/* The fewest digits that read back as the same number; a whole one keeps its ".0". */
static void
show_double(char *text, size_t size, double value)
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, size, "%.*g", digits, value);
        if (!(strtod(text, NULL) < value) && !(strtod(text, NULL) > value))
            break;
    }
    if (isfinite(value) && !strpbrk(text, ".e"))
        (void)snprintf(text + strlen(text), size - strlen(text), ".0");
}

static void
show_text(char came[static CAME_SIZE], struct text text)
{
    char shown[SHOWN_MAX + 1];

    error_copy_text(shown, sizeof shown, text);
    if (text.size > SHOWN_MAX)
        (void)snprintf(came, CAME_SIZE, "\"%s…\" (text of %zu bytes)", shown, text.size);
    else
        (void)snprintf(came, CAME_SIZE, "\"%s\" (text)", shown);
}

static void
show_value(char came[static CAME_SIZE], const struct value *value)
{
    char number[BOUND_SIZE];

    switch (value->type) {
    case VALUE_NIL:
        (void)snprintf(came, CAME_SIZE, "null");
        break;
    case VALUE_BOOL:
        (void)snprintf(came, CAME_SIZE, "%s (boolean)", value->as.boolean ? "true" : "false");
        break;
    case VALUE_UINT:
        (void)snprintf(came, CAME_SIZE, "%llu (number)", (unsigned long long)value->as.uint);
        break;
    case VALUE_INT:
        (void)snprintf(came, CAME_SIZE, "%lld (number)", (long long)value->as.integer);
        break;
    case VALUE_DOUBLE:
        show_double(number, sizeof number, value->as.number);
        (void)snprintf(came, CAME_SIZE, "%s (number)", number);
        break;
    case VALUE_TEXT:
        show_text(came, value->as.text);
        break;
    case VALUE_BIN:
        (void)snprintf(came, CAME_SIZE, "binary data");
        break;
    case VALUE_ARRAY:
        (void)snprintf(came, CAME_SIZE, "a list of %u", value->as.count);
        break;
    case VALUE_MAP:
        (void)snprintf(came, CAME_SIZE, "a map of %u", value->as.count);
        break;
    case VALUE_EXT:
        (void)snprintf(came, CAME_SIZE, "an extension value");
        break;
    }
}

/* A secret's kind may be told, its content and length may not. */
static const char *
kind_of(enum value_type type)
{
    static const char *const kinds[] = {
        [VALUE_NIL] = "null",
        [VALUE_BOOL] = "a hidden boolean",
        [VALUE_UINT] = "a hidden number",
        [VALUE_INT] = "a hidden number",
        [VALUE_DOUBLE] = "a hidden number",
        [VALUE_TEXT] = "a hidden text",
        [VALUE_BIN] = "hidden binary data",
        [VALUE_ARRAY] = "a hidden list",
        [VALUE_MAP] = "a hidden map",
        [VALUE_EXT] = "a hidden extension value",
    };

    return kinds[type];
}

/* ---- what was expected, in words */

static void
describe_range(char *out, size_t size, const char *what, const char *low, const char *high)
{
    if (low && high)
        (void)snprintf(out, size, "%s from %s to %s", what, low, high);
    else if (low)
        (void)snprintf(out, size, "%s of at least %s", what, low);
    else if (high)
        (void)snprintf(out, size, "%s of at most %s", what, high);
    else
        (void)snprintf(out, size, "%s", what);
}

static void
describe_whole(char *out, size_t size, const char *what, const struct field *field)
{
    char low[BOUND_SIZE], high[BOUND_SIZE];

    (void)snprintf(low, sizeof low, "%lld", (long long)field->min);
    (void)snprintf(high, sizeof high, "%lld", (long long)field->max);
    describe_range(out, size, what, field->min > INT64_MIN ? low : NULL,
                   field->max < INT64_MAX ? high : NULL);
}

static void
describe_bound(char *out, double bound)
{
    show_double(out, BOUND_SIZE, bound);
    size_t length = strlen(out);
    if (length > 2 && strcmp(out + length - 2, ".0") == 0)
        out[length - 2] = '\0';
}

static void
describe_number(char *out, size_t size, const struct field *field)
{
    char low[BOUND_SIZE], high[BOUND_SIZE];

    describe_bound(low, field->number_min);
    describe_bound(high, field->number_max);
    describe_range(out, size, "a number", field->number_min > -DBL_MAX ? low : NULL,
                   field->number_max < DBL_MAX ? high : NULL);
}

static void
describe_size(char *out, size_t size, const char *what, const struct field *field, const char *unit)
{
    if (field->size_min == field->size_max)
        (void)snprintf(out, size, "%s of %u %s", what, field->size_max, unit);
    else if (field->size_min == 0)
        (void)snprintf(out, size, "%s of at most %u %s", what, field->size_max, unit);
    else
        (void)snprintf(out, size, "%s of %u to %u %s", what, field->size_min, field->size_max,
                       unit);
}

static void
describe_words(char *out, size_t size, const char *const *words)
{
    size_t used = (size_t)snprintf(out, size, "one of ");

    for (size_t i = 0; words[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "", words[i]);
}

static const char *
items_word(enum field_type item)
{
    switch (item) {
    case FIELD_INTEGER:
    case FIELD_AMOUNT:
        return "whole numbers";
    case FIELD_NUMBER:
        return "numbers";
    case FIELD_BOOLEAN:
        return "booleans";
    case FIELD_STRING:
        return "texts";
    case FIELD_IDENTITY:
        return "identities";
    case FIELD_UUID:
        return "ids";
    case FIELD_TIMESTAMP:
        return "times";
    case FIELD_GLOB:
        return "patterns";
    case FIELD_ANY:
    case FIELD_MAP:
    case FIELD_LIST:
        break;
    }
    return "values";
}

static void
describe(char out[static EXPECTED_SIZE], const struct field *field)
{
    switch (field->type) {
    case FIELD_ANY:
        (void)snprintf(out, EXPECTED_SIZE, "a value that JSON can hold");
        break;
    case FIELD_STRING:
        if (field->words)
            describe_words(out, EXPECTED_SIZE, field->words);
        else
            describe_size(out, EXPECTED_SIZE, "text", field, "bytes");
        break;
    case FIELD_INTEGER:
        describe_whole(out, EXPECTED_SIZE, "a whole number", field);
        break;
    case FIELD_AMOUNT:
        describe_whole(out, EXPECTED_SIZE, "a whole number of microMIND", field);
        break;
    case FIELD_NUMBER:
        describe_number(out, EXPECTED_SIZE, field);
        break;
    case FIELD_BOOLEAN:
        (void)snprintf(out, EXPECTED_SIZE, "true or false");
        break;
    case FIELD_IDENTITY:
        describe_size(out, EXPECTED_SIZE, "an identity", field, "bytes without control characters");
        break;
    case FIELD_UUID:
        describe_size(out, EXPECTED_SIZE, "an id", field, "bytes");
        break;
    case FIELD_TIMESTAMP:
        (void)snprintf(out, EXPECTED_SIZE, "a time like 2026-01-02T03:04:05Z");
        break;
    case FIELD_GLOB:
        describe_size(out, EXPECTED_SIZE, "a pattern", field, "bytes");
        break;
    case FIELD_MAP:
        describe_size(out, EXPECTED_SIZE, "a map", field, "entries");
        break;
    case FIELD_LIST:
        describe_size(out, EXPECTED_SIZE, "a list", field, items_word(field->item));
        break;
    }
}

/* ---- refusing */

enum status
refusal_as(const struct field *field, const char *came, struct error *error)
{
    char expected[EXPECTED_SIZE];

    describe(expected, field);
    error_set_field(error, field->name, "came %s, expected %s", came, expected);
    return STATUS_VALIDATION;
}

enum status
refusal_value(const struct field *field, const struct value *value, struct error *error)
{
    char came[CAME_SIZE];

    if (field->flags & FIELD_SECRET)
        return refusal_as(field, kind_of(value->type), error);
    show_value(came, value);
    return refusal_as(field, came, error);
}

enum status
refusal_missing(const struct field *field, struct error *error)
{
    char expected[EXPECTED_SIZE];

    describe(expected, field);
    error_set_field(error, field->name, "missing, expected %s", expected);
    return STATUS_VALIDATION;
}

enum status
refusal_item(const struct field *field, const struct value *item, uint32_t index,
             struct error *error)
{
    char came[CAME_SIZE], expected[EXPECTED_SIZE];

    if (field->flags & FIELD_SECRET)
        return refusal_as(field, kind_of(VALUE_ARRAY), error);
    show_value(came, item);
    describe(expected, field);
    if (field->words && item->type == VALUE_TEXT)
        describe_words(expected, sizeof expected, field->words);
    error_set_field(error, field->name, "came %s as entry %u, expected %s", came, index, expected);
    return STATUS_VALIDATION;
}
