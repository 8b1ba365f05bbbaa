/* SPDX-License-Identifier: Apache-2.0 */
/* cli/options.h - a command's options. */
#ifndef SOS_CLI_OPTIONS_H
#define SOS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct option_row {
    const char *name; /* "--cap", "-n" */
    const char **value;
};

enum option_result {
    OPTION_NONE,  /* argv[*index] is none of these */
    OPTION_TAKEN, /* *value is set, *index is on the last argument used */
    OPTION_WRONG  /* its value is missing; said on stderr */
};

enum option_result options_take(const char *command, const struct option_row *rows, size_t count,
                                int argc, char **argv, int *index);

struct flag_row {
    const char *name; /* "--peek" */
    bool *value;      /* set to true */
};

/* A whole command line: options, flags, and words, of which there are at most words_max. "--" ends
 * the options. Returns an exit code; what is wrong was said on stderr. */
struct options_line {
    const struct option_row *rows;
    size_t row_count;
    const struct flag_row *flags;
    size_t flag_count;
    const char **words;
    size_t words_max;
    size_t word_count; /* out */
};
int options_parse(const char *command, struct options_line *line, int argc, char **argv);

#endif
