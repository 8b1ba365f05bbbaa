/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_limits.c - may the parts open what the settings promise? */
#include <inttypes.h>
#include <string.h>

#include "cli/doctor.h"

enum {
    FILES_BESIDE = 256, /* stores, logs, pipes and the library's own */
    LOCKED_MIN = 64 * 1024
};

static void
check_files(struct doctor *doctor, uint64_t soft, uint64_t hard, enum option_id option)
{
    uint64_t wanted = config_uint(doctor->config, option) + FILES_BESIDE;
    if (hard < wanted)
        doctor_add(doctor, FINDING_WARNING, option_key(option),
                   "raise the hard limit (systemd: LimitNOFILE=, else limits.conf), or lower the "
                   "setting",
                   "%" PRIu64 " need %" PRIu64 " open files, the hard limit is %" PRIu64
                   " (soft %" PRIu64 ")",
                   config_uint(doctor->config, option), wanted, hard, soft);
}

void
doctor_check_limits(struct doctor *doctor)
{
    uint64_t soft = 0;
    uint64_t hard = 0;
    int failure = doctor->host->limit(HOST_LIMIT_FILES, &soft, &hard);
    if (failure) {
        doctor_add(doctor, FINDING_WARNING, "", "ask the shell: ulimit -n",
                   "the limit of open files cannot be read: %s", strerror(failure));
    } else {
        check_files(doctor, soft, hard, OPTION_BROKER_PEERS_MAX);
        check_files(doctor, soft, hard, OPTION_GATEWAY_CONNECTIONS_MAX);
    }
    uint64_t locked = 0;
    uint64_t locked_hard = 0;
    failure = doctor->host->limit(HOST_LIMIT_LOCKED_BYTES, &locked, &locked_hard);
    if (failure == 0 && locked < LOCKED_MIN)
        doctor_add(doctor, FINDING_NOTE, "", "raise it: ulimit -l 64 (systemd: LimitMEMLOCK=)",
                   "only %" PRIu64 " bytes may be kept out of the swap: keys may be written to it",
                   locked);
    if (findings_of(&doctor->findings, "limits") == 0)
        doctor_add(doctor, FINDING_OK, "", "", "up to %" PRIu64 " open files", hard);
}
