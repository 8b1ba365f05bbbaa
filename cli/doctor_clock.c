/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_clock.c - is the time right? Capabilities expire by it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/doctor.h"
#include "cli/home.h"

#define SECOND_US UINT64_C(1000000)
#define YEAR_2025_US (UINT64_C(1735689600) * SECOND_US)
#define YEAR_2100_US (UINT64_C(4102444800) * SECOND_US)

enum { STEP_MAX_MS = 500, FUTURE_MAX_SECONDS = 60 };

static void
check_date(struct doctor *doctor, uint64_t wall_us)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_us, text);
    if (wall_us < YEAR_2025_US || wall_us > YEAR_2100_US)
        doctor_add(doctor, FINDING_ERROR, "", "set the clock: timedatectl set-ntp true",
                   "the date cannot be right: %s", text);
}

/* Both clocks went on since this run began: by the same time, unless somebody set one. */
static void
check_steps(struct doctor *doctor, struct now now)
{
    if (now.monotonic_us < doctor->began.monotonic_us) {
        doctor_add(doctor, FINDING_ERROR, "", "the kernel or its virtual machine is broken",
                   "the monotonic clock went back");
        return;
    }
    int64_t wall = (int64_t)(now.wall_us - doctor->began.wall_us);
    int64_t steady = (int64_t)(now.monotonic_us - doctor->began.monotonic_us);
    int64_t step_ms = (wall - steady) / 1000;
    if (step_ms > STEP_MAX_MS || step_ms < -STEP_MAX_MS)
        doctor_add(doctor, FINDING_WARNING, "", "see what sets the clock: it should be slewed",
                   "the wall clock was set by %" PRId64 " ms while this looked", step_ms);
}

static void
check_files(struct doctor *doctor, uint64_t wall_us)
{
    static const char *const written[] = {HOME_SWARM_FILE, HOME_KEY_TABLE, HOME_BUS_AUDIT, NULL};
    for (size_t i = 0; written[i]; i++) {
        char path[PATH_SIZE];
        struct stat state;
        if (paths_join(path, doctor->home, written[i], NULL) != STATUS_OK ||
            stat(path, &state) != 0 || state.st_mtim.tv_sec < 0)
            continue;
        uint64_t seconds = (uint64_t)state.st_mtim.tv_sec;
        if (seconds > wall_us / SECOND_US + FUTURE_MAX_SECONDS) {
            doctor_add(doctor, FINDING_WARNING, path,
                       "set the clock: what was issued before may seem to lie in the future",
                       "was written %" PRIu64 " s in the future: the clock was set back",
                       seconds - wall_us / SECOND_US);
            return;
        }
    }
}

void
doctor_check_clock(struct doctor *doctor)
{
    struct now now = clock_now(doctor->clock);
    bool synchronised = false;
    check_date(doctor, now.wall_us);
    check_steps(doctor, now);
    check_files(doctor, now.wall_us);
    int failure = doctor->host->clock_synchronised(&synchronised);
    if (failure)
        doctor_add(doctor, FINDING_NOTE, "", "ask the host: timedatectl",
                   "whether the clock is kept right cannot be read: %s", strerror(failure));
    else if (!synchronised)
        doctor_add(doctor, FINDING_NOTE, "",
                   "run a time service (systemd-timesyncd, chrony) here or on the host",
                   "the kernel knows of nothing that keeps its clock right");
    if (findings_of(&doctor->findings, "clock") == 0)
        doctor_add(doctor, FINDING_OK, "", "", "the date is plausible, and it is kept right");
}
