/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "kernel/config.h"

struct fixture {
    struct config *config;
    struct error error;
    char warnings[2048];
    unsigned warned;
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->config = config_new();
    *state = f;
    return f->config ? 0 : -1;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;
    config_destroy(&f->config);
    assert_null(f->config);
    free(f);
    return 0;
}

static void
keep_warning(void *context, const char *message)
{
    struct fixture *f = context;
    size_t size = strlen(f->warnings);
    snprintf(f->warnings + size, sizeof f->warnings - size, "%s\n", message);
    f->warned++;
}

static enum status
apply_file(struct fixture *f, const char *json)
{
    return config_apply_json(f->config, text_of(json), "config/sos.json", keep_warning, f,
                             &f->error);
}

static enum status
apply_variable(struct fixture *f, const char *variable)
{
    const char *const environment[] = {"PATH=/bin", variable, "NOEQUALS", NULL};
    return config_apply_environment(f->config, environment, keep_warning, f, &f->error);
}

static enum status
apply_argument(struct fixture *f, const char *assignment)
{
    return config_apply_argument(f->config, assignment, &f->error);
}

static void
expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void
defaults_hold_until_a_layer_says_otherwise(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(config_string(f->config, OPTION_EDITION), "business");
    assert_int_equal(config_uint(f->config, OPTION_BROKER_PORT), 6066);
    assert_false(config_bool(f->config, OPTION_GATEWAY_ALLOW_REMOTE));
    assert_string_equal(config_origin(f->config, OPTION_BROKER_PORT), "default");
    assert_string_equal(option_key(OPTION_BROKER_PORT), "broker.port");
    assert_true(option_help(OPTION_BROKER_PORT)[0] != '\0');
    assert_true(config_feature(f->config, "auto_tasks", true));
    assert_false(config_feature(f->config, "auto_tasks", false));
    assert_string_equal(config_services(f->config).data, "{}");
}

static void
later_layers_win_and_name_themselves(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_file(f, "{\"broker\": {\"port\": 1, \"bind\": \"::1\"}, "
                                   "\"gateway.port\": 2, \"require_capabilities\": true}"),
                     STATUS_OK);
    assert_int_equal(apply_variable(f, "SOS_BROKER_PORT=3"), STATUS_OK);
    assert_int_equal(apply_argument(f, "gateway.port=4"), STATUS_OK);
    assert_int_equal(config_uint(f->config, OPTION_BROKER_PORT), 3);
    assert_string_equal(config_origin(f->config, OPTION_BROKER_PORT), "SOS_BROKER_PORT");
    assert_string_equal(config_string(f->config, OPTION_BROKER_BIND), "::1");
    assert_string_equal(config_origin(f->config, OPTION_BROKER_BIND), "config/sos.json");
    assert_int_equal(config_uint(f->config, OPTION_GATEWAY_PORT), 4);
    assert_string_equal(config_origin(f->config, OPTION_GATEWAY_PORT), "command line");
    assert_true(config_bool(f->config, OPTION_REQUIRE_CAPABILITIES));
    assert_int_equal(f->warned, 0);
}

static void
unknown_keys_and_variables_warn_once_and_known_ones_do_not(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_file(f, "{\"brocker\": {\"port\": 1}, \"broker\": {\"colour\": 1}}"),
                     STATUS_OK);
    assert_int_equal(apply_variable(f, "SOS_COLOUR=blue"), STATUS_OK);
    assert_string_equal(f->warnings, "config/sos.json: unknown key \"brocker\"\n"
                                     "config/sos.json: unknown key \"broker.colour\"\n"
                                     "environment: unknown variable \"SOS_COLOUR\"\n");
    assert_int_equal(apply_variable(f, "SOS_HOME=/srv/sos"), STATUS_OK);
    assert_int_equal(f->warned, 3);
    assert_int_equal(apply_argument(f, "colour=blue"), STATUS_VALIDATION);
    expect_in(f->error.message, "unknown key \"colour\"");
}

