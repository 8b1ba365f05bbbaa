/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/cli/fixture_doctor.h"

struct fake_host fake;

static int
fake_disk(const char *path, struct host_disk *disk)
{
    (void)path;
    *disk = fake.disk;
    return fake.disk_failure;
}

static int
fake_sync(const char *folder, uint64_t *median_us)
{
    (void)folder;
    *median_us = fake.sync_us;
    return fake.sync_failure;
}

static int
fake_bind(const char *address, uint16_t port)
{
    (void)address;
    return fake.bind_port == 0 || fake.bind_port == port ? fake.bind_failure : 0;
}

static int
fake_limit(enum host_limit limit, uint64_t *soft, uint64_t *hard)
{
    *soft = limit == HOST_LIMIT_FILES ? 1024 : fake.locked_soft;
    *hard = limit == HOST_LIMIT_FILES ? fake.files_hard : UINT64_MAX;
    return fake.limit_failure;
}

static int
fake_clock(bool *synchronised)
{
    *synchronised = fake.synchronised;
    return fake.clock_failure;
}

static int
fake_namespace(void)
{
    return fake.namespace_failure;
}

static int
fake_version(const char *program, char *line, size_t size)
{
    snprintf(line, size, "%s 1.2.3", program);
    return fake.program_failure;
}

static struct now
fake_now(void *context)
{
    (void)context;
    return fake.now;
}

static const struct clock fake_time = {fake_now, NULL};

int
doctor_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    temporary_home_make(&f->home);
    f->config = config_new();
    memset(&fake, 0, sizeof fake);
    fake.disk = (struct host_disk){.kind = "ext4",
                                   .free_bytes = UINT64_C(1) << 38,
                                   .size_bytes = UINT64_C(1) << 40,
                                   .free_files = 1000000};
    fake.sync_us = 900;
    fake.files_hard = 1u << 20;
    fake.locked_soft = UINT64_MAX;
    fake.synchronised = true;
    fake.now = (struct now){5000000, UINT64_C(1790000000000000)};
    f->host = (struct doctor_host){
        .root = f->home.path,
        .user = geteuid(),
        .disk = fake_disk,
        .sync = fake_sync,
        .bind = fake_bind,
        .limit = fake_limit,
        .clock_synchronised = fake_clock,
        .user_namespace = fake_namespace,
        .program_version = fake_version,
    };
    f->doctor = (struct doctor){.home = f->home.path,
                                .config = f->config,
                                .system_settings = "/nonexistent",
                                .clock = &fake_time,
                                .began = fake.now,
                                .host = &f->host};
    findings_init(&f->doctor.findings);
    *state = f;
    return 0;
}

int
doctor_teardown(void **state)
{
    struct fixture *f = *state;
    findings_clear(&f->doctor.findings);
    config_destroy(&f->config);
    temporary_home_remove(&f->home);
    free(f);
    return 0;
}

void
doctor_set(struct fixture *f, const char *assignment)
{
    struct error error = ERROR_INIT;
    if (config_apply_argument(f->config, assignment, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

static void
run(struct fixture *f, const char *name)
{
    findings_clear(&f->doctor.findings);
    for (const struct doctor_check *check = doctor_checks; check->name; check++) {
        if (strcmp(check->name, name) != 0)
            continue;
        f->doctor.findings.check = name;
        check->run(&f->doctor);
        assert_true(f->doctor.findings.count > 0);
        for (size_t i = 0; i < f->doctor.findings.count; i++) {
            const struct finding *row = &f->doctor.findings.rows[i];
            assert_true(row->severity == FINDING_OK || row->fix[0] != '\0');
        }
        return;
    }
    fail_msg("no check %s", name);
}

/* The check says just this, besides what is ok. */
void
doctor_expect(struct fixture *f, const char *check, enum finding_severity severity,
              const char *where, const char *what)
{
    run(f, check);
    if (!findings_find(&f->doctor.findings, severity, where, what)) {
        for (size_t i = 0; i < f->doctor.findings.count; i++)
            print_message("%s: %s: %s\n",
                          finding_severity_word(f->doctor.findings.rows[i].severity),
                          f->doctor.findings.rows[i].where, f->doctor.findings.rows[i].what);
        fail_msg("%s: expected %s: %s: %s", check, finding_severity_word(severity), where, what);
    }
}

void
doctor_expect_ok(struct fixture *f, const char *check)
{
    doctor_expect(f, check, FINDING_OK, "", "");
    assert_int_equal(findings_of(&f->doctor.findings, check), 0);
}
