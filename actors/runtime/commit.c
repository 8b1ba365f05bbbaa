/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/commit.h"

#include <czmq.h>
#include <errno.h>
#include <stdlib.h>

#include "kernel/assert.h"

/* Batch and result are each written by one thread before a message hands them to the other. */
struct committer {
    struct store *store;
    struct audit_trail *trail;
    zactor_t *thread;
    const struct store_batch *batch; /* the job is either this */
    const char *folder;              /* or a checkpoint into this */
    enum status status;
    struct error error;
    bool under_way;
    bool reports;
    struct audit_report report;
};

static void
write_entries(struct committer *committer)
{
    committer->reports = committer->status == STATUS_OK && committer->trail &&
                         audit_trail_is_asked(committer->batch);
    if (!committer->reports)
        return;
    audit_trail_write(committer->trail, committer->store, committer->batch, &committer->report);
    if (committer->store || committer->report.status == STATUS_OK)
        return;
    committer->status = STATUS_STORE_FAILED;
    committer->error = committer->report.error;
}

static void
do_work(struct committer *committer)
{
    committer->error = ERROR_INIT;
    committer->status = STATUS_OK;
    committer->reports = false;
    if (!committer->batch) {
        committer->status =
            store_checkpoint(committer->store, committer->folder, &committer->error);
        return;
    }
    if (committer->store)
        committer->status = store_commit(committer->store, committer->batch, &committer->error);
    write_entries(committer);
}

static void
run(zsock_t *pipe, void *args)
{
    struct committer *committer = args;
    zsock_signal(pipe, 0);
    for (;;) {
        char *command = zstr_recv(pipe);
        if (!command && errno == EINTR)
            continue;
        if (!command || strcmp(command, "WORK") != 0) { /* $TERM, or the context ends */
            zstr_free(&command);
            break;
        }
        zstr_free(&command);
        do_work(committer);
        zstr_send(pipe, "DONE");
    }
}

enum status
committer_open(struct committer **committer_p, struct store *store, struct audit_trail *trail,
               struct error *error)
{
    struct committer *committer = calloc(1, sizeof *committer);
    if (!committer)
        return STATUS_NOMEM;
    committer->store = store;
    committer->trail = trail;
    committer->thread = zactor_new(run, committer);
    if (!committer->thread) {
        error_set(error, "the store's thread cannot be started");
        free(committer);
        return STATUS_UNAVAILABLE;
    }
    *committer_p = committer;
    return STATUS_OK;
}

void
committer_close(struct committer **committer_p)
{
    struct committer *committer = *committer_p;
    if (!committer)
        return;
    enum status status;
    struct error error;
    while (committer->under_way && !committer_wait(committer, &status, &error))
        ;
    zactor_destroy(&committer->thread);
    free(committer);
    *committer_p = NULL;
}

static void
start(struct committer *committer, const struct store_batch *batch, const char *folder)
{
    ASSERT(!committer->under_way);
    committer->batch = batch;
    committer->folder = folder;
    committer->under_way = true;
    zstr_send(committer->thread, "WORK");
}

void
committer_start(struct committer *committer, const struct store_batch *batch)
{
    start(committer, batch, NULL);
}

void
committer_checkpoint(struct committer *committer, const char *folder)
{
    start(committer, NULL, folder);
}

void *
committer_socket(struct committer *committer)
{
    return zsock_resolve(committer->thread);
}

bool
committer_wait(struct committer *committer, enum status *result, struct error *error)
{
    ASSERT(committer->under_way);
    char *done = zstr_recv(committer->thread);
    if (!done)
        return false;
    zstr_free(&done);
    committer->under_way = false;
    *result = committer->status;
    *error = committer->error;
    return true;
}

const struct audit_report *
committer_report(const struct committer *committer)
{
    return committer->reports ? &committer->report : NULL;
}

bool
committer_take(struct committer *committer, enum status *result, struct error *error)
{
    return committer->under_way && (zsock_events(committer->thread) & ZMQ_POLLIN) &&
           committer_wait(committer, result, error);
}
