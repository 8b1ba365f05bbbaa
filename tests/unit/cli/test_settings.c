/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/settings.h"
#include "platform/system_clock.h"

struct home {
    struct cli cli;
    char folder[PATH_SIZE + 16];
    char file[PATH_SIZE + 32];
    char warnings[1024];
};

static void
keep_line(void *context, enum log_level level, struct text line)
{
    struct home *home = context;
    (void)level;
    snprintf(home->warnings, sizeof home->warnings, "%.*s", TEXT_ARGS(line));
}

static int
setup(void **state)
{
    struct home *home = calloc(1, sizeof *home);
    assert_non_null(home);
    strcpy(home->cli.home, "/tmp/sos-settings-XXXXXX");
    assert_non_null(mkdtemp(home->cli.home));
    snprintf(home->folder, sizeof home->folder, "%s/config", home->cli.home);
    snprintf(home->file, sizeof home->file, "%s/sos.json", home->folder);
    assert_int_equal(mkdir(home->folder, 0700), 0);
    home->cli.config = config_new();
    home->cli.clock = &system_clock;
    home->cli.logger = (struct logger){"cli", LOG_INFO, &system_clock, keep_line, home};
    *state = home;
    return 0;
}

static int
teardown(void **state)
{
    struct home *home = *state;
    unsetenv("SOS_BROKER_PORT");
    unsetenv("SOS_LOG_LEVEL");
    unlink(home->file);
    rmdir(home->folder);
    assert_int_equal(rmdir(home->cli.home), 0);
    config_destroy(&home->cli.config);
    free(home);
    return 0;
}

static void
write_settings(struct home *home, const char *text)
{
    FILE *file = fopen(home->file, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static uint64_t
loaded_port(struct home *home)
{
    struct error error = ERROR_INIT;
    config_destroy(&home->cli.config);
    home->cli.config = config_new();
    if (settings_load(&home->cli, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return config_uint(home->cli.config, OPTION_BROKER_PORT);
}

static void
later_layers_win(void **state)
{
    struct home *home = *state;
    assert_int_equal(loaded_port(home), 6066);

    write_settings(home, "{\"broker\": {\"port\": 7001}}");
    assert_int_equal(loaded_port(home), 7001);

    setenv("SOS_BROKER_PORT", "7002", 1);
    assert_int_equal(loaded_port(home), 7002);

    home->cli.set_arguments[0] = "--set";
    home->cli.set_arguments[1] = "broker.port=7003";
    assert_int_equal(loaded_port(home), 7003);
}

static void
a_wrong_value_names_the_file_and_the_key(void **state)
{
    struct home *home = *state;
    struct error error = ERROR_INIT;
    write_settings(home, "{\"broker\": {\"port\": \"many\"}}");

    assert_int_not_equal(settings_load(&home->cli, &error), STATUS_OK);

    assert_non_null(strstr(error.message, home->file));
    assert_non_null(strstr(error.message, "broker.port"));
}

static void
an_unknown_key_is_a_warning(void **state)
{
    struct home *home = *state;
    write_settings(home, "{\"brokr\": {\"port\": 1}}");

    assert_int_equal(loaded_port(home), 6066);

    assert_non_null(strstr(home->warnings, "brokr"));
}

static void
the_log_level_is_the_loggers(void **state)
{
    struct home *home = *state;
    struct error error = ERROR_INIT;
    setenv("SOS_LOG_LEVEL", "error", 1);
    assert_int_equal(settings_load(&home->cli, &error), STATUS_OK);
    assert_int_equal(home->cli.logger.level, LOG_ERROR);

    setenv("SOS_LOG_LEVEL", "loud", 1);
    assert_int_equal(settings_load(&home->cli, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "SOS_LOG_LEVEL"));
    assert_non_null(strstr(error.message, "loud"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(later_layers_win),
        TEST(a_wrong_value_names_the_file_and_the_key),
        TEST(an_unknown_key_is_a_warning),
        TEST(the_log_level_is_the_loggers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
