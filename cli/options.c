/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <string.h>

#include "cli/command.h"

enum option_result
options_take(const char *command, const struct option_row *rows, size_t count, int argc,
             char **argv, int *index)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = NULL;
        if (!command_option(argc, argv, index, rows[i].name, &value))
            continue;
        if (!value) {
            command_fail(command, EXIT_USAGE, "%s: a value is missing", rows[i].name);
            return OPTION_WRONG;
        }
        *rows[i].value = value;
        return OPTION_TAKEN;
    }
    return OPTION_NONE;
}

static bool
take_flag(const struct options_line *line, const char *argument)
{
    for (size_t i = 0; i < line->flag_count; i++) {
        if (strcmp(argument, line->flags[i].name) != 0)
            continue;
        *line->flags[i].value = true;
        return true;
    }
    return false;
}

/* A short one counts only when the command has it: other words may begin with a dash. */
static bool
is_option(const struct options_line *line, const char *argument)
{
    if (strncmp(argument, "--", 2) == 0)
        return true;
    for (size_t i = 0; i < line->flag_count; i++)
        if (strcmp(argument, line->flags[i].name) == 0)
            return true;
    for (size_t i = 0; i < line->row_count; i++)
        if (argument[0] == '-' && strcmp(argument, line->rows[i].name) == 0)
            return true;
    return false;
}

int
options_parse(const char *command, struct options_line *line, int argc, char **argv)
{
    bool words_only = false;
    line->word_count = 0;
    for (int i = 1; i < argc; i++) {
        if (!words_only && strcmp(argv[i], "--") == 0) {
            words_only = true;
            continue;
        }
        if (!words_only && is_option(line, argv[i])) {
            if (take_flag(line, argv[i]))
                continue;
            enum option_result result =
                options_take(command, line->rows, line->row_count, argc, argv, &i);
            if (result == OPTION_WRONG)
                return EXIT_USAGE;
            if (result == OPTION_NONE)
                return command_fail(command, EXIT_USAGE, "unknown option '%.64s'", argv[i]);
            continue;
        }
        if (line->word_count == line->words_max)
            return command_fail(command, EXIT_USAGE, "unexpected argument '%.64s'", argv[i]);
        line->words[line->word_count++] = argv[i];
    }
    return EXIT_OK;
}
