/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_secrets.c - keys and passwords that stand where others read: settings and plugins. */
#include <stdio.h>

#include "cli/doctor.h"
#include "cli/secret_scan.h"

static void
add_secret(void *context, const char *path, const struct secret_match *match)
{
    struct doctor *doctor = context;
    char place[PATH_SIZE + 32];
    snprintf(place, sizeof place, "%s:%zu", path, match->line);
    doctor_add(doctor, match->sure ? FINDING_ERROR : FINDING_WARNING, place,
               "give it by the environment or the secret store, take it out of the file, and "
               "change it: it was readable",
               "holds %s", match->kind);
}

void
doctor_check_secrets(struct doctor *doctor)
{
    static const char *const folders[] = {"config", "plugins", NULL};
    struct secret_scan scan = {.on_found = add_secret, .context = doctor};
    secret_scan_file(&scan, doctor->system_settings);
    for (size_t i = 0; folders[i]; i++) {
        char path[PATH_SIZE];
        if (paths_join(path, doctor->home, folders[i], NULL) == STATUS_OK)
            secret_scan_folder(&scan, path, "", true);
    }
    if (scan.unreadable)
        doctor_add(doctor, FINDING_WARNING, doctor->home,
                   "make them readable for the user who runs sos",
                   "%zu files or folders of config/ and plugins/ cannot be read", scan.unreadable);
    if (scan.cut)
        doctor_add(doctor, FINDING_NOTE, doctor->home, "look through the rest by hand",
                   "of %zu large files only the first %d MiB were looked through", scan.cut,
                   SECRET_SCAN_FILE_MAX / (1024 * 1024));
    if (scan.too_many)
        doctor_add(doctor, FINDING_NOTE, doctor->home, "look through the rest by hand",
                   "config/ and plugins/ hold more than is looked through: %zu files were",
                   scan.files);
    if (findings_of(&doctor->findings, "secrets") == 0)
        doctor_add(doctor, FINDING_OK, doctor->home, "",
                   "none in %zu files of config/ and plugins/", scan.files);
}
