/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"

struct folder {
    char path[64];
};

static int
setup(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);
    snprintf(folder->path, sizeof folder->path, "/tmp/sos-file-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    *state = folder;
    return 0;
}

static size_t
entries_of(const char *path)
{
    size_t count = 0;
    DIR *entries = opendir(path);
    for (struct dirent *entry; (entry = readdir(entries));)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

static void
path_in(const struct folder *folder, const char *name, char path[static PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", folder->path, name);
}

static int
teardown(void **state)
{
    struct folder *folder = *state;
    char path[PATH_MAX];
    DIR *entries = opendir(folder->path);
    for (struct dirent *entry; (entry = readdir(entries));) {
        path_in(folder, entry->d_name, path);
        if (entry->d_name[0] != '.' && unlink(path) != 0)
            rmdir(path);
    }
    closedir(entries);
    rmdir(folder->path);
    free(folder);
    return 0;
}

static struct bytes
bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void
what_is_saved_is_loaded_with_its_mode_and_nothing_stays_beside(void **state)
{
    const struct folder *folder = *state;
    char path[PATH_MAX];
    struct buffer content;
    struct error error = ERROR_INIT;
    struct stat about;
    buffer_init(&content);
    path_in(folder, "key", path);

    assert_int_equal(file_save(path, bytes_of("first"), 0644, &error), STATUS_OK);
    assert_int_equal(file_save(path, bytes_of("second"), 0600, &error), STATUS_OK);
    assert_int_equal(file_load(path, 100, true, &content, &error), STATUS_OK);

    assert_true(text_equal_string(buffer_text(&content), "second"));
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(entries_of(folder->path), 1);
    buffer_clear(&content);
}

static void
a_missing_file_is_not_found_by_name(void **state)
{
    const struct folder *folder = *state;
    char path[PATH_MAX];
    struct buffer content;
    struct error error = ERROR_INIT;
    buffer_init(&content);
    path_in(folder, "nothing", path);

    assert_int_equal(file_load(path, 100, false, &content, &error), STATUS_NOT_FOUND);

    assert_non_null(strstr(error.message, path));
    buffer_clear(&content);
}

static void
a_file_over_its_bound_is_refused_and_leaves_the_buffer_alone(void **state)
{
    const struct folder *folder = *state;
    char path[PATH_MAX];
    struct buffer content;
    struct error error = ERROR_INIT;
    buffer_init(&content);
    buffer_append_string(&content, "before");
    path_in(folder, "big", path);
    assert_int_equal(file_save(path, bytes_of("0123456789"), 0600, &error), STATUS_OK);

    assert_int_equal(file_load(path, 10, false, &content, &error), STATUS_OK);
    buffer_reset(&content);
    buffer_append_string(&content, "before");
    assert_int_equal(file_load(path, 9, false, &content, &error), STATUS_TOO_LARGE);

    assert_true(text_equal_string(buffer_text(&content), "before"));
    buffer_clear(&content);
}

static void
a_secret_that_others_can_read_is_refused(void **state)
{
    const struct folder *folder = *state;
    static const mode_t modes[] = {0640, 0604, 0660, 0601};
    char path[PATH_MAX];
    struct buffer content;
    struct error error = ERROR_INIT;
    buffer_init(&content);
    path_in(folder, "secret", path);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(file_save(path, bytes_of("s"), modes[i], &error), STATUS_OK);
        assert_int_equal(file_load(path, 100, true, &content, &error), STATUS_FORBIDDEN);
        assert_non_null(strstr(error.message, "0600"));
        assert_int_equal(content.size, 0);
    }
    buffer_clear(&content);
}

static void
what_is_no_regular_file_is_refused_without_hanging(void **state)
{
    const struct folder *folder = *state;
    struct buffer content;
    struct error error = ERROR_INIT;
    buffer_init(&content);
    assert_int_equal(file_load(folder->path, 100, false, &content, &error), STATUS_INVALID);
    assert_int_equal(file_load("/dev/zero", 100, false, &content, &error), STATUS_INVALID);
    char path[PATH_MAX];
    path_in(folder, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_load(path, 100, false, &content, &error), STATUS_INVALID);
    buffer_clear(&content);
}

static void
a_save_that_fails_leaves_the_old_content_and_nothing_beside(void **state)
{
    const struct folder *folder = *state;
    char path[PATH_MAX];
    char big[4096];
    struct buffer content;
    struct error error = ERROR_INIT;
    struct rlimit before;
    struct rlimit small = {1024, RLIM_INFINITY};
    buffer_init(&content);
    path_in(folder, "table", path);
    memset(big, 'x', sizeof big);
    assert_int_equal(file_save(path, bytes_of("old"), 0600, &error), STATUS_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);

    enum status status =
        file_save(path, (struct bytes){(const uint8_t *)big, sizeof big}, 0600, &error);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, STATUS_INTERNAL);
    assert_int_equal(file_load(path, 100, true, &content, &error), STATUS_OK);
    assert_true(text_equal_string(buffer_text(&content), "old"));
    assert_int_equal(entries_of(folder->path), 1);
    buffer_clear(&content);
}

static void
a_folder_is_made_private_once_and_a_file_in_its_place_is_a_conflict(void **state)
{
    const struct folder *folder = *state;
    char path[PATH_MAX];
    struct error error = ERROR_INIT;
    struct stat about;
    path_in(folder, "made", path);
    assert_int_equal(folder_make(path, &error), STATUS_OK);
    assert_int_equal(folder_make(path, &error), STATUS_OK);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0700);

    path_in(folder, "file", path);
    assert_int_equal(file_save(path, bytes_of("x"), 0600, &error), STATUS_OK);
    assert_int_equal(folder_make(path, &error), STATUS_CONFLICT);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(what_is_saved_is_loaded_with_its_mode_and_nothing_stays_beside),
        FILE_TEST(a_missing_file_is_not_found_by_name),
        FILE_TEST(a_file_over_its_bound_is_refused_and_leaves_the_buffer_alone),
        FILE_TEST(a_secret_that_others_can_read_is_refused),
        FILE_TEST(what_is_no_regular_file_is_refused_without_hanging),
        FILE_TEST(a_save_that_fails_leaves_the_old_content_and_nothing_beside),
        FILE_TEST(a_folder_is_made_private_once_and_a_file_in_its_place_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
