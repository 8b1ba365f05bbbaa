/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_audit.c - are the audit trails as they were written? */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "platform/audit_verify.h"

enum { TRAILS_MAX = 256 };

#define TRAIL_SUFFIX ".jsonl"

static bool
is_trail(const char *name)
{
    size_t size = strlen(name);
    size_t suffix = sizeof TRAIL_SUFFIX - 1;
    return size > suffix && name[0] != '.' && strcmp(name + size - suffix, TRAIL_SUFFIX) == 0;
}

/* Its lines are added to *lines when it is good. */
static void
check_trail(struct doctor *doctor, const char *path, uint64_t *lines)
{
    struct audit_verdict verdict = {0};
    struct error error = ERROR_INIT;
    char place[PATH_SIZE + 48];
    if (audit_verify(path, &verdict, &error) != STATUS_OK) {
        doctor_add(doctor, FINDING_ERROR, path, "make it readable for the user who runs sos", "%s",
                   error.message);
        return;
    }
    if (verdict.is_good) {
        *lines += verdict.lines;
        return;
    }
    if (verdict.file > 0)
        snprintf(place, sizeof place, "%s.%d:%" PRIu64, path, verdict.file, verdict.line);
    else
        snprintf(place, sizeof place, "%s:%" PRIu64, path, verdict.line);
    doctor_add(doctor, FINDING_ERROR, place,
               "keep a copy of the trail, find out who could write to it, and hold it against a "
               "backup: it proves nothing from this line on",
               "the chain is broken: %s, expected %s", verdict.problem, verdict.expected);
}

void
doctor_check_audit(struct doctor *doctor)
{
    char folder_path[PATH_SIZE];
    struct dirent *entry;
    size_t trails = 0;
    uint64_t lines = 0;
    if (paths_join(folder_path, doctor->home, "data/audit", NULL) != STATUS_OK)
        return;
    DIR *folder = opendir(folder_path);
    if (!folder && errno != ENOENT) {
        doctor_add(doctor, FINDING_ERROR, folder_path, "make it readable for the user who runs sos",
                   "cannot be read: %s", strerror(errno));
        return;
    }
    while (folder && trails < TRAILS_MAX && (entry = readdir(folder)) != NULL) {
        char path[PATH_SIZE];
        if (!is_trail(entry->d_name) ||
            paths_join(path, folder_path, entry->d_name, NULL) != STATUS_OK)
            continue;
        trails++;
        check_trail(doctor, path, &lines);
    }
    if (folder)
        closedir(folder);
    if (findings_of(&doctor->findings, "audit") == 0)
        doctor_add(doctor, FINDING_OK, folder_path, "",
                   "%zu trails, %" PRIu64 " lines, every chain whole", trails, lines);
}
