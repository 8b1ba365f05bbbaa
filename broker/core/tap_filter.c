/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tap_filter.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/tap_expression.h"
#include "kernel/capability.h"

enum pattern { BY_SOURCE, BY_TARGET, BY_TYPE, BY_KIND, BY_VERDICT, PATTERNS };

static const char *const pattern_names[PATTERNS] = {"source", "target", "type", "kind", "verdict"};

enum status_wanted { STATUS_ANY, STATUS_GOOD, STATUS_BAD, STATUS_NUMBER };

struct tap_filter {
    struct tap_sieve sieve;
    size_t sizes[PATTERNS]; /* 0: passes all */
    char patterns[PATTERNS][TAP_PATTERN_MAX];
    enum status_wanted status_wanted;
    uint32_t status;
    struct expression *expression; /* NULL: any */
    struct buffer line;
};

/* ---- making */

static enum status
refuse(struct error *error, const char *field, const char *why)
{
    error_set_field(error, field, "%s", why);
    if (error)
        snprintf(error->word, sizeof error->word, "bad_filter");
    return STATUS_INVALID;
}

static enum status
read_header(struct tap_filter *filter, struct text text, struct error *error)
{
    const char *why = "";
    if (text.size == 0)
        return STATUS_OK;
    enum status status = expression_new(&filter->expression, text, &why);
    return status == STATUS_INVALID ? refuse(error, "header", why) : status;
}

static enum status
read_status(struct tap_filter *filter, struct text text, struct error *error)
{
    if (text.size == 0)
        return STATUS_OK;
    if (text_equal_string(text, "ok")) {
        filter->status_wanted = STATUS_GOOD;
        return STATUS_OK;
    }
    if (text_equal_string(text, "error")) {
        filter->status_wanted = STATUS_BAD;
        return STATUS_OK;
    }
    uint32_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || text.size > 5)
            return refuse(error, "status", "expected ok, error or a number");
        number = number * 10 + (uint32_t)(text.data[i] - '0');
    }
    filter->status_wanted = STATUS_NUMBER;
    filter->status = number;
    return STATUS_OK;
}

static enum status
read_trace(struct tap_filter *filter, struct text text, struct error *error)
{
    size_t size = 0;
    if (text.size == 0)
        return STATUS_OK;
    if (sodium_hex2bin(filter->sieve.trace, TRACE_ID_SIZE, text.data, text.size, NULL, &size,
                       NULL) != 0 ||
        size != TRACE_ID_SIZE)
        return refuse(error, "trace", "expected 32 hex digits");
    filter->sieve.has_trace = true;
    return STATUS_OK;
}

static enum status
read_patterns(struct tap_filter *filter, const struct tap_query *query, struct error *error)
{
    const struct text given[PATTERNS] = {[BY_SOURCE] = query->source,
                                         [BY_TARGET] = query->target,
                                         [BY_TYPE] = query->type,
                                         [BY_KIND] = query->kind,
                                         [BY_VERDICT] = query->verdict};
    for (int i = 0; i < PATTERNS; i++) {
        if (given[i].size > TAP_PATTERN_MAX)
            return refuse(error, pattern_names[i], "expected a pattern of at most 256 bytes");
        if (given[i].size > 0)
            memcpy(filter->patterns[i], given[i].data, given[i].size);
        filter->sizes[i] = given[i].size;
    }
    return STATUS_OK;
}

static bool
is_exact(struct text pattern)
{
    for (size_t i = 0; i < pattern.size; i++)
        if (pattern.data[i] == '*' || pattern.data[i] == '?' || pattern.data[i] == '[')
            return false;
    return true;
}

static uint16_t
set_exact(char to[static TAP_PATTERN_MAX], struct text pattern)
{
    if (pattern.size == 0 || !is_exact(pattern))
        return 0;
    memcpy(to, pattern.data, pattern.size);
    return (uint16_t)pattern.size;
}

static struct text
pattern_of(const struct tap_filter *filter, enum pattern pattern)
{
    return (struct text){filter->patterns[pattern], filter->sizes[pattern]};
}

static void
make_sieve(struct tap_filter *filter)
{
    struct tap_sieve *sieve = &filter->sieve;
    struct text kind = pattern_of(filter, BY_KIND);
    for (unsigned i = 0; i <= KIND_ERROR; i++) {
        struct text word = i ? text_of(kind_word((enum kind)i)) : (struct text){"", 0};
        if (kind.size == 0 || glob_match(kind, word))
            sieve->kinds |= UINT32_C(1) << i;
    }
    if (filter->status_wanted != STATUS_ANY)
        sieve->kinds &= UINT32_C(1) << KIND_REPLY | UINT32_C(1) << KIND_ERROR;
    sieve->source_size = set_exact(sieve->source, pattern_of(filter, BY_SOURCE));
    sieve->target_size = set_exact(sieve->target, pattern_of(filter, BY_TARGET));
    sieve->type_size = set_exact(sieve->type, pattern_of(filter, BY_TYPE));
}

