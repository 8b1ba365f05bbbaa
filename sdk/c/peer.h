/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/c/peer.h - one CURVE session with the broker: the layer that runtime, gateway and
 * cli share.
 *
 * A DEALER socket, the hello, heartbeats, coalesced sending, calls with deadlines, chunks with
 * credit, and reconnection by epoch. Single-threaded and non-blocking: its owner polls
 * peer_socket() (or peer_fd(), which is edge-triggered: after it fires, and after anything was
 * sent, call peer_process() until it returns false), and calls peer_process() no later than
 * peer_deadline_us(). Callbacks run inside peer_process() and the calls that fail at once never
 * call back. A callback may call and answer through the peer, but neither process nor close it.
 * Each peer has a ZMQ context of its own (one I/O thread): closing one waits for no other. */
#ifndef SOS_SDK_PEER_H
#define SOS_SDK_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/message.h"
#include "kernel/trace.h"
#include "sdk/c/connection.h"

struct peer;

enum peer_state {
    PEER_CONNECTING, /* no welcome yet, or lost: calls wait in a bounded queue. When the broker
                      * refuses the key the peer goes on trying, and peer_refusal() has the words
                      * meanwhile */
    PEER_WELCOME,    /* hello answered; services must be announced (done by the peer) */
    PEER_READY,      /* service: the broker accepted `ready`; client: at once, without WELCOME */
    PEER_REFUSED     /* the broker said no for good; peer_refusal() has the words */
};

/* What a service says in its `ready`. */
struct peer_service {
    const char *name; /* "memory": identity must be service:<name> */
    bool single;      /* instances: one */
    bool has_store;
    struct uuid store_uuid;
    uint64_t store_epoch;  /* grows with every open of the store */
    uint32_t requests_max; /* in flight to this instance; 0 = broker's default */
};

struct peer_callbacks {
    /* A request, chunk, cancel or credit control for this peer as a service. The message
     * borrows from a frame that is gone when the callback returns. */
    void (*on_message)(void *context, const struct message *message);
    /* After every change of state. On loss all calls in flight have been answered before. */
    void (*on_state)(void *context, enum peer_state state);
    void *context;
    /* What the broker says of inboxes and channels, to services and clients: deliver, event, ack,
     * error with a correlation that no call has, control `events_dropped`,
     * `capabilities_revoked` and `policy_changed`. Borrowed as above. NULL: errors are logged, the
     * others passed over. */
    void (*on_bus)(void *context, const struct message *message);
};

struct peer_options {
    const struct connection *connection; /* copied */
    const struct peer_service *service;  /* NULL: a client; copied */
    struct peer_callbacks callbacks;
    const struct clock *clock;
    const struct logger *logger;
    uint32_t heartbeat_ms; /* 0: as the broker says; more is cut to that */
    uint32_t calls_max;    /* calls in flight and waiting; 0 = 4096 */
};

enum status peer_open(struct peer **peer_p, const struct peer_options *options,
                      struct error *error);
/* Sends `bye` if connected, waits at most 100 ms for it to leave. Calls in flight end
 * without a callback. */
void peer_close(struct peer **peer_p);

void *peer_socket(struct peer *peer); /* for zmq_poll, ZMQ_POLLIN */
int peer_fd(struct peer *peer);       /* ZMQ_FD */
/* Polled beside peer_socket() (ZMQ_POLLIN) a broken connection is noticed at once, not within a
 * heartbeat. Owners of peer_fd() have no need of it: that descriptor fires too. */
void *peer_monitor(struct peer *peer);

/* Receives a bounded batch, runs callbacks, timers, and flushes what was sent. True: more input is
 * waiting, call again. */
bool peer_process(struct peer *peer);
uint64_t peer_deadline_us(const struct peer *peer); /* monotonic */
enum peer_state peer_state(const struct peer *peer);
const struct error *peer_refusal(const struct peer *peer);
enum status peer_refusal_status(const struct peer *peer); /* OK: no refusal so far */
uint64_t peer_epoch(const struct peer *peer); /* of the broker, 0 before the first welcome */

/* ---- calling */

struct peer_answer {
    enum status status;
    struct bytes
        payload; /* borrowed during the callback; an error's is error_pack()ed, always set */
    const struct message *message; /* NULL when the answer was made here (timeout, lost) */
};

