/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/identity/identity.h"
#include "platform/file.h"
#include "platform/river_key.h"
#include "tests/unit/actors/identity/fixture_home.h"

const char *
home_path(const struct service_fixture *f, const char *relative)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", (const char *)f->own, relative);
    return path;
}

static void
start(struct service_fixture *f)
{
    struct error error = ERROR_INIT;
    if (service_start(f, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    service_run(f);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, "{\"keys\":[]}");
}

static void
set_environment(struct service_fixture *f, const char *const *environment)
{
    struct error error = ERROR_INIT;
    if (environment)
        assert_int_equal(config_apply_environment(f->config, environment, NULL, NULL, &error),
                         STATUS_OK);
}

struct service_fixture *
home_open(const char *const *environment)
{
    struct service_fixture *f = service_new(&identity_service);
    struct error error = ERROR_INIT;
    struct river_key key;
    f->own = strdup("/tmp/sos-home-XXXXXX");
    assert_non_null(mkdtemp(f->own));
    static const char *const folders[] = {"secrets", "data", "data/audit"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        assert_int_equal(mkdir(home_path(f, folders[i]), 0700), 0);
    assert_int_equal(river_key_make(f->own, &error), STATUS_OK);
    assert_int_equal(river_key_load(f->own, &key, &error), STATUS_OK);
    f->river = key.public_key;
    f->river_secret = key.secret_key;
    river_key_clear(&key);
    f->options.home = f->own;
    f->options.has_trail = true;
    f->trail = audit_trail_new(f->own, "identity", &f->clock, &f->logger);
    set_environment(f, environment);
    start(f);
    return f;
}

static int
remove_entry(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about;
    (void)type;
    (void)place;
    return remove(path);
}

void
home_close(struct service_fixture **fixture_p)
{
    char *folder = (*fixture_p)->own;
    struct audit_trail *trail = (*fixture_p)->trail;
    service_close(fixture_p);
    audit_trail_destroy(&trail);
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

void
home_restart(struct service_fixture *f, const char *const *environment)
{
    dispatch_destroy(&f->dispatch);
    config_destroy(&f->config);
    f->config = config_new();
    f->options.config = f->config;
    set_environment(f, environment);
    start(f);
}

bool
home_log_holds(const struct service_fixture *f, const char *text)
{
    return f->log.size > 0 && memmem(f->log.data, f->log.size, text, strlen(text)) != NULL;
}

bool
home_trail_holds(struct service_fixture *f, const char *text)
{
    struct error error = ERROR_INIT;
    struct buffer trail;
    buffer_init(&trail);
    service_pass(f, 2000); /* what waits is written by then */
    assert_int_equal(
        file_load(home_path(f, "data/audit/identity.jsonl"), 1 << 24, true, &trail, &error),
        STATUS_OK);
    bool found = memmem(trail.data, trail.size, text, strlen(text)) != NULL;
    buffer_clear(&trail);
    return found;
}

/* ---- rows */

struct search {
    const char *text;
    struct buffer *key, *value;
    size_t found;
};

static bool
holds(struct bytes bytes, const char *text)
{
    return memmem(bytes.data, bytes.size, text, strlen(text)) != NULL;
}

static enum status
look(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct search *search = context;
    (void)error;
    if (search->text && !holds(key, search->text) && !(!search->key && holds(value, search->text)))
        return STATUS_OK;
    search->found++;
    if (search->key) {
        buffer_append(search->key, key.data, key.size);
        buffer_append(search->value, value.data, value.size);
    }
    return STATUS_OK;
}

static size_t
scan(struct service_fixture *f, store_space space, struct search *search)
{
    struct error error = ERROR_INIT;
    assert_int_equal(store_scan(f->store, space, (struct bytes){0}, false, look, search, &error),
                     STATUS_OK);
    return search->found;
}

void
home_row(struct service_fixture *f, store_space space, const char *key, struct buffer *full_key,
         struct buffer *value)
{
    struct search search = {.text = key, .key = full_key, .value = value};
    assert_int_equal(scan(f, space, &search), 1);
}

void
home_put_row(struct service_fixture *f, store_space space, struct bytes key, struct bytes value)
{
    struct error error = ERROR_INIT;
    struct store_batch *batch = store_batch_new();
    assert_non_null(batch);
    assert_int_equal(store_batch_add(batch, STORE_PUT, space, key, value), STATUS_OK);
    assert_int_equal(store_commit(f->store, batch, &error), STATUS_OK);
    store_batch_destroy(&batch);
}

size_t
home_count_rows(struct service_fixture *f, store_space space)
{
    struct search search = {0};
    return scan(f, space, &search);
}

bool
home_rows_hold(struct service_fixture *f, const char *text)
{
    for (unsigned space = 0; space < 256; space++) {
        struct search search = {.text = text};
        if (scan(f, (store_space)space, &search) > 0)
            return true;
    }
    return false;
}
