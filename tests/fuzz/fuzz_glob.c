/* SPDX-License-Identifier: Apache-2.0 */
/* Pattern and text apart at the first NUL: any pair ends, and a pattern without special
 * characters matches exactly itself. */
#include <stdlib.h>

#include "kernel/capability.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *start = (const char *)data;
    const char *nul = size > 0 ? memchr(data, 0, size) : NULL;
    if (!nul)
        return 0;
    struct text pattern = {start, (size_t)(nul - start)};
    struct text text = {nul + 1, size - pattern.size - 1};
    bool matches = glob_match(pattern, text);
    bool special =
        pattern.size > 0 && (memchr(start, '*', pattern.size) || memchr(start, '?', pattern.size) ||
                             memchr(start, '[', pattern.size));
    if (!special && matches != text_equal(pattern, text))
        abort();
    if (!glob_match((struct text){"*", 1}, text))
        abort();
    /* What is covered matches nothing that the wider pattern does not: itself, when it is plain. */
    bool covers = glob_covers(pattern, text);
    if (!glob_covers((struct text){"*", 1}, text) || !glob_covers(text, text))
        abort();
    if (covers && !glob_is_pattern(text) && !matches)
        abort();
    return 0;
}