/* Exactly once per successful peer_call(). */
typedef void peer_reply_fn(void *context, const struct peer_answer *answer);
/* Any number of times before it. Grant credit with peer_grant() as chunks are consumed. */
typedef void peer_chunk_fn(void *context, const struct message *chunk);

struct peer_request {
    enum kind kind;     /* KIND_REQUEST, or KIND_CONTROL to the broker itself */
    struct text target; /* "service:memory"; the broker is "service:bus" */
    struct text type;
    struct bytes payload;
    uint32_t flags;            /* enum message_flag; STREAM when on_chunk is set */
    uint32_t ttl_ms;           /* > 0 */
    const struct trace *trace; /* may be NULL */
    struct text capability;
    struct text principal;
    struct bytes metadata;
    const struct uuid *id; /* the request's; NULL: a new one. ALREADY_EXISTS when a call has it */
    peer_reply_fn *on_reply;
    peer_chunk_fn *on_chunk; /* may be NULL */
    void *context;
};

/* Queues the request and gives its id. While not connected it waits (its ttl runs). BUSY when
 * calls_max is reached, TOO_LARGE when the record would be. A lost session answers calls in flight
 * with UNKNOWN_OUTCOME, or sends them again with the same id when flagged IDEMPOTENT. */
enum status peer_call(struct peer *peer, const struct peer_request *request, struct uuid *id,
                      struct error *error);
/* Tells the broker and forgets the call: no callback comes. Unknown ids are ignored. */
void peer_cancel(struct peer *peer, const struct uuid *id);
/* The caller of stream `id` has consumed `chunks` chunks. */
void peer_grant(struct peer *peer, const struct uuid *id, uint32_t chunks);

/* ---- inboxes and channels */

/* Says one record of the kinds send, publish, subscribe, unsubscribe, ack, nack, or control
 * (`extend`), coalesced with others. Version, source, and, when they are nil, id and timestamp are
 * filled in; the id is returned. What the broker answers comes through on_bus, to the same id as
 * correlation. Nothing is kept: what was said in a session that was lost since may or may not have
 * arrived. UNAVAILABLE without a session, BUSY when too much waits for the broker (try again after
 * peer_process()), INVALID for other kinds, TOO_LARGE, NOMEM. */
enum status peer_say(struct peer *peer, const struct message *message, struct uuid *id,
                     struct error *error);
/* The same for a record that was encoded before: whole, of one of these kinds, from this identity.
 */
enum status peer_say_record(struct peer *peer, struct bytes record, struct error *error);

/* ---- answering (services) */

/* Makes a client whose identity is service:<name> announce itself as a service from now on, as if
 * it had been opened so. VALIDATION: the name is too long. CONFLICT: it is a service already. */
enum status peer_announce(struct peer *peer, const struct peer_service *service,
                          struct error *error);

/* What must be kept of a request to answer it; a copy, nothing borrowed. */
struct peer_origin {
    struct uuid request_id;
    char source[MESSAGE_NAME_MAX + 1];
    struct trace trace;
};
void peer_origin_of(struct peer_origin *origin, const struct message *request);

/* payload: for status OK the result; otherwise pass an error_pack()ed map. TOO_LARGE when the
 * record would pass its limit: nothing was sent, answer with an error instead. BUSY when too much
 * waits for the broker: try again after peer_process(). GONE when the request was answered,
 * cancelled, or lost with its session: nobody waits for the answer. */
enum status peer_reply(struct peer *peer, const struct peer_origin *origin, enum status status,
                       struct bytes payload, struct error *error);
/* One chunk of the answer; the caller keeps within the credit (`stream_credit` at the start,
 * more by `control credit` messages in on_message: correlation = request id, seq = chunks). */
enum status peer_send_chunk(struct peer *peer, const struct peer_origin *origin, uint64_t seq,
                            bool final, struct bytes payload, struct error *error);

/* Sends everything that is buffered now; peer_process() does it too. */
void peer_flush(struct peer *peer);

uint32_t peer_stream_credit(const struct peer *peer); /* chunks a stream starts with */

/* ---- for tools: one call, blocking, with its own poll loop. reply is appended. status of the
 * answer is returned; error has the words. */
enum status peer_call_wait(struct peer *peer, const struct peer_request *request,
                           struct buffer *reply, struct error *error);

#endif
