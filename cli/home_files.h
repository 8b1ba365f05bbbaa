/* SPDX-License-Identifier: Apache-2.0 */
/* cli/home_files.h - are a home and its keys out of others' reach?
 *
 * Only looks. What is not there is fine: `sos up` makes it. */
#ifndef SOS_CLI_HOME_FILES_H
#define SOS_CLI_HOME_FILES_H

#include <stddef.h>
#include <sys/types.h>

#include "cli/findings.h"

struct home_files {
    const char *home;
    uid_t owner; /* who has to own them: the effective user */
    enum finding_severity severity;
};

/* The home, its folders of keys and every key in them: modes 0700 and 0600 at most, the owner's.
 * How many key files it found in *keys, which may be NULL. */
void home_files_check(const struct home_files *files, struct findings *findings, size_t *keys);

/* The folders above it: none that everybody may write to (unless sticky, such as /tmp), each owned
 * by root or the owner. */
void home_parents_check(const struct home_files *files, struct findings *findings);

#endif
