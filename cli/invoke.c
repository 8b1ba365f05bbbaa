/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/invoke.h"

#include <ctype.h>
#include <limits.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#include "platform/file.h"

struct running {
    struct invoke *invoke;
    struct uuid id;
    bool done;
    bool enough;
    enum status status;
    struct buffer *reply;
    struct error *error;
};

static void
take_answer(void *context, const struct peer_answer *answer)
{
    struct running *running = context;
    running->done = true;
    running->status = answer->status;
    if (answer->status == STATUS_OK)
        buffer_append(running->reply, answer->payload.data, answer->payload.size);
    else if (running->error)
        error_unpack(answer->payload, running->error);
}

static void
take_chunk(void *context, const struct message *chunk)
{
    struct running *running = context;
    struct invoke *invoke = running->invoke;
    if (running->enough)
        return;
    if (invoke->on_chunk(invoke->context, chunk->payload))
        peer_grant(invoke->peer, &running->id, 1);
    else
        running->enough = true;
}

int
invoke_take_signal(int signal_fd)
{
    struct pollfd item = {.fd = signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;
    if (poll(&item, 1, 0) != 1 || read(signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    return (int)info.ssi_signo;
}

long
invoke_timeout_ms(const struct peer *peer, const struct clock *clock)
{
    uint64_t now_us = clock_now(clock).monotonic_us;
    uint64_t deadline_us = peer_deadline_us(peer);
    if (deadline_us <= now_us)
        return 0;
    uint64_t left_ms = (deadline_us - now_us) / 1000 + 1;
    return left_ms > INT_MAX ? INT_MAX : (long)left_ms;
}

static void
await(struct running *running)
{
    struct invoke *invoke = running->invoke;
    while (!running->done && !running->enough) {
        while (peer_process(invoke->peer) && !running->done && !running->enough)
            continue;
        if (running->done || running->enough)
            break;
        zmq_pollitem_t items[] = {
            {.socket = peer_socket(invoke->peer), .events = ZMQ_POLLIN},
            {.socket = peer_monitor(invoke->peer), .events = ZMQ_POLLIN},
            {.fd = invoke->signal_fd, .events = ZMQ_POLLIN},
        };
        long timeout_ms = invoke_timeout_ms(invoke->peer, invoke->clock);
        if (invoke->on_tick && timeout_ms > invoke->tick_ms)
            timeout_ms = invoke->tick_ms;
        zmq_poll(items, 3, timeout_ms);
        invoke->signal_number = invoke_take_signal(invoke->signal_fd);
        if (invoke->signal_number)
            break;
        if (invoke->on_tick && !invoke->on_tick(invoke->context))
            running->enough = true;
    }
}

enum status
invoke_run(struct invoke *invoke, const struct peer_request *request, struct buffer *reply,
           struct error *error)
{
    struct running running = {.invoke = invoke, .reply = reply, .error = error};
    struct peer_request own = *request;
    own.on_reply = take_answer;
    own.on_chunk = invoke->on_chunk ? take_chunk : NULL;
    own.context = &running;
    invoke->signal_number = 0;
    enum status status = peer_call(invoke->peer, &own, &running.id, error);
    if (status != STATUS_OK)
        return status;
    await(&running);
    if (!running.done) {
        peer_cancel(invoke->peer, &running.id);
        peer_flush(invoke->peer);
        error_set(error, "cancelled");
        return STATUS_CANCELLED;
    }
    if (running.status == STATUS_OK && reply->failed) {
        error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    return running.status;
}

enum status
invoke_read_capability(const char *path, struct buffer *token, struct error *error)
{
    enum status status = file_load(path, MESSAGE_CAPABILITY_MAX, false, token, error);
    if (status != STATUS_OK)
        return status;
    while (token->size && isspace(token->data[token->size - 1]))
        token->size--;
    size_t start = 0;
    while (start < token->size && isspace(token->data[start]))
        start++;
    token->size -= start;
    if (token->size == 0) {
        error_set(error, "%s: holds no capability", path);
        return STATUS_VALIDATION;
    }
    memmove(token->data, token->data + start, token->size);
    return STATUS_OK;
}
