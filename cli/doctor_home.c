/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_home.c - settings that are unsafe, and the keys of the home. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/net/keytable.h"
#include "cli/doctor.h"
#include "cli/home.h"
#include "cli/home_files.h"
#include "cli/production.h"
#include "platform/river_key.h"

void
doctor_check_settings(struct doctor *doctor)
{
    struct production production = {doctor->config, doctor->home, doctor->system_settings,
                                    doctor->host->user};
    if (doctor->settings_error) {
        doctor_add(doctor, FINDING_ERROR, "", "change what it names; sos starts nothing until then",
                   "%s", doctor->settings_error);
        return;
    }
    production_check_settings(&production, &doctor->findings);
    if (findings_of(&doctor->findings, "settings") == 0)
        doctor_add(doctor, FINDING_OK, "", "", "env is %s, capabilities are %s",
                   config_string(doctor->config, OPTION_ENV),
                   config_bool(doctor->config, OPTION_REQUIRE_CAPABILITIES) ? "required"
                                                                            : "not required");
}

/* What its mode is has been said already. */
static bool
is_news(enum status status)
{
    return status != STATUS_OK && status != STATUS_NOT_FOUND && status != STATUS_FORBIDDEN;
}

static void
check_river(struct doctor *doctor)
{
    struct error error = ERROR_INIT;
    struct river_key key;
    enum status status = river_key_load(doctor->home, &key, &error);
    if (status == STATUS_OK)
        river_key_clear(&key);
    else if (is_news(status))
        doctor_add(doctor, FINDING_ERROR, "secrets/river.key",
                   "take it from a backup; without it no capability of this home can be signed",
                   "%s", error.message);
}

static void
check_identity(struct doctor *doctor, struct keytable *table, const struct home_identity *row)
{
    char path[PATH_SIZE];
    struct error error = ERROR_INIT;
    struct connection connection;
    struct key_entry entry;
    enum status status = paths_join(path, doctor->home, row->key_file, &error);
    if (status == STATUS_OK)
        status = connection_load(&connection, NULL, path, &error);
    if (is_news(status)) {
        doctor_add(doctor, FINDING_ERROR, path,
                   "take it from a backup, or remove it: sos up makes a new one", "%s",
                   error.message);
        return;
    }
    if (status != STATUS_OK)
        return;
    bool known = table && keytable_find(table, text_of(connection.keys.public_key), &entry);
    if (strcmp(connection.identity, row->identity) != 0)
        doctor_add(doctor, FINDING_ERROR, path, "put the right key back from a backup",
                   "is the key of another identity, expected %s", row->identity);
    else if (known && entry.revoked)
        doctor_add(doctor, FINDING_ERROR, path,
                   "stop the swarm and remove the file: sos up makes a new key",
                   "the key of %s is revoked", row->identity);
    else if (table && !known)
        doctor_add(doctor, FINDING_WARNING, path, "sos up adds it",
                   "the broker's key table does not know this key of %s", row->identity);
    connection_clear(&connection);
}

static void
check_table(struct doctor *doctor)
{
    char path[PATH_SIZE];
    struct error error = ERROR_INIT;
    struct keytable *table = NULL;
    struct stat state;
    if (paths_join(path, doctor->home, HOME_KEY_TABLE, NULL) != STATUS_OK)
        return;
    enum status status = keytable_open(&table, path, &error);
    if (is_news(status))
        doctor_add(doctor, FINDING_ERROR, path, "take it from a backup: it says who may connect",
                   "%s", error.message);
    bool is_there = table && stat(path, &state) == 0;
    for (size_t i = 0; home_identities[i].identity; i++)
        check_identity(doctor, is_there ? table : NULL, &home_identities[i]);
    keytable_close(&table);
}

void
doctor_check_keys(struct doctor *doctor)
{
    struct stat state;
    size_t keys = 0;
    struct home_files files = {doctor->home, doctor->host->user, FINDING_ERROR};
    if (stat(doctor->home, &state) != 0 && errno == ENOENT) {
        doctor_add(doctor, FINDING_NOTE, doctor->home, "sos up makes it", "there is no home yet");
    } else {
        home_files_check(&files, &doctor->findings, &keys);
        check_river(doctor);
        check_table(doctor);
    }
    files.severity = production_is_on(doctor->config) ? FINDING_ERROR : FINDING_WARNING;
    home_parents_check(&files, &doctor->findings);
    if (findings_of(&doctor->findings, "keys") == 0)
        doctor_add(doctor, FINDING_OK, doctor->home, "",
                   "%zu key files, out of others' reach and well-formed", keys);
}
