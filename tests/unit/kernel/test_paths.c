/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "kernel/paths.h"

static void
sos_home_counts_before_the_users_home(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    assert_int_equal(paths_home(path, "/srv/sos", "/home/ana", NULL), STATUS_OK);
    assert_string_equal(path, "/srv/sos");
    assert_int_equal(paths_home(path, NULL, "/home/ana", NULL), STATUS_OK);
    assert_string_equal(path, "/home/ana/.sos");
    assert_int_equal(paths_home(path, "", "/home/ana/", NULL), STATUS_OK);
    assert_string_equal(path, "/home/ana/.sos");
    assert_int_equal(paths_home(path, "/srv/sos//", NULL, NULL), STATUS_OK);
    assert_string_equal(path, "/srv/sos");
    assert_int_equal(paths_home(path, NULL, "/", NULL), STATUS_OK);
    assert_string_equal(path, "/.sos");
}

static void
a_home_that_is_missing_or_relative_is_refused(void **state)
{
    (void)state;
    char path[PATH_SIZE] = "kept";
    struct error error = ERROR_INIT;
    assert_int_equal(paths_home(path, NULL, NULL, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "SOS_HOME"));
    assert_int_equal(paths_home(path, "sos", "/home/ana", &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "SOS_HOME is \"sos\": expected an absolute path"));
    assert_string_equal(path, "kept");
}

static void
paths_are_as_long_as_fits_and_no_longer(void **state)
{
    (void)state;
    char home[PATH_SIZE + 1], path[PATH_SIZE] = "kept";
    struct error error = ERROR_INIT;
    memset(home, 'x', PATH_SIZE);
    home[0] = '/';
    home[PATH_SIZE] = '\0';
    assert_int_equal(paths_home(path, home, NULL, &error), STATUS_VALIDATION);
    home[PATH_SIZE - 2] = '\0';
    assert_int_equal(paths_join(path, home, "a", &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "too long"));
    assert_string_equal(path, "kept");
    home[PATH_SIZE - 3] = '\0';
    assert_int_equal(paths_join(path, home, "a", &error), STATUS_OK);
    assert_int_equal(strlen(path), PATH_SIZE - 1);
}

static void
join_puts_one_slash_between(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    assert_int_equal(paths_join(path, "/srv/sos", "config/sos.json", NULL), STATUS_OK);
    assert_string_equal(path, "/srv/sos/config/sos.json");
    assert_int_equal(paths_join(path, path, "x", NULL), STATUS_OK);
    assert_string_equal(path, "/srv/sos/config/sos.json/x");
}

static void
parents_stand_before_their_folders(void **state)
{
    (void)state;
    for (size_t i = 0; paths_folders[i]; i++) {
        const char *slash = strrchr(paths_folders[i], '/');
        bool found = !slash;
        for (size_t j = 0; j < i && !found; j++)
            found = strlen(paths_folders[j]) == (size_t)(slash - paths_folders[i]) &&
                    strncmp(paths_folders[j], paths_folders[i], strlen(paths_folders[j])) == 0;
        assert_true(found);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sos_home_counts_before_the_users_home),
        cmocka_unit_test(a_home_that_is_missing_or_relative_is_refused),
        cmocka_unit_test(paths_are_as_long_as_fits_and_no_longer),
        cmocka_unit_test(join_puts_one_slash_between),
        cmocka_unit_test(parents_stand_before_their_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
