/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/revoked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/revocation_form.h"
#include "platform/file.h"

enum {
    FILE_SIZE_MAX = 64 << 20,  /* of one that is read */
    FILE_SIZE_GROWN = 16 << 20 /* then it is written anew */
};

struct revoked {
    char *path;
    const struct logger *logger;
    struct revocations *list;
    uint64_t now_us;
    int descriptor;
    size_t size;     /* of what is whole */
    bool is_unclear; /* more than that may be there */
};

/* ---- reading */

static enum status
take(void *context, const struct revocation *revocation, struct error *error)
{
    struct revoked *revoked = context;
    return revocations_add(revoked->list, revocation, 1, revoked->now_us, error);
}

static enum status
load(struct revoked *revoked, struct error *error)
{
    struct buffer content;
    struct error cause = ERROR_INIT;
    size_t whole = 0;
    buffer_init(&content);
    enum status status = file_load(revoked->path, FILE_SIZE_MAX, false, &content, &cause);
    if (status == STATUS_OK) {
        status = revocation_form_read(buffer_bytes(&content), take, revoked, &whole, error);
        error_wrap(error, "revoked capabilities %s", revoked->path);
        if (status == STATUS_OK && whole < content.size && revoked->logger)
            log_warn(revoked->logger, "%s: the last %zu bytes were not written whole, and are cut",
                     revoked->path, content.size - whole);
    } else if (status == STATUS_NOT_FOUND) {
        status = STATUS_OK;
    } else {
        error_set(error, "revoked capabilities: %s", cause.message);
    }
    buffer_clear(&content);
    return status;
}

/* ---- writing anew */

struct packing {
    struct buffer frames;
    struct revocation list[REVOCATION_BATCH_MAX];
    size_t count;
};

static void
pack_listed(struct packing *packing)
{
    revocation_form_pack(&packing->frames, packing->list, packing->count);
    packing->count = 0;
}

static void
pack_one(void *context, struct text id, uint64_t expires_us)
{
    struct packing *packing = context;
    packing->list[packing->count++] = (struct revocation){id, expires_us};
    if (packing->count == REVOCATION_BATCH_MAX)
        pack_listed(packing);
}

static enum status
open_file(struct revoked *revoked, struct error *error)
{
    if (revoked->descriptor >= 0)
        close(revoked->descriptor);
    revoked->descriptor = open(revoked->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (revoked->descriptor >= 0)
        return STATUS_OK;
    error_set(error, "open %s: %s", revoked->path, strerror(errno));
    return STATUS_STORE_FAILED;
}

static enum status
compact(struct revoked *revoked, uint64_t now_us, struct error *error)
{
    struct packing *packing = calloc(1, sizeof *packing);
    if (!packing)
        return STATUS_NOMEM;
    buffer_init(&packing->frames);
    revocations_forget(revoked->list, now_us);
    revocations_visit(revoked->list, now_us, pack_one, packing);
    if (packing->count > 0)
        pack_listed(packing);
    size_t size = packing->frames.size;
    enum status status =
        packing->frames.failed
            ? STATUS_NOMEM
            : file_save(revoked->path, buffer_bytes(&packing->frames), 0600, error);
    buffer_clear(&packing->frames);
    free(packing);
    if (status != STATUS_OK) {
        error_wrap(error, "revoked capabilities");
        return status == STATUS_NOMEM ? status : STATUS_STORE_FAILED;
    }
    revoked->size = size;
    revoked->is_unclear = false;
    return open_file(revoked, error);
}

/* ---- */

enum status
revoked_open(struct revoked **revoked_p, const char *path, struct now now,
             const struct logger *logger, struct error *error)
{
    struct revoked *revoked = calloc(1, sizeof *revoked);
    if (!revoked)
        return STATUS_NOMEM;
    revoked->descriptor = -1;
    revoked->logger = logger;
    revoked->now_us = now.wall_us;
    revoked->path = text_copy(text_of(path));
    revoked->list = revocations_new();
    enum status status = STATUS_NOMEM;
    if (revoked->path && revoked->list)
        status = load(revoked, error);
    if (status == STATUS_OK)
        status = compact(revoked, now.wall_us, error);
    if (status == STATUS_OK)
        *revoked_p = revoked;
    else
        revoked_close(&revoked);
    return status;
}

void
revoked_close(struct revoked **revoked_p)
{
    struct revoked *revoked = *revoked_p;
    if (!revoked)
        return;
    if (revoked->descriptor >= 0)
        close(revoked->descriptor);
    revocations_destroy(&revoked->list);
    free(revoked->path);
    free(revoked);
    *revoked_p = NULL;
}

const struct revocations *
revoked_list(const struct revoked *revoked)
{
    return revoked->list;
}

static bool
write_whole(int descriptor, struct bytes bytes, off_t offset)
{
    while (bytes.size > 0) {
        ssize_t written = pwrite(descriptor, bytes.data, bytes.size, offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes.data += written;
        bytes.size -= (size_t)written;
        offset += written;
    }
    return true;
}

static enum status
append(struct revoked *revoked, struct bytes frame, struct error *error)
{
    if (write_whole(revoked->descriptor, frame, (off_t)revoked->size) &&
        fdatasync(revoked->descriptor) == 0) {
        revoked->size += frame.size;
        return STATUS_OK;
    }
    error_set(error, "write %s: %s", revoked->path, strerror(errno));
    /* Part of it may be there, and what was synced is not known: the next one writes all anew. */
    revoked->is_unclear = true;
    return STATUS_STORE_FAILED;
}

enum status
revoked_add(struct revoked *revoked, const struct revocation *list, size_t count, struct now now,
            struct error *error)
{
    struct buffer frame;
    enum status status = revocations_add(revoked->list, list, count, now.wall_us, error);
    if (status != STATUS_OK || count == 0)
        return status;
    if (revoked->is_unclear || revoked->size > FILE_SIZE_GROWN || revoked->descriptor < 0)
        return compact(revoked, now.wall_us, error);
    buffer_init(&frame);
    revocation_form_pack(&frame, list, count);
    status = frame.failed ? STATUS_NOMEM : append(revoked, buffer_bytes(&frame), error);
    buffer_clear(&frame);
    return status;
}
