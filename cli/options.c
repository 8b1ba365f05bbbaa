/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

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
