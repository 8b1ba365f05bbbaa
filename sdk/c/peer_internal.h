/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/c/peer_internal.h - what the files of the peer share; nobody else includes it.
 *
 *   peer.c          socket, receiving, the loop's one step
 *   peer_session.c  hello, ready, heartbeats, loss, reconnection
 *   peer_calls.c    calls waiting and in flight, deadlines, sending again
 *   peer_serve.c    requests that this peer answers
 *   peer_bus.c      records of inboxes and channels
 *   peer_send.c     coalescing records into frames, back-pressure
 *   peer_wait.c     one blocking call, for tools */
#ifndef SOS_SDK_PEER_INTERNAL_H
#define SOS_SDK_PEER_INTERNAL_H

#include <zmq.h>

#include "kernel/timers.h"
#include "platform/pool.h"
#include "sdk/c/id_table.h"
#include "sdk/c/link.h"
#include "sdk/c/peer.h"

#define NEVER_US TIMERS_NONE

enum {
    TRACE_BYTES = 24,
    CALLS_MAX_DEFAULT = 4096,
    CALL_BYTES_MAX = 64 * 1024 * 1024,  /* records kept of calls */
    SERVED_MAX = 65536,                 /* requests that this peer owes an answer */
    OUTBOX_BYTES_MAX = 8 * 1024 * 1024, /* what libzmq would not take yet */
    OUTBOX_RESERVE = 1024 * 1024        /* above it, for the records that end or steer others */
};

struct frame {
    struct frame *next;
    uint64_t number;
    size_t size;
    zmq_msg_t message;
};

/* Records gather in `gathered` until they leave as one frame; frames that libzmq has no room
 * for wait in a list. Frames are numbered, so that after a loss it is known which records
 * never left. */
struct outbox {
    struct buffer gathered;
    unsigned records;
    uint64_t gathered_number;
    uint64_t sent_number; /* of the last frame that libzmq took */
    struct frame *first;
    struct frame **end;
    size_t waiting_bytes;
    uint64_t retry_us;
};

struct call {
    struct link link; /* in waiting, in_flight, or the list of the lost */
    struct uuid id;
    struct timer deadline;
    bool idempotent;
    bool in_flight;
    bool chunked;          /* a chunk was handed on: it cannot begin again */
    uint64_t frame_number; /* that its record left in */
    peer_reply_fn *on_reply;
    peer_chunk_fn *on_chunk;
    void *context;
    size_t record_size;
    uint8_t record[];
};

struct calls {
    struct id_table by_id;
    struct link waiting; /* oldest first */
    struct link in_flight;
    size_t in_flight_count;
    struct timers deadlines;
    size_t bytes;
    uint32_t max;
    uint64_t in_flight_max; /* what the broker takes of one peer */
};

struct session {
    uint64_t epoch;
    struct uuid hello_id;
    struct uuid ready_id;
    uint64_t hello_us; /* next try */
    uint64_t ready_us; /* next try; NEVER_US while none is due */
    uint64_t ready_delay_us;
    uint64_t reconnect_us; /* when the endpoint is connected anew; NEVER_US */
    uint64_t heard_us;
    uint64_t sent_us;
    uint64_t heartbeat_us;
    uint64_t silence_us; /* the broker is dead after it */
    uint32_t stream_credit;
    size_t record_max;
    size_t frame_max;
};

struct peer {
    struct connection connection;
    bool is_service;
    struct peer_service service;
    char service_name[MESSAGE_NAME_MAX + 1];
    struct peer_callbacks callbacks;
    const struct clock *clock;
    const struct logger *logger;
    uint32_t heartbeat_ms;
    void *zmq_context;
    void *socket;
    void *monitor;
    bool processing;
    uint64_t wall_us; /* while processing: dates what is said */
    struct uuid_source ids;
    enum peer_state state;
    enum status refusal_status;
    struct error refusal;
    struct session session;
    struct outbox outbox;
    struct pool blocks; /* that gathered records stand in, and libzmq's thread gives back */
    struct calls calls;
    struct id_table served; /* requests of this session that are not answered */
    struct buffer scratch;  /* one record or payload on its way */
};

static inline bool
peer_is_connected(const struct peer *peer)
{
    return peer->state == PEER_WELCOME || peer->state == PEER_READY;
}

static inline uint64_t
peer_now_us(const struct peer *peer)
{
    return clock_now(peer->clock).monotonic_us;
}

/* Kind, new id, source, time; the rest is the caller's. */
struct message peer_message(struct peer *peer, enum kind kind);
struct message peer_message_at(struct peer *peer, enum kind kind, uint64_t wall_us);
struct bytes peer_trace_bytes(const struct trace *trace, uint8_t bytes[static TRACE_BYTES]);

/* ---- peer_send.c */
void outbox_init(struct outbox *outbox);
void blocks_init(struct pool *blocks);    /* cleared when the socket's context is no more */
void outbox_clear(struct outbox *outbox); /* drops everything that did not leave */

/* Puts one record among those that leave next. urgent: may use the reserve. BUSY when too much
 * waits, TOO_LARGE, NOMEM. */
enum status peer_post(struct peer *peer, const struct message *message, bool urgent,
                      struct error *error);
/* The same for an encoded record. */
enum status peer_post_record(struct peer *peer, struct bytes record, bool urgent,
                             struct error *error);
/* Alone and at once; false when libzmq does not take it (no connection). */
bool peer_send_now(struct peer *peer, const struct message *message);

/* ---- peer_session.c */
void session_init(struct peer *peer);
void session_announce(struct peer *peer); /* says ready, in this session and the next ones */
void session_lost(struct peer *peer, const char *reason);
void session_watch(struct peer *peer);  /* what the socket monitor saw */
void session_timers(struct peer *peer); /* hello, ready, heartbeat, silence */
uint64_t session_deadline_us(const struct peer *peer);
/* True: the record was the session's own. */
bool session_receive(struct peer *peer, const struct message *message);

/* ---- peer_calls.c */
void calls_init(struct calls *calls, uint32_t max);
void calls_clear(struct calls *calls); /* forgets all, no callbacks */
void calls_send_waiting(struct peer *peer);
void calls_expire(struct peer *peer); /* answers TIMEOUT */
void calls_lost(struct peer *peer, const char *reason);
void calls_refuse(struct peer *peer);                  /* answers all with the refusal */
uint64_t calls_deadline_us(const struct calls *calls); /* NEVER_US without calls */
/* True: the record belonged to a call (or to one that is forgotten). */
bool calls_receive(struct peer *peer, const struct message *message);

/* ---- peer_bus.c */
/* True: the record was of inboxes or channels. */
bool bus_receive(struct peer *peer, const struct message *message);

/* ---- peer_serve.c */
void serve_receive(struct peer *peer, const struct message *message);

#endif