static void
a_wrong_type_or_bound_names_file_and_key(void **state)
{
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"{\"broker\": {\"port\": \"1\"}}", "config/sos.json: broker.port: came text, expected"},
        {"{\"broker.port\": 65536}",
         "broker.port: came \"65536\", expected a whole number from 0 to 65535"},
        {"{\"broker\": {\"port\": -1}}", "came \"-1\""},
        {"{\"broker\": {\"port\": 1.0}}", "came a fraction"},
        {"{\"broker\": {\"peers_max\": 7}}", "from 8 to 1000000"},
        {"{\"broker\": 5}", "broker: came a number, expected an object"},
        {"{\"log_level\": \"loud\"}", "came \"loud\", expected debug info warn error fatal"},
        {"{\"log_level\": \"debug info\"}", "log_level"},
        {"{\"env\": \"\"}", "env"},
        {"{\"edition\": null}", "edition: came null, expected text"},
        {"{\"gateway\": {\"bind\": \"a\\u0000b\"}}", "NUL"},
        {"{\"river_public_key_hex\": \"12\"}", "64 hex digits"},
        {"{\"require_capabilities\": 1}", "require_capabilities: came a number, expected true"},
        {"{\"features\": {\"x\": 1}}", "features.x: came a number"},
        {"{\"features\": []}", "features: came a list"},
        {"{\"features\": {\"a b\": true}}", "features"},
        {"{\"services\": 1}", "services: came a number"},
        {"[]", "config/sos.json: came a list, expected an object"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(apply_file(f, cases[i].json), STATUS_VALIDATION);
        expect_in(f->error.message, cases[i].message);
        expect_in(f->error.message, "config/sos.json");
    }
    assert_int_equal(apply_file(f, "{\"env\": \"production\""), STATUS_INVALID);
    expect_in(f->error.message, "config/sos.json: ");
}

static void
a_layer_that_fails_changes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_file(f, "{\"broker\": {\"bind\": \"::1\", \"port\": -1}}"),
                     STATUS_VALIDATION);
    assert_string_equal(config_string(f->config, OPTION_BROKER_BIND), "127.0.0.1");
    assert_string_equal(config_origin(f->config, OPTION_BROKER_BIND), "default");
    assert_int_equal(apply_file(f, "{\"features\": {\"x\": true, \"y\": 1}}"), STATUS_VALIDATION);
    assert_false(config_feature(f->config, "x", false));

    const char *const environment[] = {"SOS_BROKER_BIND=::1", "SOS_BROKER_PORT=x", NULL};
    assert_int_equal(config_apply_environment(f->config, environment, keep_warning, f, &f->error),
                     STATUS_VALIDATION);
    expect_in(f->error.message, "SOS_BROKER_PORT: broker.port: came \"x\"");
    assert_string_equal(config_string(f->config, OPTION_BROKER_BIND), "127.0.0.1");
}

static void
the_api_key_may_stand_only_in_the_environment(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {"{\"openai\": {\"api_key\": \"sk-secret\"}}",
                                        "{\"openai.api_key\": \"sk-secret\"}",
                                        "{\"openai\": {\"api_key\": 5}}"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(apply_file(f, files[i]), STATUS_VALIDATION);
        expect_in(f->error.message, "SOS_OPENAI_API_KEY");
        expect_in(f->error.message, "openai.api_key_file");
        expect_in(f->error.message, "secret:NAME");
        assert_null(strstr(f->error.message, "sk-secret"));
    }
    assert_int_equal(apply_argument(f, "openai.api_key=sk-secret"), STATUS_VALIDATION);
    assert_int_equal(apply_variable(f, "SOS_OPENAI_API_KEY=sk-secret"), STATUS_OK);
    assert_string_equal(config_string(f->config, OPTION_OPENAI_API_KEY), "sk-secret");
    assert_string_equal(config_origin(f->config, OPTION_OPENAI_API_KEY), "SOS_OPENAI_API_KEY");
}

static void
the_name_of_a_stored_secret_may_stand_anywhere(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_file(f, "{\"openai\": {\"api_key\": \"secret:openai\"}}"), STATUS_OK);
    assert_string_equal(config_string(f->config, OPTION_OPENAI_API_KEY), "secret:openai");
    assert_int_equal(apply_argument(f, "openai.api_key=secret:other"), STATUS_OK);
    assert_string_equal(config_string(f->config, OPTION_OPENAI_API_KEY), "secret:other");
}

static void
a_passphrase_may_stand_only_in_the_environment(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_file(f, "{\"secrets\": {\"passphrase\": \"open-sesame\"}}"),
                     STATUS_VALIDATION);
    expect_in(f->error.message, "SOS_SECRETS_PASSPHRASE");
    assert_null(strstr(f->error.message, "sesame"));
    assert_int_equal(apply_argument(f, "secrets.passphrase=open-sesame"), STATUS_VALIDATION);
    assert_null(strstr(f->error.message, "sesame"));
    assert_int_equal(apply_file(f, "{\"secrets\": {\"passphrase\": \"secret:x\"}}"),
                     STATUS_VALIDATION);
    assert_int_equal(apply_variable(f, "SOS_SECRETS_PASSPHRASE=open-sesame"), STATUS_OK);
    assert_string_equal(config_string(f->config, OPTION_SECRETS_PASSPHRASE), "open-sesame");
}

