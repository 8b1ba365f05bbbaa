/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <zmq.h>

#include "sdk/c/peer_internal.h"

struct wait {
    bool done;
    enum status status;
    struct buffer *reply;
    struct error *error;
    peer_chunk_fn *on_chunk;
    void *context;
};

static void
take_answer(void *context, const struct peer_answer *answer)
{
    struct wait *wait = context;
    wait->done = true;
    wait->status = answer->status;
    if (answer->status == STATUS_OK)
        buffer_append(wait->reply, answer->payload.data, answer->payload.size);
    else if (wait->error)
        error_unpack(answer->payload, wait->error);
}

static void
pass_chunk(void *context, const struct message *chunk)
{
    struct wait *wait = context;
    wait->on_chunk(wait->context, chunk);
}

static long
timeout_ms(const struct peer *peer)
{
    uint64_t now_us = peer_now_us(peer);
    uint64_t deadline_us = peer_deadline_us(peer);
    if (deadline_us <= now_us)
        return 0;
    uint64_t left_ms = (deadline_us - now_us + 999) / 1000;
    return left_ms > INT_MAX ? INT_MAX : (long)left_ms;
}

enum status
peer_call_wait(struct peer *peer, const struct peer_request *request, struct buffer *reply,
               struct error *error)
{
    struct wait wait = {
        .reply = reply, .error = error, .on_chunk = request->on_chunk, .context = request->context};
    struct peer_request own = *request;
    own.on_reply = take_answer;
    own.on_chunk = request->on_chunk ? pass_chunk : NULL;
    own.context = &wait;
    enum status status = peer_call(peer, &own, NULL, error);
    if (status != STATUS_OK)
        return status;
    while (!wait.done) {
        while (peer_process(peer) && !wait.done)
            continue;
        zmq_pollitem_t items[] = {{.socket = peer->socket, .events = ZMQ_POLLIN},
                                  {.socket = peer->monitor, .events = ZMQ_POLLIN}};
        if (!wait.done)
            zmq_poll(items, 2, timeout_ms(peer));
    }
    if (wait.status == STATUS_OK && reply->failed) {
        error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    return wait.status;
}
