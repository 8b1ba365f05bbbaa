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

#include "cli/production.h"
#include "tests/unit/cli/fixture_home.h"

struct fixture {
    struct temporary_home home;
    struct production production;
    struct config *config;
    struct findings findings;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    temporary_home_make(&f->home);
    f->config = config_new();
    f->production = (struct production){f->config, f->home.path, "/nonexistent", geteuid()};
    findings_init(&f->findings);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    findings_clear(&f->findings);
    config_destroy(&f->config);
    temporary_home_remove(&f->home);
    free(f);
    return 0;
}

static void
set(struct fixture *f, const char *assignment)
{
    struct error error = ERROR_INIT;
    if (config_apply_argument(f->config, assignment, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

/* How many errors it finds now. */
static size_t
errors(struct fixture *f)
{
    findings_clear(&f->findings);
    production_check(&f->production, &f->findings);
    for (size_t i = 0; i < f->findings.count; i++)
        assert_true(strlen(f->findings.rows[i].fix) > 0);
    return f->findings.counts[FINDING_ERROR];
}

static void
a_safe_home_passes(void **state)
{
    struct fixture *f = *state;
    set(f, "env=production");
    temporary_folder(&f->home, "secrets", 0700);
    temporary_file(&f->home, "secrets/river.key", "{}", 0600);
    temporary_file(&f->home, "agents/a.json", "{}", 0600);
    temporary_file(&f->home, "config/sos.json", "{\"env\": \"production\"}", 0644);
    assert_int_equal(errors(f), 0);
}

static void
a_home_that_is_not_there_passes(void **state)
{
    struct fixture *f = *state;
    set(f, "env=production");
    f->production.home = "/tmp/sos-none/of/these";
    assert_int_equal(errors(f), 0);
}

/* Each setting, and the one that makes it right. */
static void
each_unsafe_setting_is_refused_and_has_a_way_out(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *unsafe;
        const char *where;
        const char *mend[3];
    } rows[] = {
        {"require_capabilities=false", "require_capabilities", {"require_capabilities=true", NULL}},
        {"gateway.bind=0.0.0.0", "gateway.bind", {"gateway.bind=127.0.0.1", NULL}},
        {"gateway.bind=::", "gateway.bind", {"gateway.bind=::1", NULL}},
        {"gateway.bind=10.0.0.1",
         "gateway.bind",
         {"gateway.allow_remote=true", "gateway.tls_proxy=true", NULL}},
        {"gateway.allow_remote=true", "gateway.allow_remote", {"gateway.tls_proxy=true", NULL}},
        {"broker.bind=0.0.0.0", "broker.bind", {"broker.allow_remote=true", NULL}},
        {"broker.bind=example.org", "broker.bind", {"broker.bind=localhost", NULL}},
        {"bus.anonymous=true", "bus.anonymous", {"bus.anonymous=false", NULL}},
        {"cors_origins=*", "cors_origins", {"cors_origins=https://a.example", NULL}},
        {"cors_origins=https://a.example, *", "cors_origins", {"cors_origins=", NULL}},
    };
    set(f, "env=production");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config *all = f->config;
        f->config = config_new();
        f->production.config = f->config;
        set(f, "env=production");
        set(f, rows[i].unsafe);
        assert_int_equal(errors(f), 1);
        assert_non_null(findings_find(&f->findings, FINDING_ERROR, rows[i].where, ""));
        for (size_t j = 0; rows[i].mend[j]; j++)
            set(f, rows[i].mend[j]);
        assert_int_equal(errors(f), 0);
        config_destroy(&f->config);
        f->config = all;
    }
}

static void
all_are_found_at_once(void **state)
{
    struct fixture *f = *state;
    set(f, "env=production");
    set(f, "require_capabilities=0");
    set(f, "gateway.bind=0.0.0.0");
    set(f, "broker.bind=0.0.0.0");
    set(f, "cors_origins=*");
    temporary_file(&f->home, "secrets/river.key", "{}", 0640);
    temporary_file(&f->home, "agents/a.json", "{}", 0604);
    temporary_file(&f->home, "data/broker/keys.json", "{}", 0666);
    temporary_file(&f->home, "config/sos.json",
                   "{\"services\":{\"x\":{\"api_key\":\"abcdefgh1\"}}}", 0600);
    temporary_folder(&f->home, "secrets", 0750);
    assert_int_equal(errors(f), 9);
    assert_non_null(findings_find(&f->findings, FINDING_ERROR, "secrets/river.key", "0640"));
    assert_non_null(findings_find(&f->findings, FINDING_ERROR, "agents/a.json", "0604"));
    assert_non_null(findings_find(&f->findings, FINDING_ERROR, "keys.json", "0666"));
    assert_non_null(findings_find(&f->findings, FINDING_ERROR, "sos.json:1", "secret"));
    assert_null(findings_find(&f->findings, FINDING_ERROR, "", "abcdefgh1"));
}

static void
development_only_warns_and_may_do_without_capabilities(void **state)
{
    struct fixture *f = *state;
    set(f, "require_capabilities=0");
    assert_int_equal(errors(f), 0);
    assert_int_equal(f->findings.counts[FINDING_WARNING], 0);
    set(f, "broker.bind=0.0.0.0");
    temporary_file(&f->home, "secrets/river.key", "{}", 0640);
    assert_int_equal(errors(f), 0);
    assert_int_equal(f->findings.counts[FINDING_WARNING], 2);
}

static void
files_of_another_owner_are_refused(void **state)
{
    struct fixture *f = *state;
    set(f, "env=production");
    temporary_file(&f->home, "secrets/river.key", "{}", 0600);
    f->production.user = geteuid() + 1;
    assert_true(errors(f) >= 3);
    assert_non_null(findings_find(&f->findings, FINDING_ERROR, "secrets/river.key", "belongs to"));
}

static void
a_home_below_a_folder_of_everybody_is_refused(void **state)
{
    struct fixture *f = *state;
    char home[PATH_SIZE];
    set(f, "env=production");
    temporary_folder(&f->home, "shared/home", 0700);
    snprintf(home, sizeof home, "%s/shared/home", f->home.path);
    f->production.home = home;
    assert_int_equal(errors(f), 0);
    temporary_folder(&f->home, "shared", 0777);
    assert_int_equal(errors(f), 1);
    assert_non_null(findings_find(&f->findings, FINDING_ERROR, "/shared", "everybody"));
    temporary_folder(&f->home, "shared", 01777); /* as /tmp */
    assert_int_equal(errors(f), 0);
}

static void
a_home_of_everybody_is_refused(void **state)
{
    struct fixture *f = *state;
    set(f, "env=production");
    temporary_folder(&f->home, ".", 0777);
    assert_int_equal(errors(f), 1);
    assert_non_null(findings_find(&f->findings, FINDING_ERROR, f->home.path, "0777"));
}

static void
root_is_warned(void **state)
{
    struct fixture *f = *state;
    f->production.user = 0;
    f->production.home = "/tmp/sos-none";
    set(f, "env=production");
    assert_int_equal(errors(f), 0);
    assert_non_null(findings_find(&f->findings, FINDING_WARNING, "", "root"));
}

int
main(void)
{
#define PRODUCTION_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        PRODUCTION_TEST(a_safe_home_passes),
        PRODUCTION_TEST(a_home_that_is_not_there_passes),
        PRODUCTION_TEST(each_unsafe_setting_is_refused_and_has_a_way_out),
        PRODUCTION_TEST(all_are_found_at_once),
        PRODUCTION_TEST(development_only_warns_and_may_do_without_capabilities),
        PRODUCTION_TEST(files_of_another_owner_are_refused),
        PRODUCTION_TEST(a_home_below_a_folder_of_everybody_is_refused),
        PRODUCTION_TEST(a_home_of_everybody_is_refused),
        PRODUCTION_TEST(root_is_warned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
