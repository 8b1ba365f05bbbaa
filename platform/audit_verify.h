/* SPDX-License-Identifier: Apache-2.0 */
/* platform/audit_verify.h - finds the first place where a trail is not as it was written.
 *
 * What it cannot find: lines cut off the very end (a service notices that itself when it starts,
 * and says so in the trail), and a trail that was written anew from some line on by somebody who
 * can also compute hashes. */
#ifndef SOS_PLATFORM_AUDIT_VERIFY_H
#define SOS_PLATFORM_AUDIT_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/audit.h"
#include "kernel/error.h"
#include "kernel/status.h"

struct audit_verdict {
    bool is_good;
    unsigned files;
    uint64_t lines;
    struct audit_link last;
    uint64_t unfinished; /* bytes at the end: written this moment, or left by a crash */

    /* The first flaw, when it is not good. */
    int file; /* FILE.number; 0: FILE */
    uint64_t line;
    char problem[160];
    char expected[160];
};

/* OK whether it is good or not; otherwise the trail cannot be read. */
enum status audit_verify(const char *path, struct audit_verdict *verdict, struct error *error);

/* The same for the lines with a higher seq alone: behind a flaw that is known. */
enum status audit_verify_after(const char *path, uint64_t seq, struct audit_verdict *verdict,
                               struct error *error);

#endif
