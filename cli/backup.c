/* SPDX-License-Identifier: Apache-2.0 */
/* cli/backup.c - `sos backup DIR`: copies a home, running or not, into a new folder. */
#include "cli/backup.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/hosts.h"
#include "cli/lifecycle.h"
#include "cli/session.h"
#include "cli/tree_copy.h"
#include "kernel/pack.h"
#include "platform/file.h"

enum { CHECKPOINT_MS = 120000 };

static enum status
checkpoint_online(struct peer *peer, const char *service, const char *folder, struct error *error)
{
    char target[128];
    struct buffer payload;
    struct buffer answer;
    buffer_init(&payload);
    buffer_init(&answer);
    snprintf(target, sizeof target, "service:%s", service);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "folder", folder);
    struct peer_request request = {
        .kind = KIND_REQUEST,
        .target = text_of(target),
        .type = text_of("store_checkpoint"),
        .payload = buffer_bytes(&payload),
        .ttl_ms = CHECKPOINT_MS,
    };
    enum status status = peer_call_wait(peer, &request, &answer, error);
    buffer_clear(&answer);
    buffer_clear(&payload);
    return status;
}

static enum status
checkpoint_offline(const struct cli *cli, const struct host_store *which, const char *folder,
                   struct error *error)
{
    struct store *store = NULL;
    char path[PATH_SIZE];
    enum status status = paths_join(path, cli->home, which->folder, error);
    if (status == STATUS_OK && access(path, F_OK) != 0)
        return STATUS_NOT_FOUND; /* never started: nothing to keep */
    if (status == STATUS_OK)
        status = store_open(&store, path, which->schema, &cli->logger, error);
    if (status == STATUS_OK)
        status = store_checkpoint(store, folder, error);
    store_close(&store);
    return status;
}

/* peer NULL: no swarm runs, and the home is locked by this process. */
static enum status
checkpoint_all(struct cli *cli, struct peer *peer, const char *to, struct error *error)
{
    struct host_store stores[HOST_STORES_MAX];
    size_t count = host_stores(stores);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        char folder[PATH_SIZE];
        status = paths_join(folder, to, stores[i].folder, error);
        if (status == STATUS_OK)
            status = peer ? checkpoint_online(peer, stores[i].service, folder, error)
                          : checkpoint_offline(cli, &stores[i], folder, error);
        if (status == STATUS_NOT_FOUND && !peer)
            status = STATUS_OK;
        if (status != STATUS_OK)
            error_wrap(error, "checkpoint of %s", stores[i].service);
    }
    return status;
}

struct copy {
    const char *to; /* the backup's folder */
    const char *part;
};

static enum status
copy_one(void *context, const char *relative, const char *path, uint64_t size, struct error *error)
{
    const struct copy *copy = context;
    char to[PATH_SIZE];
    (void)size;
    if (snprintf(to, sizeof to, "%s/%s/%s", copy->to, copy->part, relative) >= (int)sizeof to) {
        error_set(error, "path is too long: %s", relative);
        return STATUS_INVALID;
    }
    return tree_copy_file(path, to, error);
}

static enum status
copy_file(const char *home, const char *to, const char *name, struct error *error)
{
    char from[PATH_SIZE];
    char copy[PATH_SIZE];
    enum status status = paths_join(from, home, name, error);
    if (status == STATUS_OK)
        status = paths_join(copy, to, name, error);
    if (status != STATUS_OK || access(from, F_OK) != 0)
        return status;
    return tree_copy_file(from, copy, error);
}

/* The broker's own, one by one: beside them stand the inboxes, which live. What is cut off at the
 * end of the revoked capabilities was not answered yet. */
static enum status
copy_broker_files(const char *home, const char *to, struct error *error)
{
    enum status status = copy_file(home, to, HOME_KEY_TABLE, error);
    return status == STATUS_OK ? copy_file(home, to, HOME_REVOKED, error) : status;
}

static enum status
copy_part(const char *home, const char *to, const char *part, struct error *error)
{
    char from[PATH_SIZE];
    struct copy copy = {to, part};
    enum status status = paths_join(from, home, part, error);
    if (status == STATUS_OK && access(from, F_OK) == 0)
        status = tree_walk(from, copy_one, &copy, error);
    return status;
}