static void
features_come_from_files_variables_and_the_command_line(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_file(f, "{\"features\": {\"auto_tasks\": false, \"x\": true}}"),
                     STATUS_OK);
    assert_false(config_feature(f->config, "auto_tasks", true));
    assert_int_equal(apply_variable(f, "SOS_FEATURE_AUTO_TASKS=1"), STATUS_OK);
    assert_true(config_feature(f->config, "auto_tasks", false));
    assert_int_equal(apply_argument(f, "features.x=0"), STATUS_OK);
    assert_false(config_feature(f->config, "x", true));
    assert_int_equal(apply_variable(f, "SOS_FEATURE_X=maybe"), STATUS_VALIDATION);
    assert_int_equal(apply_variable(f, "SOS_FEATURE_=1"), STATUS_VALIDATION);
}

static void
features_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct buffer json = {0};
    buffer_append_string(&json, "{\"features\": {\"f0\": true");
    for (unsigned i = 1; i < 65; i++)
        buffer_append_format(&json, ", \"f%u\": true", i);
    buffer_append_string(&json, "}}");
    buffer_append_byte(&json, 0);
    assert_int_equal(apply_file(f, (const char *)json.data), STATUS_VALIDATION);
    expect_in(f->error.message, "at most 64");
    buffer_clear(&json);
}

static void
services_are_kept_as_json(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_file(f, "{\"services\": { \"memory\" : {\"on\": true} }}"), STATUS_OK);
    assert_string_equal(config_services(f->config).data, "{\"memory\":{\"on\":true}}");
}

static void
production_requires_capabilities_unless_told_otherwise(void **state)
{
    struct fixture *f = *state;
    assert_false(config_bool(f->config, OPTION_REQUIRE_CAPABILITIES));
    assert_int_equal(apply_variable(f, "SOS_ENV=production"), STATUS_OK);
    assert_true(config_bool(f->config, OPTION_REQUIRE_CAPABILITIES));
    assert_int_equal(apply_variable(f, "SOS_REQUIRE_CAPABILITIES=0"), STATUS_OK);
    assert_false(config_bool(f->config, OPTION_REQUIRE_CAPABILITIES));
}

static void
texts_of_variables_are_checked_like_those_of_files(void **state)
{
    struct fixture *f = *state;
    static const char *const refused[] = {
        "SOS_BROKER_PORT=",    "SOS_BROKER_PORT=+1",        "SOS_BROKER_PORT=1 ",
        "SOS_BROKER_PORT=0x1", "SOS_BROKER_PORT=99999",     "SOS_REQUIRE_CAPABILITIES=2",
        "SOS_LOG_LEVEL=LOUD",  "SOS_REQUIRE_CAPABILITIES=", "SOS_BROKER_PORT=18446744073709551616",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (apply_variable(f, refused[i]) != STATUS_VALIDATION)
            fail_msg("%s was taken", refused[i]);
    assert_int_equal(apply_argument(f, "broker.port"), STATUS_VALIDATION);
    expect_in(f->error.message, "expected key=value");
}

static void
every_default_is_within_its_own_bounds(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < OPTIONS; i++) {
        char assignment[5000];
        static const char *const fallbacks[] = {
#define FALLBACK(id, key, type, fallback, min, max, help) fallback,
            OPTION_MAP(FALLBACK)
#undef FALLBACK
        };
        if (i == OPTION_OPENAI_API_KEY || i == OPTION_SECRETS_PASSPHRASE)
            continue;
        snprintf(assignment, sizeof assignment, "%s=%s", option_key((enum option_id)i),
                 fallbacks[i]);
        if (apply_argument(f, assignment) != STATUS_OK)
            fail_msg("%s: %s", assignment, f->error.message);
    }
}

int
main(void)
{
#define CONFIG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(defaults_hold_until_a_layer_says_otherwise),
        CONFIG_TEST(later_layers_win_and_name_themselves),
        CONFIG_TEST(unknown_keys_and_variables_warn_once_and_known_ones_do_not),
        CONFIG_TEST(a_wrong_type_or_bound_names_file_and_key),
        CONFIG_TEST(a_layer_that_fails_changes_nothing),
        CONFIG_TEST(the_api_key_may_stand_only_in_the_environment),
        CONFIG_TEST(the_name_of_a_stored_secret_may_stand_anywhere),
        CONFIG_TEST(a_passphrase_may_stand_only_in_the_environment),
        CONFIG_TEST(features_come_from_files_variables_and_the_command_line),
        CONFIG_TEST(features_are_bounded),
        CONFIG_TEST(services_are_kept_as_json),
        CONFIG_TEST(production_requires_capabilities_unless_told_otherwise),
        CONFIG_TEST(texts_of_variables_are_checked_like_those_of_files),
        CONFIG_TEST(every_default_is_within_its_own_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
