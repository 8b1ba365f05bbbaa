/* SPDX-License-Identifier: Apache-2.0 */
/* wslay's event layer without its buffering of messages: it takes a block of memory for each
 * fragment, which a client could make of one byte each, and bounds frames rather than messages. */
#include "gateway/websocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <wslay/wslay.h>

enum {
    READ_MAX = 64 * 1024, /* at once, so that one connection does not keep the others waiting */
    QUEUED_MAX = 64,      /* frames that wait for the client, until it is not read any more */
    GATHER_MAX = 32 * 1024,
    KEPT_MAX = 4096, /* memory that an idle connection keeps for the next message */
    REASON_SIZE = 124
};

struct websocket {
    struct websocket_options options;
    wslay_event_context_ptr library;
    struct buffer message; /* the one that is coming */
    struct buffer out;     /* frames on their way: one system call for many */
    size_t out_at;
    size_t budget;   /* bytes that may still be read in this call */
    bool in_control; /* the frame that is coming is a control frame */
    bool in_frame;
    bool in_message;
    unsigned close_code; /* not 0: closes when all messages have left; the library would let the
                          * close frame overtake them */
    char close_reason[REASON_SIZE];
    bool ended; /* nothing more can be read */
    bool broken;
};

/* ---- what the library calls */