static enum status
copy_parts(const char *home, const char *to, struct error *error)
{
    static const char *const parts[] = {"config", "secrets", "agents"};
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < sizeof parts / sizeof parts[0]; i++)
        status = copy_part(home, to, parts[i], error);
    return status == STATUS_OK ? copy_broker_files(home, to, error) : status;
}

static enum status
list_one(void *context, const char *relative, const char *path, uint64_t size, struct error *error)
{
    json_t *files = context;
    char digest[SHA256_TEXT_SIZE];
    enum status status = tree_sha256(path, digest, error);
    if (status == STATUS_OK &&
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "path", relative, "size",
                                               (json_int_t)size, "sha256", digest)) != 0)
        status = STATUS_NOMEM;
    return status;
}

static enum status
write_manifest(struct cli *cli, const char *to, size_t *count, struct error *error)
{
    char path[PATH_SIZE];
    char created[TIMESTAMP_TEXT_SIZE];
    json_t *files = json_array();
    enum status status = paths_join(path, to, BACKUP_MANIFEST, error);
    if (status == STATUS_OK)
        status = tree_walk(to, list_one, files, error);
    *count = json_array_size(files);
    timestamp_format(clock_now(cli->clock).wall_us, created);
    json_t *root = json_pack("{s:i, s:s, s:s, s:o}", "format", BACKUP_FORMAT, "version",
                             SOS_VERSION, "created_at", created, "files", files);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    if (status == STATUS_OK)
        status =
            text ? file_save(path, (struct bytes){(const uint8_t *)text, strlen(text)}, 0600, error)
                 : STATUS_NOMEM;
    free(text);
    json_decref(root);
    return status;
}

static enum status
backup(struct cli *cli, const char *to, size_t *count, struct error *error)
{
    struct peer *peer = NULL;
    struct home_lock lock = {-1, -1};
    char data[PATH_SIZE];
    long pid = 0;
    bool running = home_is_running(cli->home, &pid);
    enum status status = running ? session_open(&peer, cli, &(struct session_options){0}, error)
                                 : home_lock(&lock, cli->home, 0, error);
    if (status == STATUS_OK)
        status = paths_join(data, to, "data", error);
    if (status == STATUS_OK && mkdir(to, 0700) != 0) {
        error_set(error, "make %s: %s (a backup goes into a new folder)", to, strerror(errno));
        status = STATUS_CONFLICT;
    }
    if (status == STATUS_OK)
        status = folder_make(data, error);
    /* The key table goes first: a store that is newer than the epoch it is pinned at is fine, an
     * older one is refused. */
    if (status == STATUS_OK)
        status = copy_parts(cli->home, to, error);
    if (status == STATUS_OK)
        status = checkpoint_all(cli, peer, to, error);
    /* After the stores, which know up to where they have written: lines may be more, not fewer. */
    if (status == STATUS_OK)
        status = copy_part(cli->home, to, "data/audit", error);
    if (status == STATUS_OK)
        status = write_manifest(cli, to, count, error);
    peer_close(&peer);
    home_unlock(&lock);
    return status;
}

int
run_backup(struct cli *cli, int argc, char **argv)
{
    char to[PATH_SIZE];
    char parent[PATH_MAX];
    struct error error = ERROR_INIT;
    size_t count = 0;
    if (argc != 2 || argv[1][0] == '-')
        return command_fail("backup", EXIT_USAGE, "expected: sos backup DIR (a folder to be made)");
    /* Services write their checkpoints themselves: the path must mean the same to them. */
    if (argv[1][0] == '/')
        parent[0] = '\0';
    else if (!getcwd(parent, sizeof parent))
        return command_fail("backup", EXIT_FAILED, "working folder: %s", strerror(errno));
    if (snprintf(to, sizeof to, "%s%s%s", parent, parent[0] ? "/" : "", argv[1]) >= (int)sizeof to)
        return command_fail("backup", EXIT_USAGE, "DIR is too long");
    if (access(cli->home, F_OK) != 0)
        return command_fail("backup", EXIT_FAILED, "there is no home %s", cli->home);
    if (backup(cli, to, &count, &error) != STATUS_OK)
        return command_fail("backup", EXIT_FAILED, "%s", error.message);
    printf("%zu files of home %s are in %s (it holds secret keys: keep it safe)\n", count,
           cli->home, to);
    return EXIT_OK;
}
