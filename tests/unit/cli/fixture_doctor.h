/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cli/fixture_doctor.h - a doctor with a temporary home and a host that says what a test
 * wants it to. */
#ifndef SOS_TESTS_CLI_FIXTURE_DOCTOR_H
#define SOS_TESTS_CLI_FIXTURE_DOCTOR_H

#include "cli/doctor.h"
#include "tests/unit/cli/fixture_home.h"

/* What the host says. */
struct fake_host {
    int disk_failure, sync_failure, bind_failure, limit_failure, clock_failure, namespace_failure,
        program_failure;
    uint16_t bind_port; /* fails alone; 0: every port */
    struct host_disk disk;
    uint64_t sync_us;
    uint64_t files_hard, locked_soft;
    bool synchronised;
    struct now now;
};
extern struct fake_host fake;

struct fixture {
    struct temporary_home home;
    struct doctor doctor;
    struct doctor_host host;
    struct config *config;
};

/* Everything is fine, and the clock stands at 2026-09-21T14:13:20Z. */
int doctor_setup(void **state);
int doctor_teardown(void **state);

/* key=value */
void doctor_set(struct fixture *f, const char *assignment);

/* The check says this among what it says. */
void doctor_expect(struct fixture *f, const char *check, enum finding_severity severity,
                   const char *where, const char *what);
/* It says nothing but that all is well. */
void doctor_expect_ok(struct fixture *f, const char *check);

#define DOCTOR_TEST(name) cmocka_unit_test_setup_teardown(name, doctor_setup, doctor_teardown)

#endif
