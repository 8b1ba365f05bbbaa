/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_isolation.c - with what can this host keep a tool away from the rest? */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor.h"

enum { LINE_SIZE = 512 };

/* The first line of a file below the host's root; false: there is none. */
static bool
read_line(const struct doctor *doctor, const char *name, char line[static LINE_SIZE])
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s%s", doctor->host->root, name);
    FILE *file = fopen(path, "re");
    bool got = file && fgets(line, LINE_SIZE, file);
    if (file)
        fclose(file);
    if (got)
        line[strcspn(line, "\n")] = '\0';
    return got;
}

static void
check_bubblewrap(struct doctor *doctor)
{
    char line[LINE_SIZE] = {0};
    int failure = doctor->host->program_version("bwrap", line, sizeof line);
    if (failure)
        doctor_add(doctor, FINDING_WARNING, "bwrap", "apt install bubblewrap",
                   "bubblewrap cannot be run (%s): tools cannot be kept apart", strerror(failure));
    else
        doctor_add(doctor, FINDING_OK, "bwrap", "", "%.80s", line);
}

static void
check_user_namespaces(struct doctor *doctor)
{
    static const struct {
        const char *file;
        const char *wrong;
        const char *fix;
    } switches[] = {
        {"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"},
        {"/proc/sys/kernel/unprivileged_userns_clone", "0",
         "sysctl kernel.unprivileged_userns_clone=1"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
         "give bwrap an AppArmor profile, or sysctl "
         "kernel.apparmor_restrict_unprivileged_userns=0"},
    };
    char line[LINE_SIZE];
    int failure = doctor->host->user_namespace();
    if (failure == 0) {
        doctor_add(doctor, FINDING_OK, "", "", "user namespaces can be made");
        return;
    }
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (!read_line(doctor, switches[i].file, line) || strcmp(line, switches[i].wrong) != 0)
            continue;
        doctor_add(doctor, FINDING_WARNING, switches[i].file, switches[i].fix,
                   "user namespaces are switched off: tools cannot be kept apart");
        return;
    }
    doctor_add(doctor, FINDING_WARNING, "",
               "let the container or the service manager allow them (systemd: RestrictNamespaces=)",
               "a user namespace cannot be made (%s): tools cannot be kept apart",
               strerror(failure));
}

static void
check_seccomp(struct doctor *doctor)
{
    char line[LINE_SIZE];
    if (read_line(doctor, "/proc/sys/kernel/seccomp/actions_avail", line))
        doctor_add(doctor, FINDING_OK, "", "", "the kernel filters system calls (seccomp)");
    else
        doctor_add(doctor, FINDING_WARNING, "", "use a kernel with CONFIG_SECCOMP_FILTER",
                   "the kernel says nothing of seccomp: system calls cannot be filtered");
}

static bool
has_word(const char *line, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = strstr(line, word); at; at = strstr(at + 1, word))
        if ((at == line || at[-1] == ' ') && (at[size] == '\0' || at[size] == ' '))
            return true;
    return false;
}

/* Where this process stands in the unified hierarchy. */
static bool
own_group(const struct doctor *doctor, char *group, size_t size)
{
    char line[LINE_SIZE];
    if (!read_line(doctor, "/proc/self/cgroup", line) || strncmp(line, "0::", 3) != 0)
        return false;
    const char *own = strcmp(line + 3, "/") == 0 ? "" : line + 3;
    int length = snprintf(group, size, "/sys/fs/cgroup%s", own);
    return length > 0 && (size_t)length < size;
}

static bool
is_writable(const struct doctor *doctor, const char *name)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s%s", doctor->host->root, name);
    return access(path, W_OK) == 0;
}

static void
check_groups(struct doctor *doctor)
{
    char line[LINE_SIZE];
    char group[LINE_SIZE];
    char controllers[LINE_SIZE + 32];
    if (read_line(doctor, "/sys/fs/cgroup/cgroup.controllers", line)) {
        bool found = own_group(doctor, group, sizeof group);
        snprintf(controllers, sizeof controllers, "%s/cgroup.controllers", found ? group : "");
        if (found && is_writable(doctor, group) && read_line(doctor, controllers, line) &&
            has_word(line, "memory") && has_word(line, "pids")) {
            doctor_add(doctor, FINDING_OK, group, "",
                       "memory and processes of tools can be bounded (cgroup v2, delegated)");
            return;
        }
        doctor_add(doctor, FINDING_NOTE, found ? group : "/sys/fs/cgroup",
                   "let the service manager delegate them (systemd: Delegate=memory pids)",
                   "cgroup v2 does not delegate memory and pids to this user: tools are bounded "
                   "by rlimits alone");
        return;
    }
    if (is_writable(doctor, "/sys/fs/cgroup/memory") && is_writable(doctor, "/sys/fs/cgroup/pids"))
        doctor_add(doctor, FINDING_OK, "/sys/fs/cgroup", "",
                   "memory and processes of tools can be bounded (cgroup v1)");
    else
        doctor_add(doctor, FINDING_NOTE, "/sys/fs/cgroup",
                   "give sos control groups of its own to have tools bounded by them",
                   "no control groups that this user may write to: tools are bounded by rlimits "
                   "alone");
}

void
doctor_check_isolation(struct doctor *doctor)
{
    check_bubblewrap(doctor);
    check_user_namespaces(doctor);
    check_seccomp(doctor);
    check_groups(doctor);
}
