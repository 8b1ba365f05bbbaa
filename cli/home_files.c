/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/home_files.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/paths.h"

enum { FILES_TOLD_MAX = 50, FIX_SIZE = PATH_SIZE + 64 };

static void
check_one(const struct home_files *files, struct findings *findings, const char *path,
          const struct stat *state, mode_t allowed)
{
    char fix[FIX_SIZE];
    if (state->st_uid != files->owner) {
        snprintf(fix, sizeof fix, "chown %u '%s'", (unsigned)files->owner, path);
        findings_add(findings, files->severity, path, fix,
                     "belongs to user %u, expected %u who runs sos", (unsigned)state->st_uid,
                     (unsigned)files->owner);
    }
    if (state->st_mode & 0777 & ~allowed) {
        snprintf(fix, sizeof fix, "chmod %03o '%s'", (unsigned)allowed, path);
        findings_add(findings, files->severity, path, fix, "mode is %04o, expected %04o at most",
                     (unsigned)(state->st_mode & 07777), (unsigned)allowed);
    }
}

static bool
look(const struct home_files *files, struct findings *findings, const char *relative,
     mode_t allowed)
{
    char path[PATH_SIZE];
    struct stat state;
    if (paths_join(path, files->home, relative, NULL) != STATUS_OK)
        return false;
    if (stat(path, &state) != 0) {
        if (errno != ENOENT)
            findings_add(findings, files->severity, path,
                         "make it readable for the user who runs sos", "cannot be looked at: %s",
                         strerror(errno));
        return false;
    }
    check_one(files, findings, path, &state, allowed);
    return true;
}

/* Every regular file of a folder. */
static size_t
look_into(const struct home_files *files, struct findings *findings, const char *relative)
{
    char path[PATH_SIZE];
    struct dirent *entry;
    size_t count = 0;
    if (!look(files, findings, relative, 0700) ||
        paths_join(path, files->home, relative, NULL) != STATUS_OK)
        return 0;
    DIR *folder = opendir(path);
    if (!folder) {
        findings_add(findings, files->severity, path, "make it readable for the user who runs sos",
                     "cannot be read: %s", strerror(errno));
        return 0;
    }
    size_t before = findings->count + findings->left_out;
    while ((entry = readdir(folder)) != NULL) {
        char file[PATH_SIZE];
        struct stat state;
        if (entry->d_name[0] == '.' || paths_join(file, path, entry->d_name, NULL) != STATUS_OK ||
            stat(file, &state) != 0 || !S_ISREG(state.st_mode))
            continue;
        count++;
        if (findings->count + findings->left_out - before < FILES_TOLD_MAX)
            check_one(files, findings, file, &state, 0600);
    }
    closedir(folder);
    return count;
}

void
home_files_check(const struct home_files *files, struct findings *findings, size_t *keys)
{
    size_t count = 0;
    if (look(files, findings, "", 0700)) {
        count += look_into(files, findings, "secrets");
        count += look_into(files, findings, "agents");
        if (look(files, findings, "data/broker", 0700))
            look(files, findings, "data/broker/keys.json", 0600);
    }
    if (keys)
        *keys = count;
}

/* The nearest folder that exists, free of links. */
static bool
resolve(const char *home, char *resolved)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s", home);
    while (!realpath(path, resolved)) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || !slash)
            return false;
        slash[slash == path ? 1 : 0] = '\0';
    }
    return true;
}

static void
check_parent(const struct home_files *files, struct findings *findings, const char *path)
{
    char fix[FIX_SIZE];
    struct stat state;
    if (stat(path, &state) != 0)
        return;
    if ((state.st_mode & S_IWOTH) && !(state.st_mode & S_ISVTX)) {
        snprintf(fix, sizeof fix, "chmod o-w '%.1000s', or move the home", path);
        findings_add(findings, files->severity, path, fix,
                     "everybody may write to this folder above the home: it can be exchanged");
    }
    if (state.st_uid != 0 && state.st_uid != files->owner) {
        findings_add(findings, FINDING_WARNING, path,
                     "move the home below folders of root or of the user who runs sos",
                     "this folder above the home belongs to user %u, who can exchange the home",
                     (unsigned)state.st_uid);
    }
}

void
home_parents_check(const struct home_files *files, struct findings *findings)
{
    char home[PATH_MAX];
    char resolved[PATH_MAX];
    if (!resolve(files->home, resolved))
        return;
    /* The home itself is home_files_check()'s, where it exists. */
    if (realpath(files->home, home)) {
        char *slash = strrchr(resolved, '/');
        slash[slash == resolved ? 1 : 0] = '\0';
    }
    for (;;) {
        check_parent(files, findings, resolved);
        char *slash = strrchr(resolved, '/');
        if (strcmp(resolved, "/") == 0)
            return;
        slash[slash == resolved ? 1 : 0] = '\0';
    }
}