static ssize_t
on_recv(wslay_event_context_ptr library, uint8_t *out, size_t room, int flags, void *user)
{
    struct websocket *websocket = user;
    (void)flags;
    if (websocket->budget == 0 || wslay_event_get_queued_msg_count(library) > QUEUED_MAX) {
        wslay_event_set_error(library, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t wanted = room < websocket->budget ? room : websocket->budget;
    ssize_t size = websocket->options.read(websocket->options.context, out, wanted);
    if (size > 0) {
        websocket->budget -= (size_t)size;
        return size;
    }
    websocket->ended = size < 0;
    wslay_event_set_error(library, size == 0 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t
on_send(wslay_event_context_ptr library, const uint8_t *data, size_t size, int flags, void *user)
{
    struct websocket *websocket = user;
    struct buffer *out = &websocket->out;
    (void)flags;
    if (out->size >= GATHER_MAX) {
        wslay_event_set_error(library, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t taken = size < GATHER_MAX - out->size ? size : GATHER_MAX - out->size;
    buffer_append(out, data, taken);
    if (out->failed) {
        wslay_event_set_error(library, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return (ssize_t)taken;
}

static void
on_frame_begin(wslay_event_context_ptr library,
               const struct wslay_event_on_frame_recv_start_arg *frame, void *user)
{
    struct websocket *websocket = user;
    (void)library;
    websocket->in_frame = true;
    websocket->in_control = wslay_is_ctrl_frame(frame->opcode);
    if (websocket->in_control)
        return;
    websocket->in_message = true;
    if (frame->opcode == WSLAY_BINARY_FRAME)
        websocket_close(websocket, WEBSOCKET_UNSUPPORTED, "expected text");
    else if (frame->payload_length > websocket->options.message_max - websocket->message.size)
        websocket_close(websocket, WEBSOCKET_TOO_BIG, "the message is too long");
}

static void
on_frame_bytes(wslay_event_context_ptr library,
               const struct wslay_event_on_frame_recv_chunk_arg *bytes, void *user)
{
    struct websocket *websocket = user;
    if (websocket->in_control || !wslay_event_get_read_enabled(library))
        return;
    buffer_append(&websocket->message, bytes->data, bytes->data_length);
    if (websocket->message.failed)
        websocket_close(websocket, WEBSOCKET_TRY_LATER, "out of memory");
}

static void
on_frame_end(wslay_event_context_ptr library, void *user)
{
    struct websocket *websocket = user;
    (void)library;
    websocket->in_frame = false;
}

static void
empty(struct buffer *buffer)
{
    if (buffer->capacity > KEPT_MAX)
        buffer_clear(buffer);
    buffer_reset(buffer);
}

static void
on_whole(wslay_event_context_ptr library, const struct wslay_event_on_msg_recv_arg *message,
         void *user)
{
    struct websocket *websocket = user;
    if (message->opcode != WSLAY_TEXT_FRAME || !wslay_event_get_read_enabled(library))
        return;
    websocket->options.on_message(websocket->options.context, buffer_text(&websocket->message));
    websocket->in_message = false;
    empty(&websocket->message);
}

/* ---- life */

struct websocket *
websocket_new(const struct websocket_options *options)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame_begin,
        .on_frame_recv_chunk_callback = on_frame_bytes,
        .on_frame_recv_end_callback = on_frame_end,
        .on_msg_recv_callback = on_whole,
    };
    struct websocket *websocket = calloc(1, sizeof *websocket);
    if (!websocket)
        return NULL;
    websocket->options = *options;
    if (wslay_event_context_server_init(&websocket->library, &callbacks, websocket) != 0) {
        free(websocket);
        return NULL;
    }
    wslay_event_config_set_no_buffering(websocket->library, 1);
    return websocket;
}

void
websocket_destroy(struct websocket **websocket_p)
{
    struct websocket *websocket = *websocket_p;
    if (!websocket)
        return;
    wslay_event_context_free(websocket->library);
    buffer_clear(&websocket->message);
    buffer_clear(&websocket->out);
    free(websocket);
    *websocket_p = NULL;
}

/* ---- both directions */

bool
websocket_receive(struct websocket *websocket)
{
    if (websocket->broken)
        return false;
    websocket->budget = READ_MAX;
    /* What broke the protocol's rules is answered by a close frame that waits now. */
    if (websocket_wants_read(websocket) && wslay_event_recv(websocket->library) != 0)
        websocket->broken = websocket->ended || !wslay_event_want_write(websocket->library);
    return !websocket->broken;
}

void
websocket_pause(struct websocket *websocket)
{
    websocket->budget = 0;
}

static bool
send_frame(struct websocket *websocket, uint8_t opcode, struct text payload)
{
    struct wslay_event_msg message = {opcode, (const uint8_t *)payload.data, payload.size};
    return !websocket->broken && websocket->close_code == 0 &&
           wslay_event_queue_msg(websocket->library, &message) == 0;
}

bool
websocket_send(struct websocket *websocket, struct text message)
{
    return send_frame(websocket, WSLAY_TEXT_FRAME, message);
}

void
websocket_ping(struct websocket *websocket)
{
    send_frame(websocket, WSLAY_PING, text_of(""));
}

void
websocket_close(struct websocket *websocket, unsigned code, const char *reason)
{
    wslay_event_shutdown_read(websocket->library);
    if (websocket->close_code != 0)
        return;
    websocket->close_code = code;
    snprintf(websocket->close_reason, sizeof websocket->close_reason, "%s", reason);
}

static bool
queue_close(struct websocket *websocket)
{
    const char *reason = websocket->close_reason;
    if (websocket->close_code == 0 || wslay_event_get_close_sent(websocket->library))
        return false;
    int result = wslay_event_queue_close(websocket->library, (uint16_t)websocket->close_code,
                                         (const uint8_t *)reason, strlen(reason));
    if (result != 0 && result != WSLAY_ERR_NO_MORE_MSG)
        websocket->broken = true;
    return result == 0;
}

/* True: all of it has left. */
static bool
write_out(struct websocket *websocket)
{
    struct buffer *out = &websocket->out;
    while (websocket->out_at < out->size) {
        ssize_t size =
            websocket->options.write(websocket->options.context, out->data + websocket->out_at,
                                     out->size - websocket->out_at);
        if (size < 0)
            websocket->broken = true;
        if (size <= 0)
            return false;
        websocket->out_at += (size_t)size;
    }
    websocket->out_at = 0;
    empty(out);
    return true;
}

bool
websocket_flush(struct websocket *websocket)
{
    while (!websocket->broken && write_out(websocket) &&
           (wslay_event_want_write(websocket->library) || queue_close(websocket))) {
        if (wslay_event_send(websocket->library) != 0)
            websocket->broken = true;
    }
    return !websocket->broken;
}

bool
websocket_wants_read(const struct websocket *websocket)
{
    return !websocket->broken && wslay_event_want_read(websocket->library) &&
           wslay_event_get_queued_msg_count(websocket->library) <= QUEUED_MAX;
}

bool
websocket_wants_write(const struct websocket *websocket)
{
    return !websocket->broken &&
           (websocket->out.size > 0 || wslay_event_want_write(websocket->library));
}

bool
websocket_is_over(const struct websocket *websocket)
{
    return websocket->broken ||
           (wslay_event_get_close_sent(websocket->library) && websocket->out.size == 0);
}

bool
websocket_is_receiving(const struct websocket *websocket)
{
    return websocket->in_frame || websocket->in_message;
}

size_t
websocket_held(const struct websocket *websocket)
{
    return wslay_event_get_queued_msg_length(websocket->library) + websocket->message.size +
           websocket->out.size;
}
