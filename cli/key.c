/* SPDX-License-Identifier: Apache-2.0 */
/* cli/key.c - `sos key`: makes CURVE key files and lists those of the home. Never prints a secret.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/key.h"
#include "cli/lifecycle.h"
#include "kernel/identity.h"

static int
list_keys(struct cli *cli)
{
    char folder[PATH_SIZE];
    struct error error = ERROR_INIT;
    if (paths_join(folder, cli->home, "secrets", &error) != STATUS_OK)
        return command_fail("key", EXIT_FAILED, "%s", error.message);
    DIR *entries = opendir(folder);
    if (!entries)
        return command_fail("key", EXIT_FAILED, "open %s: %s", folder, strerror(errno));

    int code = EXIT_OK;
    struct dirent *entry;
    while ((entry = readdir(entries))) {
        char path[PATH_SIZE + 256];
        struct connection connection;
        size_t size = strlen(entry->d_name);
        if (size < 5 || strcmp(entry->d_name + size - 4, ".key") != 0 ||
            strcmp(entry->d_name, "river.key") == 0 || strcmp(entry->d_name, "master.key") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (connection_load(&connection, NULL, path, &error) != STATUS_OK) {
            code = command_fail("key", EXIT_FAILED, "%s", error.message);
            continue;
        }
        if (cli->json)
            printf("{\"identity\":\"%s\",\"curve_public_key\":\"%s\",\"file\":\"%s\"}\n",
                   connection.identity, connection.keys.public_key, path);
        else
            printf("%-20s %s  %s\n", connection.identity, connection.keys.public_key, path);
        connection_clear(&connection);
    }
    closedir(entries);
    return code;
}

static int
new_key(const char *id, const char *path)
{
    struct connection connection;
    struct identity identity;
    struct error error = ERROR_INIT;
    if (identity_parse(text_of(id), &identity, &error) != STATUS_OK)
        return command_fail("key", EXIT_USAGE, "IDENTITY: %s", error.message);
    if (access(path, F_OK) == 0)
        return command_fail("key", EXIT_FAILED, "%s is there already", path);
    memset(&connection, 0, sizeof connection);
    snprintf(connection.identity, sizeof connection.identity, "%s", id);
    curve_keys_make(&connection.keys);
    enum status status = connection_save(&connection, path, &error);
    if (status == STATUS_OK)
        printf("%s\n", connection.keys.public_key);
    connection_clear(&connection);
    return status == STATUS_OK ? EXIT_OK : command_fail("key", EXIT_FAILED, "%s", error.message);
}

static int
allow_key(struct cli *cli, const char *path)
{
    struct connection connection;
    struct error error = ERROR_INIT;
    enum status status = connection_load(&connection, NULL, path, &error);
    if (status != STATUS_OK)
        return command_fail("key", EXIT_FAILED, "%s", error.message);
    char identity[sizeof connection.identity];
    memcpy(identity, connection.identity, sizeof identity);
    status = home_allow_key(cli->home, identity, connection.keys.public_key,
                            clock_now(cli->clock).wall_us, &error);
    connection_clear(&connection);
    if (status != STATUS_OK)
        return command_fail("key", EXIT_FAILED, "allow %s: %s", identity, error.message);
    printf("%s may connect with this key from the next start on\n", identity);
    return EXIT_OK;
}

int
run_key(struct cli *cli, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list_keys(cli);
    if (argc >= 2 && strcmp(argv[1], "rotate") == 0)
        return key_rotate(cli, argc - 1, argv + 1);
    if (argc == 4 && strcmp(argv[1], "new") == 0)
        return new_key(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "allow") == 0)
        return allow_key(cli, argv[2]);
    return command_fail("key", EXIT_USAGE,
                        "expected: sos key list, sos key new IDENTITY FILE, sos key allow FILE, or "
                        "sos key rotate NAME");
}
