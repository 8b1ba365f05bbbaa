/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cli/fixture_home.h - a temporary folder for the tests that look at files. */
#ifndef SOS_TESTS_CLI_FIXTURE_HOME_H
#define SOS_TESTS_CLI_FIXTURE_HOME_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/findings.h"
#include "kernel/paths.h"

struct temporary_home {
    char path[PATH_SIZE / 2];
};

/* An empty folder of mode 0700. */
void temporary_home_make(struct temporary_home *home);
void temporary_home_remove(struct temporary_home *home);

/* Below the home; folders on the way are made 0700. */
void temporary_folder(const struct temporary_home *home, const char *relative, unsigned mode);
void temporary_file(const struct temporary_home *home, const char *relative, const char *content,
                    unsigned mode);
void temporary_link(const struct temporary_home *home, const char *relative, const char *target);

/* The first finding of this severity whose place and text hold these parts; NULL: none. */
const struct finding *findings_find(const struct findings *findings, enum finding_severity severity,
                                    const char *where, const char *what);

#endif
