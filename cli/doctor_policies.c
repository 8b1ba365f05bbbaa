/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_policies.c - can the policies be read? */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "actors/identity/policy_file.h"
#include "cli/doctor.h"
#include "platform/file.h"

enum { POLICIES_MAX = 256 };

static bool
is_policy(const char *name)
{
    size_t size = strlen(name);
    return size > 5 && name[0] != '.' && strcmp(name + size - 5, ".json") == 0;
}

static void
check_file(struct doctor *doctor, const char *path)
{
    struct error error = ERROR_INIT;
    struct buffer content;
    struct policy *policy = NULL;
    buffer_init(&content);
    enum status status = file_load(path, POLICY_SIZE_MAX, false, &content, &error);
    if (status == STATUS_OK)
        status = policy_parse(&policy, buffer_text(&content), path, &error);
    if (status != STATUS_OK)
        doctor_add(doctor, FINDING_ERROR, path, "mend the file, or take it away", "%s",
                   error.message);
    policy_destroy(&policy);
    buffer_clear(&content);
}

/* The one that counts here, from the home or from the program. */
static void
check_edition(struct doctor *doctor)
{
    const char *edition = config_string(doctor->config, OPTION_EDITION);
    struct error error = ERROR_INIT;
    struct policy *policy = NULL;
    struct buffer content;
    buffer_init(&content);
    enum status status =
        policy_file_load(doctor->home, text_of(edition), &policy, &content, &error);
    if (status != STATUS_OK)
        doctor_add(doctor, FINDING_ERROR, "edition", "mend its file, or set another edition",
                   "the policy of edition %s cannot be had: %s", edition, error.message);
    policy_destroy(&policy);
    buffer_clear(&content);
}

void
doctor_check_policies(struct doctor *doctor)
{
    char folder_path[PATH_SIZE];
    struct dirent *entry;
    size_t count = 0;
    if (paths_join(folder_path, doctor->home, "config/policies", NULL) != STATUS_OK)
        return;
    DIR *folder = opendir(folder_path);
    if (!folder && errno != ENOENT) {
        doctor_add(doctor, FINDING_ERROR, folder_path, "make it readable for the user who runs sos",
                   "cannot be read: %s", strerror(errno));
        return;
    }
    while (folder && count < POLICIES_MAX && (entry = readdir(folder)) != NULL) {
        char path[PATH_SIZE];
        if (!is_policy(entry->d_name) ||
            paths_join(path, folder_path, entry->d_name, NULL) != STATUS_OK)
            continue;
        count++;
        check_file(doctor, path);
    }
    if (folder)
        closedir(folder);
    check_edition(doctor);
    if (findings_of(&doctor->findings, "policies") == 0)
        doctor_add(doctor, FINDING_OK, folder_path, "",
                   "edition %s; %zu policies of this home's own, all well-formed",
                   config_string(doctor->config, OPTION_EDITION), count);
}
