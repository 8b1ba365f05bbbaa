/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int
fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const char *base = getenv("TMPDIR");
    snprintf(fixture->root, sizeof fixture->root, "%s/sos-store-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(fixture->root))
        return -1;
    fixture_path(fixture, "store", fixture->folder);
    *state = fixture;
    return 0;
}

int
fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    fixture_remove(fixture->root);
    free(fixture);
    return 0;
}

void
fixture_path(const struct fixture *fixture, const char *name, char path[static FIXTURE_PATH])
{
    int size = snprintf(path, FIXTURE_PATH, "%s/%s", fixture->root, name);
    assert_true(size > 0 && size < FIXTURE_PATH);
}

static bool
is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void
join(char path[static FIXTURE_PATH], const char *folder, const char *name)
{
    int size = snprintf(path, FIXTURE_PATH, "%s/%s", folder, name);
    assert_true(size > 0 && size < FIXTURE_PATH);
}

void
fixture_remove(const char *folder)
{
    DIR *listing = opendir(folder);
    if (!listing) {
        unlink(folder);
        return;
    }
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        char path[FIXTURE_PATH];
        struct stat info;
        if (is_dots(entry->d_name))
            continue;
        join(path, folder, entry->d_name);
        if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
            fixture_remove(path);
        else
            unlink(path);
    }
    closedir(listing);
    rmdir(folder);
}

size_t
fixture_files(const char *folder, const char *suffix, char name[static FIXTURE_PATH])
{
    size_t count = 0;
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        size_t size = strlen(entry->d_name);
        size_t tail = strlen(suffix);
        if (size > tail && strcmp(entry->d_name + size - tail, suffix) == 0) {
            snprintf(name, FIXTURE_PATH, "%s", entry->d_name);
            count++;
        }
    }
    closedir(listing);
    return count;
}

uint8_t *
fixture_read(const char *folder, const char *name, size_t *size)
{
    char path[FIXTURE_PATH];
    struct stat info;
    join(path, folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &info), 0);
    *size = (size_t)info.st_size;
    uint8_t *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(read(file, data, *size), (ssize_t)*size);
    close(file);
    return data;
}

void
fixture_write(const char *folder, const char *name, const uint8_t *data, size_t size)
{
    char path[FIXTURE_PATH];
    join(path, folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, data, size), (ssize_t)size);
    close(file);
}

void
fixture_copy(const char *from, const char *to)
{
    DIR *listing = opendir(from);
    assert_non_null(listing);
    assert_int_equal(mkdir(to, 0700), 0);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        size_t size;
        if (is_dots(entry->d_name))
            continue;
        uint8_t *data = fixture_read(from, entry->d_name, &size);
        fixture_write(to, entry->d_name, data, size);
        free(data);
    }
    closedir(listing);
}

struct store *
fixture_open(struct fixture *fixture, const char *folder)
{
    struct store *store = NULL;
    enum status status = store_open(&store, folder, FIXTURE_SCHEMA, NULL, &fixture->error);
    if (status != STATUS_OK)
        print_error("store_open: %s\n", fixture->error.message);
    assert_int_equal(status, STATUS_OK);
    assert_non_null(store);
    return store;
}

enum status
fixture_try(struct fixture *fixture, const char *folder)
{
    struct store *store = NULL;
    fixture->error = ERROR_INIT;
    enum status status = store_open(&store, folder, FIXTURE_SCHEMA, NULL, &fixture->error);
    if (status == STATUS_OK)
        store_close(&store);
    assert_null(store);
    return status;
}

struct bytes
bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

void
store_has(struct store *store, const char *key, const char *value)
{
    struct buffer out;
    struct error error = ERROR_INIT;
    buffer_init(&out);
    enum status status = store_get(store, FIXTURE_SPACE, bytes_of(key), &out, &error);
    if (status != STATUS_OK)
        print_error("key %s: %s\n", key, error.message);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(out.size, strlen(value));
    if (out.size > 0)
        assert_memory_equal(out.data, value, out.size);
    buffer_clear(&out);
}

void
store_lacks(struct store *store, const char *key)
{
    struct buffer out;
    buffer_init(&out);
    assert_int_equal(store_get(store, FIXTURE_SPACE, bytes_of(key), &out, NULL), STATUS_NOT_FOUND);
    assert_int_equal(out.size, 0);
    buffer_clear(&out);
}

enum status
store_put_status(struct store *store, const char *key, struct bytes value, struct error *error)
{
    struct store_batch *batch = store_batch_new();
    assert_non_null(batch);
    assert_int_equal(store_batch_add(batch, STORE_PUT, FIXTURE_SPACE, bytes_of(key), value),
                     STATUS_OK);
    enum status status = store_commit(store, batch, error);
    store_batch_destroy(&batch);
    return status;
}

void
store_put(struct store *store, const char *key, const char *value)
{
    struct error error = ERROR_INIT;
    enum status status = store_put_status(store, key, bytes_of(value), &error);
    if (status != STATUS_OK)
        print_error("put %s: %s\n", key, error.message);
    assert_int_equal(status, STATUS_OK);
}
