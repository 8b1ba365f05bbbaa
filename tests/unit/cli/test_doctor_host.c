/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utime.h>

#include "tests/unit/cli/fixture_doctor.h"

/* ---- ports */

static void
ports_that_are_free_are_fine(void **state)
{
    struct fixture *f = *state;
    doctor_expect_ok(f, "ports");
    doctor_set(f, "ports=auto");
    doctor_expect_ok(f, "ports");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_OK, "", "auto"));
}

#define LISTENS_6060                                                                               \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "  \
    "inode\n"                                                                                      \
    "   0: 0100007F:17AC 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 "  \
    "41 1 0\n"                                                                                     \
    "   1: 0100007F:17AC 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1234        0 "  \
    "42 1 0\n"

static void
a_port_that_is_taken_names_who_has_it(void **state)
{
    struct fixture *f = *state;
    fake.bind_failure = EADDRINUSE;
    fake.bind_port = 6060;
    doctor_expect(f, "ports", FINDING_ERROR, "gateway.engine_port", "port 6060");
    assert_int_equal(f->doctor.findings.counts[FINDING_ERROR], 1);

    temporary_file(&f->home, "proc/net/tcp", LISTENS_6060, 0600);
    doctor_expect(f, "ports", FINDING_ERROR, "gateway.engine_port", "user 1234");

    temporary_folder(&f->home, "proc/77/fd", 0700);
    temporary_link(&f->home, "proc/77/fd/3", "socket:[41]");
    temporary_link(&f->home, "proc/77/fd/4", "socket:[42]");
    temporary_file(&f->home, "proc/77/stat", "77 (a (thing) of) S 70 1 1", 0600);
    doctor_expect(f, "ports", FINDING_ERROR, "gateway.engine_port", "a (thing) of (pid 77)");
}

static void
ports_of_its_own_swarm_are_fine(void **state)
{
    struct fixture *f = *state;
    f->doctor.swarm_pid = 70;
    temporary_file(&f->home, "run/gateway.json",
                   "{\"bind\":\"127.0.0.1\",\"ports\":{\"engine\":6060}}", 0600);
    temporary_file(&f->home, "proc/net/tcp6", LISTENS_6060, 0600);
    temporary_link(&f->home, "proc/77/fd/4", "socket:[42]");
    temporary_file(&f->home, "proc/77/stat", "77 (sos) S 70 1 1", 0600);
    doctor_set(f, "ports=auto");
    fake.bind_failure = EADDRINUSE;
    doctor_expect_ok(f, "ports");

    f->doctor.swarm_pid = 69;
    doctor_expect(f, "ports", FINDING_ERROR, "gateway.engine_port", "taken by sos (pid 77)");
    fake.bind_failure = 0;
    doctor_expect(f, "ports", FINDING_ERROR, "gateway.engine_port", "nobody listens");
}

static void
ports_that_cannot_be_had_say_why(void **state)
{
    struct fixture *f = *state;
    fake.bind_failure = EACCES;
    doctor_expect(f, "ports", FINDING_ERROR, "gateway.port", "may not be taken");
    fake.bind_failure = EADDRNOTAVAIL;
    doctor_expect(f, "ports", FINDING_ERROR, "broker.bind", "no address of this host");
    fake.bind_failure = ENETDOWN;
    doctor_expect(f, "ports", FINDING_WARNING, "gateway.port", "cannot be tried");
    fake.bind_failure = 0;
    doctor_set(f, "gateway.voice_port=6060");
    doctor_expect(f, "ports", FINDING_ERROR, "gateway.voice_port",
                  "also that of gateway.engine_port");
}

/* ---- clock */

static void
the_clock_is_right_or_said_to_be_wrong(void **state)
{
    struct fixture *f = *state;
    doctor_expect_ok(f, "clock");
    fake.synchronised = false;
    doctor_expect(f, "clock", FINDING_NOTE, "", "knows of nothing");
    fake.clock_failure = EPERM;
    doctor_expect(f, "clock", FINDING_NOTE, "", "cannot be read");
    fake.clock_failure = 0;
    fake.synchronised = true;
    fake.now.wall_us += 3600 * UINT64_C(1000000);
    doctor_expect(f, "clock", FINDING_WARNING, "", "was set by 3600000 ms");
    fake.now.monotonic_us -= 1;
    doctor_expect(f, "clock", FINDING_ERROR, "", "went back");
    fake.now.wall_us = 1000000;
    doctor_expect(f, "clock", FINDING_ERROR, "", "1970-01-01");
}

static void
files_of_the_future_say_that_the_clock_was_set_back(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];
    temporary_file(&f->home, "config/swarm.json", "{}", 0600);
    time_t future = (time_t)(fake.now.wall_us / 1000000) + 1000;
    snprintf(path, sizeof path, "%s/config/swarm.json", f->home.path);
    assert_int_equal(utime(path, &(struct utimbuf){future, future}), 0);
    doctor_expect(f, "clock", FINDING_WARNING, "swarm.json", "1000 s in the future");
}

/* ---- disk, sync, limits */

