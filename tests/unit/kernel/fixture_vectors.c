/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *
vectors_load(const char *name)
{
    char file[] = __FILE__, path[4096];
    char *tests = strstr(file, "unit/kernel/fixture_vectors.c");
    if (!tests)
        abort();
    *tests = '\0';
    snprintf(path, sizeof path, "%svectors/%s", file, name);

    json_error_t error;
    json_t *vectors = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!vectors) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        abort();
    }
    return vectors;
}
