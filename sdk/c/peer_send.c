/* SPDX-License-Identifier: Apache-2.0 */
/* CURVE encrypts each frame by itself, so records travel many to a frame: a frame leaves at
 * FLUSH_RECORDS records, FLUSH_BYTES bytes, or when the peer has nothing else to do, so that a
 * lone record never waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "sdk/c/peer_internal.h"

enum { FLUSH_RECORDS = 64, FLUSH_BYTES = 32 * 1024, RETRY_US = 5000 };

void
outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){.gathered_number = 1, .retry_us = NEVER_US};
    buffer_init(&outbox->gathered);
    outbox->end = &outbox->first;
}

void
outbox_clear(struct outbox *outbox)
{
    struct frame *frame = outbox->first;
    while (frame) {
        struct frame *next = frame->next;
        free(frame);
        frame = next;
    }
    uint64_t gathered_number = outbox->gathered_number + 1;
    uint64_t sent_number = outbox->sent_number;
    buffer_clear(&outbox->gathered);
    outbox_init(outbox);
    outbox->gathered_number = gathered_number;
    outbox->sent_number = sent_number;
}

static bool
zmq_takes(struct peer *peer, const uint8_t *data, size_t size)
{
    int sent;
    do
        sent = zmq_send(peer->socket, data, size, ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return false;
    peer->session.sent_us = peer_now_us(peer);
    return true;
}

bool
peer_send_now(struct peer *peer, const struct message *message)
{
    buffer_reset(&peer->scratch);
    return message_encode(&peer->scratch, message, NULL) == STATUS_OK &&
           zmq_takes(peer, peer->scratch.data, peer->scratch.size);
}

/* Frames leave in order: false while one is left behind. */
static bool
send_waiting_frames(struct peer *peer)
{
    struct outbox *outbox = &peer->outbox;
    while (outbox->first) {
        struct frame *frame = outbox->first;
        if (!zmq_takes(peer, frame->data, frame->size)) {
            outbox->retry_us = peer_now_us(peer) + RETRY_US;
            return false;
        }
        outbox->sent_number = frame->number;
        outbox->waiting_bytes -= frame->size;
        outbox->first = frame->next;
        if (!outbox->first)
            outbox->end = &outbox->first;
        free(frame);
    }
    outbox->retry_us = NEVER_US;
    return true;
}

/* Without memory the records stay gathered and are tried again. */
static void
keep_gathered(struct outbox *outbox)
{
    struct frame *frame = malloc(sizeof *frame + outbox->gathered.size);
    if (!frame)
        return;
    frame->next = NULL;
    frame->number = outbox->gathered_number++;
    frame->size = outbox->gathered.size;
    memcpy(frame->data, outbox->gathered.data, frame->size);
    *outbox->end = frame;
    outbox->end = &frame->next;
    outbox->waiting_bytes += frame->size;
    buffer_reset(&outbox->gathered);
    outbox->records = 0;
}

static bool
gathered_is_full(const struct outbox *outbox)
{
    return outbox->records >= FLUSH_RECORDS || outbox->gathered.size >= FLUSH_BYTES;
}

void
peer_flush(struct peer *peer)
{
    struct outbox *outbox = &peer->outbox;
    if (!send_waiting_frames(peer)) {
        if (gathered_is_full(outbox))
            keep_gathered(outbox);
        return;
    }
    if (outbox->records == 0)
        return;
    if (!zmq_takes(peer, outbox->gathered.data, outbox->gathered.size)) {
        outbox->retry_us = peer_now_us(peer) + RETRY_US;
        if (gathered_is_full(outbox))
            keep_gathered(outbox);
        return;
    }
    outbox->sent_number = outbox->gathered_number++;
    buffer_reset(&outbox->gathered);
    outbox->records = 0;
}

static size_t
bytes_max(bool urgent)
{
    return OUTBOX_BYTES_MAX + (urgent ? (size_t)OUTBOX_RESERVE : 0);
}

enum status
peer_post_record(struct peer *peer, struct bytes record, bool urgent, struct error *error)
{
    struct outbox *outbox = &peer->outbox;
    if (record.size > peer->session.record_max) {
        error_set(error, "the record has %zu bytes, at most %zu travel", record.size,
                  peer->session.record_max);
        return STATUS_TOO_LARGE;
    }
    if (outbox->records && outbox->gathered.size + record.size > peer->session.frame_max) {
        peer_flush(peer);
        if (outbox->records)
            keep_gathered(outbox);
    }

    size_t limit = bytes_max(urgent);
    if (outbox->waiting_bytes + outbox->gathered.size + record.size > limit) {
        error_set(error, "more than %zu bytes wait for the broker", limit);
        return STATUS_BUSY;
    }
    size_t before = outbox->gathered.size;
    buffer_append(&outbox->gathered, record.data, record.size);
    if (outbox->gathered.failed || outbox->gathered.size > peer->session.frame_max) {
        outbox->gathered.size = before;
        outbox->gathered.failed = false;
        error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    outbox->records++;
    if (gathered_is_full(outbox))
        peer_flush(peer);
    return STATUS_OK;
}

enum status
peer_post(struct peer *peer, const struct message *message, bool urgent, struct error *error)
{
    struct outbox *outbox = &peer->outbox;
    struct buffer *gathered = &outbox->gathered;
    size_t before = gathered->size;
    enum status status = message_encode(gathered, message, error);
    gathered->failed = false;
    if (status != STATUS_OK)
        return status;
    size_t size = gathered->size - before;
    if (size <= peer->session.record_max && gathered->size <= peer->session.frame_max &&
        outbox->waiting_bytes + gathered->size <= bytes_max(urgent)) {
        outbox->records++;
        if (gathered_is_full(outbox))
            peer_flush(peer);
        return STATUS_OK;
    }
    /* It cannot just join the others. */
    gathered->size = before;
    buffer_reset(&peer->scratch);
    buffer_append(&peer->scratch, gathered->data + before, size);
    if (peer->scratch.failed) {
        error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    return peer_post_record(peer, buffer_bytes(&peer->scratch), urgent, error);
}
