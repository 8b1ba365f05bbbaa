/* SPDX-License-Identifier: Apache-2.0 */
/* cli/findings.h - what checks of a home and its host found, each with its fix.
 *
 * Texts are copied. They may hold names of others' files: who prints them makes them safe. One
 * thread. */
#ifndef SOS_CLI_FINDINGS_H
#define SOS_CLI_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

enum finding_severity {
    FINDING_OK,      /* looked at, and right */
    FINDING_NOTE,    /* worth knowing */
    FINDING_WARNING, /* to be mended before it hurts */
    FINDING_ERROR,   /* broken or unsafe now */
    FINDING_SEVERITIES
};

const char *finding_severity_word(enum finding_severity severity); /* "ok", "note", … */

struct finding {
    enum finding_severity severity;
    const char *check; /* static */
    char *what;
    char *where; /* a file, a setting; "" when it is nowhere in particular */
    char *fix;   /* what to do; "" for an ok */
};

enum { FINDINGS_MAX = 1000 };

struct findings {
    const char *check; /* of what is added next; static */
    struct finding *rows;
    size_t count;
    size_t capacity;
    size_t left_out; /* beyond FINDINGS_MAX; counted below all the same */
    size_t counts[FINDING_SEVERITIES];
    bool failed; /* out of memory: the list is not whole */
};

void findings_init(struct findings *findings);
void findings_clear(struct findings *findings);

/* The format makes `what`. */
void findings_add(struct findings *findings, enum finding_severity severity, const char *where,
                  const char *fix, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* How many a check has added so far, by name, that are worse than ok. */
size_t findings_of(const struct findings *findings, const char *check);

#endif
