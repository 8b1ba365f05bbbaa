/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/constraints.h"

#include <math.h>

#include "kernel/pack.h"

#define SECOND_US UINT64_C(1000000)

static enum status
refuse(struct error *error, const char *member, const char *expected)
{
    error_set_word(error, "invalid_capability_payload", "capability: constraints.%s: expected %s",
                   member, expected);
    return STATUS_INVALID;
}

/* ---- members: true when the value has the form */

static bool
read_count(const struct value *value, int64_t *count)
{
    if (value->type != VALUE_UINT || value->as.uint > INT64_MAX)
        return false;
    *count = (int64_t)value->as.uint;
    return true;
}

/* Python writes some whole numbers with a fraction; what is behind the point is nobody's. */
static bool
read_amount(const struct value *value, int64_t *amount)
{
    if (value->type != VALUE_DOUBLE)
        return read_count(value, amount);
    double number = value->as.number;
    if (!(number >= 0 && number < 9e18))
        return false;
    *amount = (int64_t)floor(number);
    return true;
}

static bool
read_name(const struct value *value, char *name, size_t size_max)
{
    struct text text = value->as.text;
    if (value->type != VALUE_TEXT || text.size == 0 || text.size > size_max ||
        memchr(text.data, '\0', text.size))
        return false;
    memcpy(name, text.data, text.size);
    name[text.size] = '\0';
    return true;
}

bool
rate_parse(struct text text, uint32_t *count, uint64_t *period_us)
{
    static const struct {
        const char *word;
        uint64_t us;
    } units[] = {{"/second", SECOND_US},
                 {"/minute", 60 * SECOND_US},
                 {"/hour", 3600 * SECOND_US},
                 {"/day", 24 * 3600 * SECOND_US}};
    uint32_t number = 0;
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') {
        number = number * 10 + (uint32_t)(text.data[digits] - '0');
        if (number > CONSTRAINT_RATE_MAX)
            return false;
        digits++;
    }
    struct text unit = {text.data + digits, text.size - digits};
    for (size_t i = 0; number > 0 && i < sizeof units / sizeof units[0]; i++) {
        if (!text_equal_string(unit, units[i].word))
            continue;
        *count = number;
        *period_us = units[i].us;
        return true;
    }
    return false;
}

static bool
take_max_results(const struct value *value, struct constraints *out)
{
    return read_count(value, &out->max_results);
}

static bool
take_rate_limit(const struct value *value, struct constraints *out)
{
    return value->type == VALUE_TEXT && rate_parse(value->as.text, &out->rate_count, &out->rate_us);
}

static bool
take_max_amount(const struct value *value, struct constraints *out)
{
    return read_amount(value, &out->max_amount);
}

static bool
take_requires_witness(const struct value *value, struct constraints *out)
{
    if (value->type != VALUE_BOOL)
        return false;
    out->requires_witness = value->as.boolean;
    return true;
}

static bool
take_agent_id(const struct value *value, struct constraints *out)
{
    return read_name(value, out->agent_id, CONSTRAINT_AGENT_MAX);
}

static bool
take_content_filter(const struct value *value, struct constraints *out)
{
    return read_name(value, out->content_filter, CONSTRAINT_FILTER_MAX);
}

static bool
take_max_response_length(const struct value *value, struct constraints *out)
{
    return read_count(value, &out->max_response_length);
}

static const struct {
    const char *name;
    unsigned bit; /* 0: its value says all */
    bool (*take)(const struct value *value, struct constraints *out);
    const char *expected;
} members[] = {
    {"max_results", CONSTRAINT_MAX_RESULTS, take_max_results, "a whole number from 0 on"},
    {"rate_limit", CONSTRAINT_RATE_LIMIT, take_rate_limit,
     "a text such as 10/minute (second, minute, hour, day; 1 to 1000000)"},
    {"max_amount", CONSTRAINT_MAX_AMOUNT, take_max_amount, "a number from 0 on"},
    {"requires_witness", 0, take_requires_witness, "true or false"},
    {"agent_id", CONSTRAINT_AGENT_ID, take_agent_id, "a text of 1 to 255 bytes"},
    {"content_filter", CONSTRAINT_CONTENT_FILTER, take_content_filter, "a text of 1 to 32 bytes"},
    {"max_response_length", CONSTRAINT_MAX_RESPONSE_LENGTH, take_max_response_length,
     "a whole number from 0 on"},
};

enum status
constraints_parse(struct bytes packed, struct constraints *constraints, struct error *error)
{
    struct constraints found = {0};
    struct value map, value;
    if (packed.size > 0 && (!value_parse(packed, &map) || map.type != VALUE_MAP ||
                            map.as.count > CONSTRAINTS_MEMBERS_MAX)) {
        error_set_word(error, "invalid_capability_payload",
                       "capability: constraints: expected an object of at most %d members",
                       CONSTRAINTS_MEMBERS_MAX);
        return STATUS_INVALID;
    }
    for (size_t i = 0; packed.size > 0 && i < sizeof members / sizeof members[0]; i++) {
        if (!value_find(&map, members[i].name, &value) || value.type == VALUE_NIL)
            continue;
        if (!members[i].take(&value, &found))
            return refuse(error, members[i].name, members[i].expected);
        found.set |= members[i].bit;
    }
    *constraints = found;
    return STATUS_OK;
}
