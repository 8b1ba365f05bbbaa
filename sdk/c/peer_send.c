/* SPDX-License-Identifier: Apache-2.0 */
/* CURVE encrypts each frame by itself, so records travel many to a frame: a frame leaves at
 * FLUSH_RECORDS records, FLUSH_BYTES bytes, or when the peer has nothing else to do, so that a
 * lone record never waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "sdk/c/peer_internal.h"

enum {
    FLUSH_RECORDS = 64,
    FLUSH_BYTES = 32 * 1024,
    RETRY_US = 5000,
    BLOCK_SIZE = 36 * 1024, /* of a frame that is about to be flushed, with its last record */
    IDLE_BLOCKS = 32,
    HAND_OVER_MIN = 8 * 1024 /* less is copied: that costs little, and holds no block */
};

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
        zmq_msg_close(&frame->message);
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

void
blocks_init(struct pool *blocks)
{
    pool_init(blocks, BLOCK_SIZE, IDLE_BLOCKS);
}

/* libzmq has it, or, when false, it is as it was. */
static bool
zmq_takes(struct peer *peer, zmq_msg_t *message)
{
    int sent;
    do
        sent = zmq_msg_send(message, peer->socket, ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return false;
    peer->session.sent_us = peer_now_us(peer);
    return true;
}

static bool
make_copy(zmq_msg_t *message, struct bytes frame)
{
    if (zmq_msg_init_size(message, frame.size) != 0)
        return false;
    memcpy(zmq_msg_data(message), frame.data, frame.size);
    return true;
}

static bool
zmq_takes_copy(struct peer *peer, struct bytes frame)
{
    zmq_msg_t message;
    if (!make_copy(&message, frame))
        return false;
    bool taken = zmq_takes(peer, &message);
    zmq_msg_close(&message);
    return taken;
}

bool
peer_send_now(struct peer *peer, const struct message *message)
{
    buffer_reset(&peer->scratch);
    return message_encode(&peer->scratch, message, NULL) == STATUS_OK &&
           zmq_takes_copy(peer, buffer_bytes(&peer->scratch));
}

/* Frames leave in order: false while one is left behind. */
static bool
send_waiting_frames(struct peer *peer)
{
    struct outbox *outbox = &peer->outbox;
    while (outbox->first) {
        struct frame *frame = outbox->first;
        if (!zmq_takes(peer, &frame->message)) {
            outbox->retry_us = peer_now_us(peer) + RETRY_US;
            return false;
        }
        outbox->sent_number = frame->number;
        outbox->waiting_bytes -= frame->size;
        outbox->first = frame->next;
        if (!outbox->first)
            outbox->end = &outbox->first;
        zmq_msg_close(&frame->message);
        free(frame);
    }
    outbox->retry_us = NEVER_US;
    return true;
}

/* On libzmq's thread. */
static void
give_back(void *block, void *blocks)
{
    pool_give(blocks, block);
}

static void
let_go(void *data, void *unused)
{
    (void)unused;
    free(data);
}

/* Leaves `gathered` empty when it succeeds. */
static bool
make_message(struct peer *peer, zmq_msg_t *message)
{
    struct buffer *gathered = &peer->outbox.gathered;
    if (gathered->size < HAND_OVER_MIN) {
        if (!make_copy(message, buffer_bytes(gathered)))
            return false;
        buffer_reset(gathered);
        return true;
    }
    zmq_free_fn *freed = gathered->capacity == BLOCK_SIZE ? give_back : let_go;
    if (zmq_msg_init_data(message, gathered->data, gathered->size, freed, &peer->blocks) != 0)
        return false;
    buffer_init(gathered);
    return true;
}

/* The gathered records become the last of the frames that wait. Without memory for that they stay
 * gathered and are tried again. */
static void
keep_gathered(struct peer *peer)
{
    struct outbox *outbox = &peer->outbox;
    size_t size = outbox->gathered.size;
    struct frame *frame = malloc(sizeof *frame);
    if (!frame || !make_message(peer, &frame->message)) {
        free(frame);
        return;
    }
    frame->next = NULL;
    frame->number = outbox->gathered_number++;
    frame->size = size;
    *outbox->end = frame;
    outbox->end = &frame->next;
    outbox->waiting_bytes += size;
    outbox->records = 0;
}

/* Where the next record is gathered; NULL without memory. */
static struct buffer *
gathering(struct peer *peer)
{
    struct buffer *gathered = &peer->outbox.gathered;
    if (!gathered->data) {
        gathered->data = pool_take(&peer->blocks);
        gathered->capacity = gathered->data ? BLOCK_SIZE : 0;
    }
    return gathered->data ? gathered : NULL;
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
    if (gathered_is_full(outbox) || (outbox->gathered.size >= HAND_OVER_MIN && !outbox->first))
        keep_gathered(peer);
    if (!send_waiting_frames(peer) || outbox->records == 0)
        return;
    if (!zmq_takes_copy(peer, buffer_bytes(&outbox->gathered))) {
        outbox->retry_us = peer_now_us(peer) + RETRY_US;
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
            keep_gathered(peer);
    }

    size_t limit = bytes_max(urgent);
    if (outbox->waiting_bytes + outbox->gathered.size + record.size > limit) {
        error_set(error, "more than %zu bytes wait for the broker", limit);
        return STATUS_BUSY;
    }
    struct buffer *gathered = gathering(peer);
    size_t before = outbox->gathered.size;
    if (gathered)
        buffer_append(gathered, record.data, record.size);
    if (!gathered || gathered->failed || gathered->size > peer->session.frame_max) {
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
    struct buffer *gathered = gathering(peer);
    if (!gathered) {
        error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
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
