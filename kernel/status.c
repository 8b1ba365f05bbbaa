/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/status.h"

#include <stddef.h>

struct row {
    int http;
    const char *word;
    const char *text;
};

/* NULL for a number without a row. The compiler turns the dense switch into tables and refuses
 * two rows of one number. */
static const struct row *
find_row(uint64_t code)
{
    switch (code) {
#define STATUS_ROW(id, code, http, word, text)                                                     \
    case (code): {                                                                                 \
        static const struct row row = {http, word, text};                                          \
        return &row;                                                                               \
    }
        STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
    default:
        return NULL;
    }
}

static const struct row *
row_of(enum status status)
{
    const struct row *row = find_row((uint64_t)status);
    return row ? row : find_row(STATUS_UNKNOWN);
}

enum status
status_from_code(uint64_t code)
{
    return find_row(code) ? (enum status)code : STATUS_UNKNOWN;
}

int
status_http(enum status status)
{
    return row_of(status)->http;
}

const char *
status_word(enum status status)
{
    return row_of(status)->word;
}

const char *
status_text(enum status status)
{
    return row_of(status)->text;
}

const char *
status_response_word(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return "success";
    case STATUS_PENDING:
        return "pending";
    case STATUS_VALIDATION:
        return "validation_error";
    default:
        break;
    }
    switch (status_http(status)) {
    case 401:
    case 403:
        return "unauthorized";
    case 404:
        return "not_found";
    case 429:
        return "rate_limited";
    default:
        return "error";
    }
}
