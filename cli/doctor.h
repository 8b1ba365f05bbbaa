/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor.h - `sos doctor`: looks at a home, its swarm and its host, and says what is wrong and
 * what to do.
 *
 * A check is a row of doctor_checks and a function that adds findings: at least one, an ok when all
 * is right. It changes nothing (a probe file is unlinked before it is written), works with the
 * swarm up or down, and never adds a secret to a finding. What a check cannot look at is a note or
 * a warning that says why, never silence. One thread; calls block for seconds at most. */
#ifndef SOS_CLI_DOCTOR_H
#define SOS_CLI_DOCTOR_H

#include "cli/command.h"
#include "cli/doctor_host.h"
#include "cli/findings.h"
#include "kernel/contract.h"

struct doctor {
    const char *home;
    const struct config *config;
    const char *settings_error; /* why the settings cannot be loaded; NULL: they were */
    const char *system_settings;
    const struct clock *clock;
    struct now began;
    const struct doctor_host *host;
    long swarm_pid; /* of the supervisor; 0: no swarm of this home runs */

    /* One call of a service, as the operator with the right to it; the reply (msgpack) is
     * appended. NULL while no swarm runs. */
    enum status (*call)(void *context, const struct operation *operation, struct bytes payload,
                        struct buffer *reply, struct error *error);
    void *call_context;

    struct findings findings;
};

struct doctor_check {
    const char *name;
    void (*run)(struct doctor *doctor);
};

/* Ends with a row whose name is NULL. */
extern const struct doctor_check doctor_checks[];

/* Runs them all. */
void doctor_run(struct doctor *doctor);

/* True when nothing is an error. */
bool doctor_is_content(const struct doctor *doctor);

/* Appends the report: for people, or as one JSON object. */
void doctor_print(const struct doctor *doctor, bool json, bool color, struct buffer *out);

void doctor_check_settings(struct doctor *doctor);
void doctor_check_keys(struct doctor *doctor);
void doctor_check_ports(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
void doctor_check_disk(struct doctor *doctor);
void doctor_check_sync(struct doctor *doctor);
void doctor_check_limits(struct doctor *doctor);
void doctor_check_policies(struct doctor *doctor);
void doctor_check_capabilities(struct doctor *doctor);
void doctor_check_pairing(struct doctor *doctor);
void doctor_check_audit(struct doctor *doctor);
void doctor_check_secrets(struct doctor *doctor);
void doctor_check_isolation(struct doctor *doctor);
void doctor_check_libraries(struct doctor *doctor);

/* findings_add() with this doctor's findings. */
#define doctor_add(doctor, ...) findings_add(&(doctor)->findings, __VA_ARGS__)

#endif
