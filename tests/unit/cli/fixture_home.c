/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/cli/fixture_home.h"

void
temporary_home_make(struct temporary_home *home)
{
    snprintf(home->path, sizeof home->path, "/tmp/sos-home-XXXXXX");
    assert_non_null(mkdtemp(home->path));
}

static int
remove_one(const char *path, const struct stat *state, int kind, struct FTW *walk)
{
    (void)state;
    (void)kind;
    (void)walk;
    return remove(path);
}

void
temporary_home_remove(struct temporary_home *home)
{
    assert_int_equal(nftw(home->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* The path, its folders made. */
static void
prepare(const struct temporary_home *home, const char *relative, char path[static PATH_SIZE])
{
    assert_int_equal(paths_join(path, home->path, relative, NULL), STATUS_OK);
    for (char *at = path + strlen(home->path) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
}

void
temporary_folder(const struct temporary_home *home, const char *relative, unsigned mode)
{
    char path[PATH_SIZE];
    prepare(home, relative, path);
    mkdir(path, 0700);
    assert_int_equal(chmod(path, mode), 0);
}

void
temporary_file(const struct temporary_home *home, const char *relative, const char *content,
               unsigned mode)
{
    char path[PATH_SIZE];
    prepare(home, relative, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

void
temporary_link(const struct temporary_home *home, const char *relative, const char *target)
{
    char path[PATH_SIZE];
    prepare(home, relative, path);
    assert_int_equal(symlink(target, path), 0);
}

const struct finding *
findings_find(const struct findings *findings, enum finding_severity severity, const char *where,
              const char *what)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *row = &findings->rows[i];
        if (row->severity == severity && strstr(row->where, where) && strstr(row->what, what))
            return row;
    }
    return NULL;
}
