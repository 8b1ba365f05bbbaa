/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/river_key.h"

struct home {
    char folder[64], secrets[128], file[128];
};

static int
setup(void **state)
{
    struct home *home = calloc(1, sizeof *home);
    assert_non_null(home);
    snprintf(home->folder, sizeof home->folder, "/tmp/sos-key-XXXXXX");
    assert_non_null(mkdtemp(home->folder));
    snprintf(home->secrets, sizeof home->secrets, "%s/secrets", home->folder);
    snprintf(home->file, sizeof home->file, "%s/%s", home->folder, RIVER_KEY_FILE);
    assert_int_equal(folder_make(home->secrets, NULL), STATUS_OK);
    *state = home;
    return 0;
}

static int
teardown(void **state)
{
    struct home *home = *state;
    remove(home->file);
    remove(home->secrets);
    remove(home->folder);
    free(home);
    return 0;
}

static void
a_key_is_made_once_and_signs(void **state)
{
    const struct home *home = *state;
    struct river_key first, second;
    struct buffer token;
    struct capability *capability = NULL;
    struct stat about;
    assert_int_equal(river_key_load(home->folder, &first, NULL), STATUS_NOT_FOUND);
    assert_int_equal(river_key_make(home->folder, NULL), STATUS_OK);
    assert_int_equal(river_key_load(home->folder, &first, NULL), STATUS_OK);
    assert_int_equal(river_key_make(home->folder, NULL), STATUS_OK);
    assert_int_equal(river_key_load(home->folder, &second, NULL), STATUS_OK);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(stat(home->file, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);

    buffer_init(&token);
    const struct capability_grant grant = {
        .subject = "agent:a", .action = "a:b", .resource = "*", .issued_us = 1, .expires_us = 2};
    assert_int_equal(capability_issue(&token, &grant, &first.secret_key, NULL), STATUS_OK);
    assert_int_equal(capability_parse(&capability, buffer_text(&token), NULL), STATUS_OK);
    assert_int_equal(capability_check_signature(capability, &first.public_key, 1, NULL), STATUS_OK);
    capability_destroy(&capability);
    buffer_clear(&token);
    river_key_clear(&first);
    static const struct river_key cleared;
    assert_memory_equal(&first, &cleared, sizeof first);
}

static void
what_is_no_key_or_open_to_others_is_refused(void **state)
{
    static const char *const contents[] = {"", "{}", "[]", "{\"public_key_hex\":\"00\"}",
                                           "{\"public_key_hex\":5,\"secret_key_hex\":6}"};
    const struct home *home = *state;
    struct river_key key;
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        struct error error = ERROR_INIT;
        const struct bytes content = {(const uint8_t *)contents[i], strlen(contents[i])};
        assert_int_equal(file_save(home->file, content, 0600, NULL), STATUS_OK);
        assert_int_equal(river_key_load(home->folder, &key, &error), STATUS_INVALID);
        assert_non_null(strstr(error.message, home->file));
    }
    remove(home->file);
    assert_int_equal(river_key_make(home->folder, NULL), STATUS_OK);
    assert_int_equal(chmod(home->file, 0644), 0);
    assert_int_equal(river_key_load(home->folder, &key, NULL), STATUS_FORBIDDEN);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_made_once_and_signs),
        TEST(what_is_no_key_or_open_to_others_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
