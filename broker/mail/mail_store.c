/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/mail/mail_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LOOK_US = 250000, /* for room, while the disk is full */
    BACK_OFF_MIN_US = 500000,
    BACK_OFF_MAX_US = 15000000,
    CALM_US = 10000000,
    PROBE_SIZE = 64 * 1024,
    PATH_MAX_SIZE = 4096
};

static struct now
now_of(const struct mail_store *store)
{
    return clock_now(store->options->clock);
}

static enum status
open_both(struct mail_store *store, struct error *error)
{
    const struct mail_thread_options *options = store->options;
    enum status status = options->folder ? store_open(&store->store, options->folder,
                                                      MAILBOX_SCHEMA, options->logger, error)
                                         : store_open_memory(&store->store, MAILBOX_SCHEMA);
    if (status != STATUS_OK)
        return status;
    store_set_reserve(store->store, options->disk_reserve);
    status = mailbox_open(&store->mailbox, store->store, &options->limits, now_of(store), error);
    if (status != STATUS_OK)
        store_close(&store->store);
    return status;
}

enum status
mail_store_open(struct mail_store *store, const struct mail_thread_options *options,
                struct error *error)
{
    *store = (struct mail_store){.options = options, .retry_us = UINT64_MAX};
    return open_both(store, error);
}

void
mail_store_close(struct mail_store *store)
{
    mailbox_close(&store->before);
    mailbox_close(&store->mailbox);
    store_close(&store->store);
}

/* ---- health */

static void
set_health(struct mail_store *store, enum mail_health health, const char *why)
{
    const struct logger *logger = store->options->logger;
    if (store->health == health)
        return;
    store->health = health;
    if (health == MAIL_HEALTH_FULL)
        log_error(logger, "inboxes take no more mail: %s", why);
    else if (health == MAIL_HEALTH_FAILED)
        log_error(logger, "inboxes can only be read: %s", why);
    else
        log_info(logger, "inboxes take mail again");
}

/* What fails again soon after it was opened is tried less and less often. */
static void
plan_retry(struct mail_store *store, uint64_t now_us)
{
    bool soon = store->back_off_us > 0 && now_us - store->opened_us < CALM_US;
    uint64_t longer_us =
        store->back_off_us * 2 < BACK_OFF_MAX_US ? store->back_off_us * 2 : BACK_OFF_MAX_US;
    store->back_off_us = soon ? longer_us : BACK_OFF_MIN_US;
    store->retry_us = now_us + store->back_off_us;
}

static void
look_after(struct mail_store *store)
{
    struct error error = ERROR_INIT;
    uint64_t now_us = now_of(store).monotonic_us;
    if (store_has_failed(store->store)) {
        if (store->health != MAIL_HEALTH_FAILED)
            plan_retry(store, now_us);
        set_health(store, MAIL_HEALTH_FAILED, "a write failed; the store is opened again");
    } else if (store_is_full(store->store, 0, &error)) {
        store->retry_us = now_us + LOOK_US;
        set_health(store, MAIL_HEALTH_FULL, error.message);
    } else {
        store->retry_us = UINT64_MAX;
        set_health(store, MAIL_HEALTH_OK, "");
    }
}

/* ---- opening again: reads go on from the old handle, so it is given up only when the disk seems
 * to take writes */

static enum status
write_probe(int folder, const char *name)
{
    static const uint8_t zeros[4096];
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return STATUS_STORE_FAILED;
    enum status status = STATUS_OK;
    for (size_t done = 0; status == STATUS_OK && done < PROBE_SIZE; done += sizeof zeros)
        if (write(file, zeros, sizeof zeros) != (ssize_t)sizeof zeros)
            status = STATUS_STORE_FAILED;
    if (status == STATUS_OK && fsync(file) != 0)
        status = STATUS_STORE_FAILED;
    if (close(file) != 0)
        status = STATUS_STORE_FAILED;
    return status;
}

static enum status
probe(const char *path)
{
    static const char name[] = "probe.tmp";
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return STATUS_STORE_FAILED;
    enum status status = write_probe(folder, name);
    if (unlinkat(folder, name, 0) != 0 && errno != ENOENT)
        status = STATUS_STORE_FAILED;
    close(folder);
    return status;
}

static enum status
open_again(struct mail_store *store, struct mail_op **arrived, struct error *error)
{
    if (store->store) {
        if (probe(store->options->folder) != STATUS_OK) {
            error_set(error, "%s: %s", store->options->folder, strerror(errno));
            return STATUS_STORE_FAILED;
        }
        store->expired += mailbox_figures(store->mailbox).expired;
        store->before = store->mailbox;
        store->mailbox = NULL;
        store_close(&store->store);
    }
    enum status status = open_both(store, error);
    if (status == STATUS_OK)
        status = mailbox_recover(store->mailbox, store->before, arrived, error);
    if (status != STATUS_OK) {
        mailbox_close(&store->mailbox);
        store_close(&store->store);
        return status;
    }
    mailbox_close(&store->before);
    store->opened_us = now_of(store).monotonic_us;
    return STATUS_OK;
}

static void
retry(struct mail_store *store, struct mail_op **arrived)
{
    struct error error = ERROR_INIT;
    if (open_again(store, arrived, &error) == STATUS_OK) {
        look_after(store);
        return;
    }
    log_warn(store->options->logger, "inboxes still cannot be written: %s", error.message);
    store->opened_us = now_of(store).monotonic_us;
    plan_retry(store, store->opened_us);
}

/* ---- work */

static void
refuse_all(struct mail_op *questions)
{
    for (struct mail_op *op = questions; op; op = op->next) {
        op->status = STATUS_STORE_FAILED;
        error_set_word(&op->error, "storage_failed", "the mailbox could not be opened again yet");
    }
}

void
mail_store_run(struct mail_store *store, struct mail_op *questions, struct mail_op **arrived)
{
    if (!store->mailbox) {
        refuse_all(questions);
        return;
    }
    mailbox_run(store->mailbox, questions, arrived, now_of(store));
    look_after(store);
}

void
mail_store_tick(struct mail_store *store, struct mail_op **arrived)
{
    struct now now = now_of(store);
    if (store->health == MAIL_HEALTH_FAILED && now.monotonic_us >= store->retry_us)
        retry(store, arrived);
    if (!store->mailbox || store->health == MAIL_HEALTH_FAILED)
        return;
    struct error error = ERROR_INIT;
    if (mailbox_due_us(store->mailbox, now) <= now.monotonic_us) {
        enum status status = mailbox_sweep(store->mailbox, arrived, now, &error);
        if (status != STATUS_OK && store->health == MAIL_HEALTH_OK)
            log_warn(store->options->logger, "the mailbox could not be swept: %s", error.message);
    }
    look_after(store);
}

uint64_t
mail_store_due_us(const struct mail_store *store)
{
    uint64_t due_us = store->retry_us;
    if (store->mailbox && store->health != MAIL_HEALTH_FAILED) {
        uint64_t sweep_us = mailbox_due_us(store->mailbox, now_of(store));
        due_us = sweep_us < due_us ? sweep_us : due_us;
    }
    return due_us;
}

struct mailbox_figures
mail_store_figures(const struct mail_store *store)
{
    struct mailbox_figures figures = {0};
    if (store->mailbox)
        figures = mailbox_figures(store->mailbox);
    figures.expired += store->expired;
    return figures;
}
