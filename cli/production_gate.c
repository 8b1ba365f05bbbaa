/* SPDX-License-Identifier: Apache-2.0 */
/* cli/production_gate.c - nothing unsafe starts in production. */
#include <stdio.h>
#include <unistd.h>

#include "cli/print.h"
#include "cli/production.h"
#include "cli/settings.h"

/* "  1. home: mode is 0755 …" and the fix below it. */
static void
print_refusals(const char *command, const struct findings *findings)
{
    struct buffer raw;
    struct buffer clean;
    size_t number = 0;
    buffer_init(&raw);
    buffer_init(&clean);
    buffer_append_format(&raw, "sos %s: refused: env is production, and %zu %s unsafe\n", command,
                         findings->counts[FINDING_ERROR],
                         findings->counts[FINDING_ERROR] == 1 ? "thing is" : "things are");
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *row = &findings->rows[i];
        if (row->severity == FINDING_ERROR)
            buffer_append_format(&raw, "  %zu. %s: %s\n     fix: %s\n", ++number, row->where,
                                 row->what, row->fix);
    }
    if (findings->left_out)
        buffer_append_format(&raw, "  … and %zu more\n", findings->left_out);
    print_clean(buffer_text(&raw), &clean);
    fwrite(clean.data, 1, clean.size, stderr);
    buffer_clear(&raw);
    buffer_clear(&clean);
}

int
production_gate(struct cli *cli, const char *command, bool quiet)
{
    struct production production = {cli->config, cli->home, SETTINGS_SYSTEM_FILE, geteuid()};
    struct findings findings;
    int code = EXIT_OK;
    findings_init(&findings);
    production_check(&production, &findings);
    for (size_t i = 0; !quiet && i < findings.count; i++) {
        const struct finding *row = &findings.rows[i];
        if (row->severity == FINDING_WARNING)
            log_warn(&cli->logger, "%s%s%s; %s", row->where, row->where[0] ? ": " : "", row->what,
                     row->fix);
    }
    if (findings.failed)
        code = command_fail(command, EXIT_FAILED, "out of memory");
    if (findings.counts[FINDING_ERROR] > 0) {
        print_refusals(command, &findings);
        code = EXIT_USAGE;
    }
    findings_clear(&findings);
    return code;
}
