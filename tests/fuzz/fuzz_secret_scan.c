/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes are looked through: what is told has a kind and a line that is there, and is bounded.
 */
#include <stdlib.h>

#include "cli/secret_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
    size_t lines;
    size_t last;
    size_t count;
};

static void
check(void *context, const char *path, const struct secret_match *match)
{
    struct told *told = context;
    (void)path;
    told->count++;
    if (!match->kind || match->line <= told->last || match->line > told->lines ||
        told->count > SECRET_SCAN_LINES_MAX)
        abort();
    told->last = match->line;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct told told = {.lines = 1};
    struct secret_scan scan = {.on_found = check, .context = &told};
    for (size_t i = 0; i < size; i++)
        told.lines += data[i] == '\n';
    secret_scan_text(&scan, "fuzz", (struct text){(const char *)data, size});
    return 0;
}