static void
a_disk_is_fine_or_named(void **state)
{
    struct fixture *f = *state;
    const struct host_disk good = fake.disk;
    doctor_expect_ok(f, "disk");
    fake.disk.memory = true;
    doctor_expect(f, "disk", FINDING_WARNING, "", "is memory");
    fake.disk = good;
    fake.disk.remote = true;
    doctor_expect(f, "disk", FINDING_WARNING, "", "locks");
    fake.disk = good;
    fake.disk.read_only = true;
    doctor_expect(f, "disk", FINDING_ERROR, "", "read-only");
    fake.disk = good;
    fake.disk.free_bytes = 67108864;
    doctor_expect(f, "disk", FINDING_ERROR, "", "writes are refused");
    fake.disk.free_bytes = 67108864 * 3;
    doctor_expect(f, "disk", FINDING_WARNING, "", "only");
    fake.disk = good;
    fake.disk.free_files = 0;
    doctor_expect(f, "disk", FINDING_ERROR, "", "no more files");
    fake.disk.free_files = 10;
    doctor_expect(f, "disk", FINDING_WARNING, "", "10 more files");
    fake.disk_failure = EIO;
    doctor_expect(f, "disk", FINDING_ERROR, "", "cannot be asked");
}

static void
a_write_lasts_or_not(void **state)
{
    struct fixture *f = *state;
    doctor_expect_ok(f, "sync");
    fake.sync_us = 3;
    doctor_expect(f, "sync", FINDING_NOTE, "", "faster than a disk");
    fake.disk.memory = true;
    doctor_expect_ok(f, "sync");
    fake.disk.memory = false;
    fake.sync_us = 90000;
    doctor_expect(f, "sync", FINDING_WARNING, "", "90 ms");
    fake.sync_failure = EIO;
    doctor_expect(f, "sync", FINDING_ERROR, "", "cannot be made to last");
}

static void
limits_are_held_against_the_settings(void **state)
{
    struct fixture *f = *state;
    doctor_expect_ok(f, "limits");
    fake.files_hard = 8192;
    doctor_expect(f, "limits", FINDING_WARNING, "broker.peers_max", "hard limit is 8192");
    assert_non_null(
        findings_find(&f->doctor.findings, FINDING_WARNING, "gateway.connections_max", ""));
    doctor_set(f, "broker.peers_max=1000");
    doctor_set(f, "gateway.connections_max=1000");
    doctor_expect_ok(f, "limits");
    fake.locked_soft = 1000;
    doctor_expect(f, "limits", FINDING_NOTE, "", "swap");
    fake.limit_failure = EPERM;
    doctor_expect(f, "limits", FINDING_WARNING, "", "cannot be read");
}

/* ---- isolation, libraries */

static void
isolation_is_said_as_it_is(void **state)
{
    struct fixture *f = *state;
    temporary_file(&f->home, "proc/sys/kernel/seccomp/actions_avail", "kill trap errno\n", 0600);
    temporary_file(&f->home, "proc/self/cgroup", "0::/user/sos\n", 0600);
    temporary_file(&f->home, "sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n", 0600);
    temporary_file(&f->home, "sys/fs/cgroup/user/sos/cgroup.controllers", "memory pids\n", 0600);
    doctor_expect_ok(f, "isolation");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_OK, "bwrap", "bwrap 1.2.3"));

    temporary_file(&f->home, "sys/fs/cgroup/user/sos/cgroup.controllers", "cpu pids\n", 0600);
    doctor_expect(f, "isolation", FINDING_NOTE, "/sys/fs/cgroup/user/sos", "does not delegate");
    fake.program_failure = ENOENT;
    doctor_expect(f, "isolation", FINDING_WARNING, "bwrap", "cannot be run");
    fake.namespace_failure = EPERM;
    doctor_expect(f, "isolation", FINDING_WARNING, "", "cannot be made");
    temporary_file(&f->home, "proc/sys/user/max_user_namespaces", "0\n", 0600);
    doctor_expect(f, "isolation", FINDING_WARNING, "max_user_namespaces", "switched off");
}

static void
a_host_that_says_nothing_is_not_trusted(void **state)
{
    struct fixture *f = *state;
    doctor_expect(f, "isolation", FINDING_WARNING, "", "seccomp");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_NOTE, "", "no control groups"));
}

static void
libraries_are_listed(void **state)
{
    struct fixture *f = *state;
    doctor_expect_ok(f, "libraries");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_OK, "", "libzmq"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DOCTOR_TEST(ports_that_are_free_are_fine),
        DOCTOR_TEST(a_port_that_is_taken_names_who_has_it),
        DOCTOR_TEST(ports_of_its_own_swarm_are_fine),
        DOCTOR_TEST(ports_that_cannot_be_had_say_why),
        DOCTOR_TEST(the_clock_is_right_or_said_to_be_wrong),
        DOCTOR_TEST(files_of_the_future_say_that_the_clock_was_set_back),
        DOCTOR_TEST(a_disk_is_fine_or_named),
        DOCTOR_TEST(a_write_lasts_or_not),
        DOCTOR_TEST(limits_are_held_against_the_settings),
        DOCTOR_TEST(isolation_is_said_as_it_is),
        DOCTOR_TEST(a_host_that_says_nothing_is_not_trusted),
        DOCTOR_TEST(libraries_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
