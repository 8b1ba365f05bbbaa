/* SPDX-License-Identifier: Apache-2.0 */
/* cli/restore.c - `sos restore DIR`: makes a home from a backup, verified byte by byte first and
 * block by block after, then moved into place in one step. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/backup.h"
#include "cli/home.h"
#include "cli/hosts.h"
#include "cli/lifecycle.h"
#include "cli/tree_copy.h"
#include "platform/file.h"

/* Only paths that a backup writes: below known folders, never up, never absolute. */
static bool
path_is_safe(const char *path)
{
    static const char *const roots[] = {"config/", "secrets/", "agents/", "data/"};
    if (strstr(path, "..") || strstr(path, "//"))
        return false;
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        if (strncmp(path, roots[i], strlen(roots[i])) == 0)
            return true;
    return false;
}

static enum status
restore_file(const char *from, const char *to, const json_t *row, struct error *error)
{
    const char *path = json_string_value(json_object_get(row, "path"));
    const char *sha256 = json_string_value(json_object_get(row, "sha256"));
    char source[PATH_SIZE];
    char target[PATH_SIZE];
    char digest[SHA256_TEXT_SIZE];
    if (!path || !sha256 || !path_is_safe(path)) {
        error_set(error, BACKUP_MANIFEST ": expected files to be a list of {path, size, sha256} "
                                         "with paths below config, secrets, agents or data");
        return STATUS_INVALID;
    }
    enum status status = paths_join(source, from, path, error);
    if (status == STATUS_OK)
        status = paths_join(target, to, path, error);
    if (status == STATUS_OK)
        status = tree_copy_file(source, target, error);
    if (status == STATUS_OK)
        status = tree_sha256(target, digest, error); /* of what was written, not of what was read */
    if (status == STATUS_OK && strcmp(digest, sha256) != 0) {
        error_set(error, "%s is damaged: its SHA-256 is %s, the backup says %s", source, digest,
                  sha256);
        status = STATUS_INVALID;
    }
    return status;
}

static enum status
load_manifest(json_t **root_p, const char *from, struct error *error)
{
    char path[PATH_SIZE];
    struct buffer content;
    json_error_t cause;
    buffer_init(&content);
    enum status status = paths_join(path, from, BACKUP_MANIFEST, error);
    if (status == STATUS_OK)
        status = file_load(path, BACKUP_MANIFEST_MAX, false, &content, error);
    if (status == STATUS_NOT_FOUND)
        error_set(error, "%s is no backup: it has no " BACKUP_MANIFEST, from);
    if (status == STATUS_OK) {
        json_t *root =
            json_loadb((const char *)content.data, content.size, JSON_REJECT_DUPLICATES, &cause);
        if (!root) {
            error_set(error, "%s: line %d: %s", path, cause.line, cause.text);
            status = STATUS_INVALID;
        } else if (json_integer_value(json_object_get(root, "format")) != BACKUP_FORMAT ||
                   !json_is_array(json_object_get(root, "files"))) {
            error_set(error, "%s: expected format %d and a list of files", path, BACKUP_FORMAT);
            json_decref(root);
            status = STATUS_INVALID;
        } else {
            *root_p = root;
        }
    }
    buffer_clear(&content);
    return status;
}

static enum status
verify_stores(const struct cli *cli, const char *home, struct error *error)
{
    struct host_store stores[HOST_STORES_MAX];
    size_t count = host_stores(stores);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct store *store = NULL;
        char folder[PATH_SIZE];
        status = paths_join(folder, home, stores[i].folder, error);
        if (status != STATUS_OK || access(folder, F_OK) != 0)
            continue;
        status = store_open(&store, folder, stores[i].schema, &cli->logger, error);
        if (status == STATUS_OK)
            status = store_verify(store, error);
        store_close(&store);
        if (status != STATUS_OK)
            error_wrap(error, "verify %s", stores[i].service);
    }
    return status;
}

static enum status
restore(struct cli *cli, const char *from, size_t *count, struct error *error)
{
    char fresh[PATH_SIZE + 16];
    json_t *root = NULL;
    enum status status = load_manifest(&root, from, error);
    if (status != STATUS_OK)
        return status;
    snprintf(fresh, sizeof fresh, "%s.restoring", cli->home);
    if (mkdir(fresh, 0700) != 0) {
        error_set(error, "make %s: %s (left by an earlier try? remove it)", fresh, strerror(errno));
        status = STATUS_CONFLICT;
    }
    const json_t *files = json_object_get(root, "files");
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(files); i++)
        status = restore_file(from, fresh, json_array_get(files, i), error);
    *count = json_array_size(files);
    json_decref(root);
    if (status == STATUS_OK)
        status = verify_stores(cli, fresh, error);
    if (status == STATUS_OK && rename(fresh, cli->home) != 0) {
        error_set(error, "move %s to %s: %s", fresh, cli->home, strerror(errno));
        status = STATUS_CONFLICT;
    }
    return status;
}

int
run_restore(struct cli *cli, int argc, char **argv)
{
    struct error error = ERROR_INIT;
    size_t count = 0;
    if (argc != 2 || argv[1][0] == '-')
        return command_fail("restore", EXIT_USAGE, "expected: sos --home NEW restore DIR");
    if (rmdir(cli->home) != 0 && errno != ENOENT)
        return command_fail("restore", EXIT_FAILED,
                            "%s is there and not empty: restore makes a new home", cli->home);
    if (restore(cli, argv[1], &count, &error) != STATUS_OK)
        return command_fail("restore", EXIT_FAILED, "%s", error.message);
    printf("%zu files restored and verified in home %s\n", count, cli->home);
    return EXIT_OK;
}