enum status
tap_filter_new(struct tap_filter **filter_p, const struct tap_query *query, struct error *error)
{
    struct tap_filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return STATUS_NOMEM;
    enum status status = read_patterns(filter, query, error);
    if (status == STATUS_OK)
        status = read_trace(filter, query->trace, error);
    if (status == STATUS_OK)
        status = read_status(filter, query->status, error);
    if (status == STATUS_OK)
        status = read_header(filter, query->header, error);
    if (status != STATUS_OK) {
        tap_filter_destroy(&filter);
        return status;
    }
    make_sieve(filter);
    *filter_p = filter;
    return STATUS_OK;
}

void
tap_filter_destroy(struct tap_filter **filter_p)
{
    struct tap_filter *filter = *filter_p;
    if (!filter)
        return;
    expression_destroy(&filter->expression);
    buffer_clear(&filter->line);
    free(filter);
    *filter_p = NULL;
}

/* ---- matching */

const struct tap_sieve *
tap_filter_sieve(const struct tap_filter *filter)
{
    return &filter->sieve;
}

bool
tap_sieve_passes(const struct tap_sieve *sieve, enum kind kind, struct text source,
                 struct text target, struct text type, struct bytes trace)
{
    unsigned number = (unsigned)kind <= KIND_ERROR ? (unsigned)kind : 0;
    if (!(sieve->kinds & UINT32_C(1) << number))
        return false;
    if (sieve->has_trace &&
        (trace.size < TRACE_ID_SIZE || memcmp(trace.data, sieve->trace, TRACE_ID_SIZE) != 0))
        return false;
    return tap_sieve_text((struct text){sieve->source, sieve->source_size}, source) &&
           tap_sieve_text((struct text){sieve->target, sieve->target_size}, target) &&
           tap_sieve_text((struct text){sieve->type, sieve->type_size}, type);
}

static bool
status_matches(const struct tap_filter *filter, const struct tap_header *header)
{
    switch (filter->status_wanted) {
    case STATUS_ANY:
        return true;
    case STATUS_GOOD:
        return header->has_status && header->status == STATUS_OK;
    case STATUS_BAD:
        return header->has_status && header->status != STATUS_OK;
    case STATUS_NUMBER:
        return header->has_status && header->status == filter->status;
    }
    return false;
}

static bool
line_matches(struct tap_filter *filter, const struct tap_header *header)
{
    buffer_reset(&filter->line);
    tap_line(header, &filter->line);
    return !filter->line.failed &&
           expression_matches(filter->expression, buffer_text(&filter->line));
}

bool
tap_filter_matches(struct tap_filter *filter, const struct tap_header *header)
{
    const struct text values[PATTERNS] = {[BY_SOURCE] = header->source,
                                          [BY_TARGET] = header->target,
                                          [BY_TYPE] = header->type,
                                          [BY_KIND] = header->kind,
                                          [BY_VERDICT] = header->verdict};
    for (int i = 0; i < PATTERNS; i++)
        if (filter->sizes[i] > 0 && !glob_match(pattern_of(filter, (enum pattern)i), values[i]))
            return false;
    if (filter->sieve.has_trace &&
        (header->trace.size < TRACE_ID_SIZE ||
         memcmp(header->trace.data, filter->sieve.trace, TRACE_ID_SIZE) != 0))
        return false;
    return status_matches(filter, header) && (!filter->expression || line_matches(filter, header));
}

static void
add_word(struct buffer *out, struct text word)
{
    buffer_append_text(out, word.size ? word : text_of("-"));
    buffer_append_byte(out, ' ');
}

void
tap_line(const struct tap_header *header, struct buffer *out)
{
    add_word(out, header->kind);
    add_word(out, header->source);
    add_word(out, header->target);
    add_word(out, header->type);
    if (!header->has_status)
        buffer_append_string(out, "- ");
    else if (header->status == STATUS_OK)
        buffer_append_string(out, "ok ");
    else
        buffer_append_format(out, "%u ", (unsigned)header->status);
    buffer_append_text(out, header->verdict.size ? header->verdict : text_of("-"));
}
