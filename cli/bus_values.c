/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bus_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/json.h"
#include "kernel/pack.h"

enum status
values_body(struct text text, bool plain, struct buffer *out, struct error *error)
{
    if (!text_is_utf8(text)) {
        error_set(error, "PAYLOAD: came bytes that are not UTF-8");
        return STATUS_VALIDATION;
    }
    size_t before = out->size;
    struct json_parser *parser = plain ? NULL : json_parser_new();
    if (!parser || json_to_msgpack(parser, text, out, NULL) != STATUS_OK) {
        out->size = before;
        pack_text(out, text);
    }
    json_parser_destroy(&parser);
    return out->failed ? STATUS_NOMEM : STATUS_OK;
}

enum status
values_argument(const char *argument, struct buffer *out, struct error *error)
{
    if (strcmp(argument, "-") != 0) {
        buffer_append_string(out, argument);
        return out->failed ? STATUS_NOMEM : STATUS_OK;
    }
    char part[4096];
    size_t size;
    while ((size = fread(part, 1, sizeof part, stdin)) > 0) {
        if (out->size + size > BODY_SIZE_MAX) {
            error_set(error, "standard input: more than %d bytes", BODY_SIZE_MAX);
            return STATUS_TOO_LARGE;
        }
        buffer_append(out, part, size);
    }
    if (ferror(stdin)) {
        error_set(error, "standard input cannot be read");
        return STATUS_INTERNAL;
    }
    if (out->size > 0 && out->data[out->size - 1] == '\n')
        out->size--;
    return out->failed ? STATUS_NOMEM : STATUS_OK;
}

static bool
read_digits(const char **text, uint64_t *number)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    unsigned long long parsed = strtoull(*text, &end, 10);
    if (errno)
        return false;
    *number = parsed;
    *text = end;
    return true;
}

enum status
values_duration(const char *option, const char *text, uint64_t max_ms, uint64_t *ms,
                struct error *error)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1},          {"ms", 1},          {"s", 1000},
                 {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 86400 * 1000}};
    const char *at = text;
    uint64_t number;
    if (read_digits(&at, &number)) {
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (strcmp(at, units[i].unit) != 0 || number > max_ms / units[i].ms)
                continue;
            *ms = number * units[i].ms;
            return STATUS_OK;
        }
    }
    error_set(error, "%s: came '%.32s', expected such as 500ms, 30s, 5m, 2h or 7d, at most %llu ms",
              option, text, (unsigned long long)max_ms);
    return STATUS_VALIDATION;
}

enum status
values_moment(const char *option, const char *text, uint64_t now_us,
              char out[static TIMESTAMP_TEXT_SIZE], struct error *error)
{
    enum { YEARS_100_DAYS = 36525 };
    uint64_t ms;
    uint64_t at_us;
    if (*text == '+') {
        enum status status =
            values_duration(option, text + 1, YEARS_100_DAYS * UINT64_C(86400000), &ms, error);
        if (status == STATUS_OK)
            timestamp_format(now_us + ms * 1000, out);
        return status;
    }
    if (timestamp_parse(text_of(text), &at_us)) {
        timestamp_format(at_us, out);
        return STATUS_OK;
    }
    error_set(error, "%s: came '%.32s', expected +30s or 2026-01-31T12:00:00Z", option, text);
    return STATUS_VALIDATION;
}

enum status
values_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *number,
              struct error *error)
{
    const char *at = text;
    uint64_t parsed;
    if (read_digits(&at, &parsed) && *at == '\0' && parsed >= min && parsed <= max) {
        *number = parsed;
        return STATUS_OK;
    }
    error_set(error, "%s: came '%.32s', expected a whole number from %llu to %llu", option, text,
              (unsigned long long)min, (unsigned long long)max);
    return STATUS_VALIDATION;
}
