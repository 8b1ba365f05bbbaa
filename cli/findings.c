/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHAT_MAX = 1536 };

const char *
finding_severity_word(enum finding_severity severity)
{
    static const char *const words[] = {
        [FINDING_OK] = "ok",
        [FINDING_NOTE] = "note",
        [FINDING_WARNING] = "warning",
        [FINDING_ERROR] = "error",
    };
    return words[severity];
}

void
findings_init(struct findings *findings)
{
    memset(findings, 0, sizeof *findings);
    findings->check = "";
}

static void
clear_row(struct finding *row)
{
    free(row->what);
    free(row->where);
    free(row->fix);
}

void
findings_clear(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        clear_row(&findings->rows[i]);
    free(findings->rows);
    findings_init(findings);
}

static bool
make_room(struct findings *findings)
{
    if (findings->count < findings->capacity)
        return true;
    size_t capacity = findings->capacity ? findings->capacity * 2 : 32;
    struct finding *rows = realloc(findings->rows, capacity * sizeof *rows);
    if (!rows)
        return false;
    findings->rows = rows;
    findings->capacity = capacity;
    return true;
}

void
findings_add(struct findings *findings, enum finding_severity severity, const char *where,
             const char *fix, const char *format, ...)
{
    char what[WHAT_MAX];
    va_list arguments;
    findings->counts[severity]++;
    if (findings->count == FINDINGS_MAX) {
        findings->left_out++;
        return;
    }
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    struct finding row = {severity, findings->check, strdup(what), strdup(where), strdup(fix)};
    if (!row.what || !row.where || !row.fix || !make_room(findings)) {
        clear_row(&row);
        findings->failed = true;
        return;
    }
    findings->rows[findings->count++] = row;
}

size_t
findings_of(const struct findings *findings, const char *check)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++)
        if (findings->rows[i].severity != FINDING_OK && strcmp(findings->rows[i].check, check) == 0)
            count++;
    return count;
}
