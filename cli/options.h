/* SPDX-License-Identifier: Apache-2.0 */
/* cli/options.h - a command's options that take a text. */
#ifndef SOS_CLI_OPTIONS_H
#define SOS_CLI_OPTIONS_H

#include <stddef.h>

struct option_row {
    const char *name; /* "--cap" */
    const char **value;
};

enum option_result {
    OPTION_NONE,  /* argv[*index] is none of these */
    OPTION_TAKEN, /* *value is set, *index is on the last argument used */
    OPTION_WRONG  /* its value is missing; said on stderr */
};

enum option_result options_take(const char *command, const struct option_row *rows, size_t count,
                                int argc, char **argv, int *index);

#endif
