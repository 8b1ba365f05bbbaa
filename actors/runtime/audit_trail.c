/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/audit_trail.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/runtime/audit.h"
#include "kernel/paths.h"
#include "platform/audit.h"

struct audit_trail {
    const char *home;
    const char *service;
    const struct clock *clock;
    const struct logger *logger;
    struct audit *file; /* NULL: not open */
};

struct audit_trail *
audit_trail_new(const char *home, const char *service, const struct clock *clock,
                const struct logger *logger)
{
    struct audit_trail *trail = calloc(1, sizeof *trail);
    if (trail)
        *trail = (struct audit_trail){home, service, clock, logger, NULL};
    return trail;
}

void
audit_trail_destroy(struct audit_trail **trail_p)
{
    if (!*trail_p)
        return;
    audit_close(&(*trail_p)->file);
    free(*trail_p);
    *trail_p = NULL;
}

static bool
is_entry(const struct store_write *write, uint64_t *number)
{
    return write->type == STORE_PUT && write->space == STORE_SPACE_AUDIT &&
           audit_key_read(write->key, number);
}

bool
audit_trail_is_asked(const struct store_batch *batch)
{
    uint64_t number;
    size_t count = store_batch_count(batch);
    for (size_t i = 0; i < count; i++)
        if (is_entry(store_batch_at(batch, i), &number))
            return true;
    return count == 0;
}

/* ---- opening */

static enum status
open_instance(struct audit_trail *trail, int instance, struct error *error)
{
    char relative[128], number[16] = "", path[PATH_SIZE];
    if (instance > 1)
        snprintf(number, sizeof number, "-%d", instance);
    snprintf(relative, sizeof relative, "data/audit/%s%s.jsonl", trail->service, number);
    enum status status = paths_join(path, trail->home, relative, error);
    return status == STATUS_OK
               ? audit_open(&trail->file, path, 0, clock_now(trail->clock).wall_us, error)
               : status;
}

/* The store knows what the file has had: lines may be missing at its end, which the chain alone
 * cannot tell. */
static enum status
compare_with_store(struct audit_trail *trail, struct store *store, struct error *error)
{
    struct buffer noted;
    char detail[128] = "";
    uint64_t number;
    struct audit_link last = audit_last(trail->file);
    buffer_init(&noted);
    enum status status =
        store_get(store, STORE_SPACE_AUDIT, (struct bytes){NULL, 0}, &noted, error);
    if (status == STATUS_OK && noted.size == AUDIT_KEY_SIZE + AUDIT_HASH_SIZE &&
        audit_key_read((struct bytes){noted.data, AUDIT_KEY_SIZE}, &number)) {
        const uint8_t *hash = noted.data + AUDIT_KEY_SIZE;
        if (number > last.seq)
            snprintf(detail, sizeof detail,
                     "lines are missing: the last one is %llu, and %llu was written",
                     (unsigned long long)last.seq, (unsigned long long)number);
        else if (number == last.seq && memcmp(hash, last.hash.bytes, AUDIT_HASH_SIZE) != 0)
            snprintf(detail, sizeof detail, "the last line, %llu, is not the one that was written",
                     (unsigned long long)last.seq);
    }
    buffer_clear(&noted);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK || detail[0] == '\0')
        return status;
    log_error(trail->logger, "audit trail of %s: %s", trail->service, detail);
    return audit_remark(trail->file, "audit.damaged", detail, clock_now(trail->clock).wall_us,
                        error);
}

static enum status
open_file(struct audit_trail *trail, struct store *store, struct error *error)
{
    int instances = store ? 1 : AUDIT_INSTANCES_MAX;
    enum status status = STATUS_CONFLICT;
    for (int instance = 1; status == STATUS_CONFLICT && instance <= instances; instance++)
        status = open_instance(trail, instance, error);
    if (status == STATUS_OK && store)
        status = compare_with_store(trail, store, error);
    if (status != STATUS_OK)
        audit_close(&trail->file);
    return status;
}

/* ---- writing */

static enum status
append_entry(struct audit_trail *trail, uint64_t number, struct bytes members, struct error *error)
{
    struct text text = {(const char *)members.data, members.size};
    return audit_append(trail->file, number, text, clock_now(trail->clock).wall_us, error);
}

static enum status
append_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    uint64_t number;
    if (!audit_key_read(key, &number)) {
        error_set(error, "an audit entry's key of %zu bytes is none", key.size);
        return STATUS_STORE_FAILED;
    }
    return append_entry(context, number, value, error);
}

static enum status
append_batch(struct audit_trail *trail, const struct store_batch *batch, struct error *error)
{
    uint64_t number;
    enum status status = STATUS_OK;
    size_t count = store_batch_count(batch);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        const struct store_write *write = store_batch_at(batch, i);
        if (is_entry(write, &number))
            status = append_entry(trail, number, write->value, error);
    }
    return status;
}

static enum status
append_all(struct audit_trail *trail, struct store *store, const struct store_batch *batch,
           struct error *error)
{
    if (!store)
        return append_batch(trail, batch, error);
    struct audit_key from = audit_key_of(audit_last(trail->file).seq + 1);
    return store_scan_from(store, STORE_SPACE_AUDIT, (struct bytes){NULL, 0},
                           (struct bytes){from.bytes, sizeof from.bytes}, append_row, trail, error);
}

void
audit_trail_write(struct audit_trail *trail, struct store *store, const struct store_batch *batch,
                  struct audit_report *report)
{
    struct error error = ERROR_INIT;
    enum status status = trail->file ? STATUS_OK : open_file(trail, store, &error);
    *report = (struct audit_report){.is_open = trail->file != NULL};
    if (trail->file) {
        struct error sync_error = ERROR_INIT;
        status = append_all(trail, store, batch, &error);
        /* Without a store, what the batch tells of is not done: none of its lines may stay. */
        if (status != STATUS_OK && !store)
            audit_revert(trail->file);
        enum status synced = audit_sync(trail->file, &sync_error);
        report->last = audit_last(trail->file);
        if (synced != STATUS_OK) {
            if (status == STATUS_OK)
                error = sync_error;
            status = synced;
            audit_close(&trail->file); /* what it holds is read again from the disk */
        }
    }
    report->status = status;
    if (status != STATUS_OK)
        error_set_word(&report->error, AUDIT_WORD, "%s",
                       error.message[0] ? error.message : status_text(status));
}
