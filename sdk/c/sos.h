/* SPDX-License-Identifier: Apache-2.0 */
/* sos.h - SovereignOS for C and C++ programs: an agent's, a service's or a tool's end of the bus.
 *
 *     struct sos *sos;
 *     struct sos_error error;
 *     if (sos_connect(&sos, NULL, &error) != SOS_OK)
 *         errx(1, "%s", error.message);
 *     struct sos_map *task = sos_map_new();
 *     sos_map_put_text(task, "text", "count the stars");
 *     sos_send(sos, "agent:river", "task", sos_map_payload(task), &error);
 *     sos_map_free(&task);
 *     sos_close(&sos);
 *
 * Build: cc program.c $(pkg-config --cflags --libs sos). C11 or C++11; the library needs no C++
 * runtime of its own.
 *
 * RESULTS. Functions that can fail return SOS_OK (0), or the status of the failure: a number above
 * 1000 of `enum sos_status`, which is also what REST and the wire say. Below 0 are two that are no
 * failures: SOS_NOTHING (nothing came in the time given) and SOS_END. `error` says the same in
 * words; it may be NULL, is written only when the result is above 0, and belongs to the caller: no
 * state is shared between calls or threads. Outputs are written only on SOS_OK.
 *
 * PAYLOADS are msgpack: `struct sos_bytes` with exactly one value, or empty. Bytes from any msgpack
 * library will do; `struct sos_map` makes and reads them without one, and knows JSON.
 *
 * OWNERSHIP. `T **` takes an object over, or gives one, and ends it: the pointer is NULL
 * afterwards. `const T *` is borrowed. Texts that a getter returns live as long as their object.
 * NULL is accepted wherever something is ended.
 *
 * TIME. timeout_ms: 0 does not wait, -1 waits without end, where a call needs an end 0 stands for
 * the default that is stated.
 *
 * THREADS. A client has one background thread of its own: it holds the connection, says heartbeats,
 * reconnects, sends again, keeps leases. Every function may be called from any thread at any time,
 * except where stated; objects other than the client (maps, messages, …) belong to one thread at a
 * time. Callbacks never run on the background thread: they run inside sos_poll() and sos_run(), on
 * the thread that called those, so a slow callback delays no heartbeat and loses no message.
 * Several threads in sos_run() share the callbacks among them. A callback may call everything but
 * sos_close().
 *
 * LIMITS. Everything that waits is bounded. What does not fit is refused with SOS_BUSY, at once:
 * try again a little later. An inbox that is not read stops at its window; a subscription whose
 * queue is full reads on from the channel's history when there is room again.
 *
 * RECONNECTION is automatic and goes on until sos_close(). Neither loss nor doubling:
 *   - a durable message (sos_send) that was not acknowledged is sent again under the same id, also
 *     to a broker that was started anew; the broker stores it once
 *   - a message that was acknowledged by this process and comes again, because the broker crashed
 *     before it could write that down, is acknowledged again and not handed out twice
 *   - subscriptions are made again and go on behind the last event that was seen, as far back as
 *     the channel's history reaches; what is beyond shows in sos_event_missed()
 *   - calls in flight end as SOS_UNKNOWN_OUTCOME, those that are idempotent are made again
 *
 * FORK. A client is of no use in a forked child (its thread is not there): every function then
 * fails with SOS_CONFLICT, and sos_close() only lets go. Connect after fork(), or exec().
 *
 * SIGNALS. The library installs no handlers; its threads take no signals. Waiting functions are not
 * ended by signals: call sos_stop() from the handler, the one function that is safe there. */
#ifndef SOS_H
#define SOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define SOS_API __attribute__((visibility("default")))
#else
#define SOS_API
#endif

/* "0.1.0" */
SOS_API const char *sos_version(void);

/* ---- results */

enum sos_status {
    SOS_NOTHING = -1, /* nothing came in the time given */
    SOS_END = -2,     /* there is no more */
    SOS_OK = 0,
    SOS_PENDING = 1,               /* accepted, the answer comes later */
    SOS_UNKNOWN = 1000,            /* an unknown error */
    SOS_INVALID = 1001,            /* the request cannot be read */
    SOS_INTERNAL = 1002,           /* an internal error */
    SOS_UNAVAILABLE = 1003,        /* the service is not available */
    SOS_TIMEOUT = 1004,            /* no answer in time */
    SOS_VALIDATION = 1005,         /* a field is missing or of the wrong type */
    SOS_TOO_LARGE = 1006,          /* the request is larger than allowed */
    SOS_METHOD_NOT_ALLOWED = 1007, /* the path does not know this method */
    SOS_CANCELLED = 1008,          /* cancelled by the caller */
    SOS_UNKNOWN_OUTCOME = 1009, /* the connection was lost while the call was in flight; it may or
                                   may not have been done */
    SOS_NOT_IMPLEMENTED = 1010, /* not available in this configuration */
    SOS_STORE_FAILED = 1011,    /* storage failed */
    SOS_NOMEM = 1012,           /* out of memory */
    SOS_BUSY = 1013,            /* too much work is waiting; try again later */
    SOS_BAD_GATEWAY = 1014,     /* another server gave an answer that cannot be used */
    SOS_HELLO_REQUIRED = 1015,  /* the session must begin with a hello */
    SOS_VERSION_UNSUPPORTED = 1016, /* no common protocol version */
    SOS_UNAUTHORIZED = 2001,        /* not authenticated */
    SOS_FORBIDDEN = 2002,           /* not permitted */
    SOS_TOKEN_EXPIRED = 2003,       /* the capability has expired */
    SOS_TOKEN_INVALID = 2004,       /* the capability's signature is wrong */
    SOS_SCOPE_DENIED = 2005,        /* the capability does not cover this */
    SOS_CAPABILITY_MISSING = 2006,  /* this call needs a capability */
    SOS_NOT_FOUND = 3001,           /* not found */
    SOS_ALREADY_EXISTS = 3002,      /* already exists */
    SOS_CONFLICT = 3003,            /* not allowed in this state */
    SOS_GONE = 3004,                /* no longer there */
    SOS_RATE_LIMITED = 4001,        /* too many requests */
    SOS_QUOTA_EXCEEDED = 4002,      /* a limit is reached */
    SOS_CIRCUIT_OPEN = 4003,        /* failing too often; not tried for a while */
    SOS_MODEL_UNAVAILABLE = 5001,   /* the model is not available */
    SOS_MODEL_OVERLOADED = 5002,    /* the model is overloaded */
    SOS_CONTEXT_TOO_LONG = 5003,    /* the conversation is too long */
    SOS_GENERATION_FAILED = 5004,   /* the model failed to answer */
    SOS_NO_MODELS = 5005,           /* no model is available */
    SOS_MEMORY_FULL = 6001,         /* the memory quota is reached */
    SOS_VECTOR_ERROR = 6002,        /* the vector index failed */
    SOS_EMBEDDING_FAILED = 6003,    /* no embedding could be made */
    SOS_RETRIEVAL_FAILED = 6004,    /* memories could not be read */
    SOS_INSUFFICIENT_FUNDS = 7001,  /* not enough funds */
    SOS_INVALID_TRANSACTION = 7002, /* the transaction is not valid */
    SOS_LEDGER_ERROR = 7003,        /* the ledger failed */
    SOS_TOOL_NOT_FOUND = 8001,      /* no such tool */
    SOS_TOOL_FAILED = 8002,         /* the tool failed */
    SOS_TOOL_TIMEOUT = 8003,        /* the tool did not finish in time */
    SOS_TOOL_DENIED = 8004,         /* the tool may not do this */
    SOS_SANDBOX_ERROR = 8005,       /* the sandbox failed */
};

struct sos_error {
    int status;        /* as returned */
    char word[64];     /* for programs: "inbox_full" */
    char message[400]; /* for people: what, where, what was expected. Never a secret */
    char field[96];    /* the field of a request that is wrong, or "" */
};

/* "not_found" and "not found"; of a number that has no row those of SOS_UNKNOWN. */
SOS_API const char *sos_status_word(int status);
SOS_API const char *sos_status_text(int status);

/* ---- bytes and ids */

/* A view, or, where stated, memory that the caller frees by sos_bytes_free(). */
struct sos_bytes {
    const void *data;
    size_t size;
};
SOS_API void sos_bytes_free(struct sos_bytes *bytes);

/* A UUID; all zero stands for none. */
struct sos_id {
    uint8_t bytes[16];
};
enum { SOS_ID_TEXT_SIZE = 37 };
SOS_API void sos_id_text(const struct sos_id *id, char text[SOS_ID_TEXT_SIZE]);
SOS_API bool sos_id_parse(const char *text, struct sos_id *id);
SOS_API bool sos_id_is_none(const struct sos_id *id);

/* ---- maps: payloads without a msgpack library
 *
 * A map of text keys, in the order in which they were put; values are nil, bool, integers, doubles,
 * texts, bytes, maps and lists. A list is a map whose keys are the numbers from 0, put with the key
 * NULL. Putting a key again replaces it. What could not be put (no memory, a map's entry without a
 * key, bytes that are no msgpack) is remembered: sos_map_payload() then gives bytes that every
 * function refuses with SOS_NOMEM.
 *
 * Getters take a path: "title", "items.0.name" (a key that holds points itself is found too). One
 * that is absent or of another type gives the fallback: NULL, 0, false, nothing. */
struct sos_map;

SOS_API struct sos_map *sos_map_new(void);
SOS_API struct sos_map *sos_map_new_list(void);
SOS_API void sos_map_free(struct sos_map **map_p);

SOS_API void sos_map_put_text(struct sos_map *map, const char *key, const char *text);
SOS_API void sos_map_put_int(struct sos_map *map, const char *key, int64_t number);
SOS_API void sos_map_put_uint(struct sos_map *map, const char *key, uint64_t number);
SOS_API void sos_map_put_double(struct sos_map *map, const char *key, double number);
SOS_API void sos_map_put_bool(struct sos_map *map, const char *key, bool value);
SOS_API void sos_map_put_bytes(struct sos_map *map, const char *key, const void *data, size_t size);
SOS_API void sos_map_put_nil(struct sos_map *map, const char *key);
/* Takes the nested map or list over. */
SOS_API void sos_map_put_map(struct sos_map *map, const char *key, struct sos_map **nested_p);
/* Any packed value. */
SOS_API void sos_map_put_payload(struct sos_map *map, const char *key, struct sos_bytes payload);

/* The packed map: borrowed, valid until the map is changed or freed. NULL gives the empty payload.
 */
SOS_API struct sos_bytes sos_map_payload(const struct sos_map *map);

/* SOS_INVALID: not one whole msgpack value, or one that is neither map nor list, or has keys that
 * are no texts, or nests deeper than 32. An empty payload gives an empty map. */
SOS_API int sos_map_parse(struct sos_map **map_p, struct sos_bytes payload,
                          struct sos_error *error);

enum sos_type {
    SOS_TYPE_NONE, /* not there */
    SOS_TYPE_NIL,
    SOS_TYPE_BOOL,
    SOS_TYPE_INT, /* any integer */
    SOS_TYPE_DOUBLE,
    SOS_TYPE_TEXT,
    SOS_TYPE_BYTES,
    SOS_TYPE_MAP,
    SOS_TYPE_LIST
};
SOS_API enum sos_type sos_map_type(const struct sos_map *map, const char *path);
/* NUL-terminated. A text may hold NUL itself: sos_map_bytes() has its size. */
SOS_API const char *sos_map_text(const struct sos_map *map, const char *path);
SOS_API struct sos_bytes sos_map_bytes(const struct sos_map *map, const char *path); /* texts too */
SOS_API int64_t sos_map_int(const struct sos_map *map, const char *path, int64_t fallback);
SOS_API uint64_t sos_map_uint(const struct sos_map *map, const char *path, uint64_t fallback);
SOS_API double sos_map_double(const struct sos_map *map, const char *path,
                              double fallback); /* integers too */
SOS_API bool sos_map_bool(const struct sos_map *map, const char *path, bool fallback);
SOS_API const struct sos_map *sos_map_get(const struct sos_map *map, const char *path);
SOS_API size_t sos_map_count(const struct sos_map *map); /* entries; of NULL 0 */
SOS_API const char *sos_map_key(const struct sos_map *map,
                                size_t index); /* NULL: a list, or none */

/* JSON. Integers stay exact to 64 bits (text to payload: signed), bytes become base64. The texts
 * are freed by free(). SOS_INVALID names the place; a key that is there twice is refused. */
SOS_API int sos_map_from_json(struct sos_map **map_p, const char *json, struct sos_error *error);
SOS_API char *sos_map_to_json(const struct sos_map *map); /* NULL: out of memory */
/* Any JSON value. The payload is freed by sos_bytes_free(). */
SOS_API int sos_json_to_payload(const char *json, struct sos_bytes *payload,
                                struct sos_error *error);
SOS_API int sos_payload_to_json(struct sos_bytes payload, char **json_p, struct sos_error *error);
/* One text alone as a payload, freed by sos_bytes_free(). */
SOS_API int sos_text_to_payload(const char *text, struct sos_bytes *payload,
                                struct sos_error *error);

/* ---- connecting */

struct sos;

enum sos_state {
    SOS_CONNECTING, /* not yet, or not any more; it goes on trying */
    SOS_CONNECTED,
    SOS_REFUSED /* the broker said no for good */
};

/* All optional; zero-initialise: struct sos_options options = {0};
 *
 * Whom to be, the first of these that is given counts:
 *   1. connection_file: what `sos agent new` wrote
 *   2. endpoint, broker_public_key, identity, public_key, secret_key: all five
 *   3. name ("kasra" or "agent:kasra", "user:operator", "service:memory") in the home `home`, or
 *      else $SOS_HOME, or else ~/.sos
 *   4. $SOS_CONNECTION: a connection file
 *   5. $SOS_AGENT: a name, as 3
 * Key files must be readable by their owner alone. */
struct sos_options {
    const char *connection_file;
    const char *endpoint; /* tcp://127.0.0.1:6066 */
    const char *broker_public_key;
    const char *identity;
    const char *public_key;
    const char *secret_key;
    const char *home;
    const char *name;

    int timeout_ms;        /* for the first connection; 0: 5000; -1: does not wait for it at all */
    int close_ms;          /* how long sos_close() waits for what is unacknowledged; 0: 1000 */
    uint32_t calls_max;    /* calls that wait for their answer; 0: 4096 */
    uint32_t sends_max;    /* messages and events on their way out; 0: 4096 */
    size_t send_bytes_max; /* their bytes; 0: 64 MiB */
    uint32_t inbox_window; /* messages held unacknowledged, 1 to 1024; 0: 256 */
    uint32_t lease_ms;     /* a process that hangs loses its messages after it; 0: 10000 */
    uint32_t heartbeat_ms; /* 0: as the broker says */

    /* After every change of state, in sos_poll(). */
    void (*on_state)(void *context, enum sos_state state);
    /* What the library has to tell, one line of JSON with its level ("warn"). Called on the
     * background thread: it must neither block nor call the library. NULL: told to nobody. */
    void (*on_log)(void *context, const char *level, const char *line);
    void *context; /* of both */
    void *reserved[8];
};

/* Connects, as options say (NULL: all zero). Waits until the broker has welcomed this identity; the
 * error tells what is wrong: file and member of a connection file that cannot be used
 * (SOS_VALIDATION, SOS_NOT_FOUND, SOS_FORBIDDEN), a key that the broker does not know
 * (SOS_UNAUTHORIZED), nobody there (SOS_UNAVAILABLE). */
SOS_API int sos_connect(struct sos **sos_p, const struct sos_options *options,
                        struct sos_error *error);

/* Ends the client: threads that wait in its functions return with SOS_CANCELLED, what was sent or
 * acknowledged gets close_ms to be confirmed, callbacks of calls and messages that did not end run
 * now, on this thread, with SOS_CANCELLED. No other call may begin once it was called. Messages,
 * requests, streams and subscriptions that are left may be ended afterwards, which then does no
 * more than free them. Not from a callback. */
SOS_API void sos_close(struct sos **sos_p);

SOS_API enum sos_state sos_state(struct sos *sos);
SOS_API const char *sos_identity(struct sos *sos); /* who this is: "agent:kasra" */

/* Waits until everything that was sent, published and acknowledged so far has left and was
 * confirmed. SOS_TIMEOUT when it was not by then; it goes on. */
SOS_API int sos_flush(struct sos *sos, int timeout_ms, struct sos_error *error);

/* ---- running callbacks */

/* Runs callbacks that are due; waits for the first. SOS_NOTHING: none came. SOS_CANCELLED: stopped.
 */
SOS_API int sos_poll(struct sos *sos, int timeout_ms, struct sos_error *error);
/* Runs callbacks until sos_stop(): then SOS_OK; or until the broker refuses this client for good:
 * then why. */
SOS_API int sos_run(struct sos *sos, struct sos_error *error);
/* Ends sos_run() and sos_poll() on all threads, now and later, and every function that waits
 * without end (-1), with SOS_CANCELLED. May be called from a signal handler. */
SOS_API void sos_stop(struct sos *sos);
/* Readable while sos_poll() has something to run, for a loop of your own. Do not read from it. */
SOS_API int sos_fd(struct sos *sos);

/* ---- calls: ask a service */

struct sos_call {
    const char *target; /* "service:memory" */
    const char *type;   /* message type: "memory_query" */
    struct sos_bytes payload;
    uint32_t timeout_ms;         /* 0: 30000; at most 600000 */
    bool idempotent;             /* may be made again after a lost connection */
    bool write;                  /* changes state (for who watches the bus) */
    const char *capability;      /* token (its JSON) or id; NULL: none */
    const char *idempotency_key; /* NULL: none */
    const char *trace;           /* W3C traceparent, or 32 hexadecimal digits; NULL: none */
    void *reserved[4];
};

/* Waits for the answer, which the caller frees by sos_bytes_free(); reply may be NULL. The status
 * of a service that refused is returned, its words in error. */
SOS_API int sos_call(struct sos *sos, const struct sos_call *call, struct sos_bytes *reply,
                     struct sos_error *error);

/* error is NULL when the call succeeded; both are borrowed. */
typedef void sos_reply_fn(void *context, const struct sos_error *error, struct sos_bytes reply);
/* Does not wait: exactly one on_reply follows in sos_poll(), when this returned SOS_OK. id may be
 * NULL. */
SOS_API int sos_call_async(struct sos *sos, const struct sos_call *call, sos_reply_fn *on_reply,
                           void *context, struct sos_id *id, struct sos_error *error);
/* Ends it: on_reply gets SOS_CANCELLED. Nothing when it has ended already. */
SOS_API void sos_cancel(struct sos *sos, const struct sos_id *id);

/* ---- streams: an answer in many parts */

struct sos_stream;

SOS_API int sos_stream_open(struct sos *sos, const struct sos_call *call,
                            struct sos_stream **stream_p, struct sos_error *error);
/* The next part, freed by sos_bytes_free(). SOS_NOTHING: none came in time. SOS_END: all came. The
 * producer is kept from running ahead. */
SOS_API int sos_stream_next(struct sos_stream *stream, int timeout_ms, struct sos_bytes *part,
                            struct sos_error *error);
/* What the service said at the end; empty before SOS_END. */
SOS_API struct sos_bytes sos_stream_reply(const struct sos_stream *stream);
/* Cancels it when it has not ended. */
SOS_API void sos_stream_close(struct sos_stream **stream_p);

/* ---- durable messages: sending
 *
 * A message goes into an inbox ("agent:river", "user:ana") or to every member of a squad
 * ("squad:engineering"), and is there when this says SOS_OK: on the broker's disk. It waits until
 * its receiver comes. */

struct sos_message {
    const char *to;
    const char *type; /* what kind of message this is, for the receiver; NULL: "message" */
    struct sos_bytes payload;
    struct sos_id id; /* none: a new one. The same id is stored once, however often it is sent */
    struct sos_id in_reply_to; /* the message that this one answers */
    uint32_t ttl_ms;           /* dropped when it was not taken within; 0: never */
    uint64_t deliver_at_us;    /* not before (microseconds since 1970); 0: at once */
    uint32_t timeout_ms;       /* for the acknowledgement; 0: 30000, at most 100000 */
    const char *capability;
    const char *trace;
    void *reserved[4];
};

struct sos_receipt {
    struct sos_id id;
    uint64_t copies; /* inboxes that got it; 0: it was there already, nothing was added */
};

/* Waits until it is on disk. SOS_QUOTA_EXCEEDED word "inbox_full", and so on: see the table of
 * errors of bus.send. SOS_TIMEOUT and SOS_UNKNOWN_OUTCOME: it may be there or not; sending it again
 * under the same id is safe. */
SOS_API int sos_send(struct sos *sos, const char *to, const char *type, struct sos_bytes payload,
                     struct sos_error *error);
/* receipt may be NULL. */
SOS_API int sos_send_message(struct sos *sos, const struct sos_message *message,
                             struct sos_receipt *receipt, struct sos_error *error);

typedef void sos_sent_fn(void *context, const struct sos_error *error,
                         const struct sos_receipt *receipt);
/* Does not wait. Messages of one client to one inbox stay in order. on_sent (may be NULL) follows
 * exactly once in sos_poll() when this returned SOS_OK. id may be NULL. */
SOS_API int sos_send_async(struct sos *sos, const struct sos_message *message, sos_sent_fn *on_sent,
                           void *context, struct sos_id *id, struct sos_error *error);

/* ---- durable messages: the own inbox
 *
 * A message is held from when it comes until it is ended: acknowledged (handled), given back (it
 * comes again after 1, 2, 4 s) or rejected (a dead letter). While the process lives the broker is
 * told so, for as long as it takes. Several processes of one identity share the inbox. */

struct sos_mail;

/* The next message. The first call opens the inbox. */
SOS_API int sos_receive(struct sos *sos, int timeout_ms, struct sos_mail **mail_p,
                        struct sos_error *error);
/* The same by callback, which owns the message and ends it, at once or later. NULL: no more. */
typedef void sos_mail_fn(void *context, struct sos_mail *mail);
SOS_API int sos_on_mail(struct sos *sos, sos_mail_fn *on_mail, void *context,
                        struct sos_error *error);
/* Messages that were not handed out go back, untried. */
SOS_API int sos_inbox_close(struct sos *sos, struct sos_error *error);

SOS_API const struct sos_id *sos_mail_id(const struct sos_mail *mail);
SOS_API const char *sos_mail_from(const struct sos_mail *mail);
SOS_API const char *sos_mail_to(const struct sos_mail *mail); /* the inbox, or the squad */
SOS_API const char *sos_mail_type(const struct sos_mail *mail);
SOS_API struct sos_bytes sos_mail_payload(const struct sos_mail *mail);
/* The payload as a map, owned by the message; NULL: it is none. */
SOS_API const struct sos_map *sos_mail_map(struct sos_mail *mail);
/* The payload when it is one text, owned by the message; NULL: it is none. */
SOS_API const char *sos_mail_text(struct sos_mail *mail);
SOS_API const struct sos_id *sos_mail_in_reply_to(const struct sos_mail *mail);
SOS_API uint32_t sos_mail_attempt(const struct sos_mail *mail); /* from 1 */
SOS_API uint64_t sos_mail_sent_us(const struct sos_mail *mail); /* the sender's clock */
SOS_API uint64_t sos_mail_seq(const struct sos_mail *mail);     /* its number in the inbox */
SOS_API uint32_t sos_mail_ttl_ms(const struct sos_mail *mail);  /* what was left; 0: no end */
SOS_API struct sos_bytes sos_mail_metadata(const struct sos_mail *mail);
SOS_API const char *sos_mail_trace(const struct sos_mail *mail); /* W3C traceparent, or "" */

/* Handled. Does not wait; what is acknowledged here is not handed out by this process again.
 * sos_flush() waits until the broker has written it down. */
SOS_API int sos_mail_ack(struct sos_mail **mail_p, struct sos_error *error);
/* Not handled: comes again after delay_ms (-1: as the broker's schedule says), four times at most.
 * reason (may be NULL) is kept with the dead letter. */
SOS_API int sos_mail_nack(struct sos_mail **mail_p, const char *reason, int delay_ms,
                          struct sos_error *error);
/* Will never be handled: becomes a dead letter at once. */
SOS_API int sos_mail_reject(struct sos_mail **mail_p, const char *reason, struct sos_error *error);
/* sos_mail_nack() without words. */
SOS_API void sos_mail_release(struct sos_mail **mail_p);
/* Answers it with a message to its sender, and waits until that is on disk; the message itself is
 * still to be ended. Answering twice stores one answer. */
SOS_API int sos_mail_reply(struct sos_mail *mail, const char *type, struct sos_bytes payload,
                           struct sos_error *error);

/* Sends a message and waits for the message that answers it, which is taken out of the inbox for
 * this. timeout_ms 0: 30000. SOS_TIMEOUT: no answer so far; one that comes later is in the inbox.
 * The caller ends the answer as any message. */
SOS_API int sos_ask(struct sos *sos, const struct sos_message *message, int timeout_ms,
                    struct sos_mail **answer_p, struct sos_error *error);

/* ---- channels
 *
 * What is published goes to who is subscribed at that moment; the channel keeps the last 1,000
 * events for who comes back. A channel is "squad:engineering", "guild:…", or an identity with a
 * topic: "agent:kasra:events". */

struct sos_publication {
    const char *channel;
    const char *type; /* NULL: "message" */
    struct sos_bytes payload;
    uint32_t timeout_ms; /* 0: 10000 */
    const char *capability;
    const char *trace;
    void *reserved[4];
};

/* Waits until the broker has passed it on. seq (may be NULL): the event's number. */
SOS_API int sos_publish(struct sos *sos, const char *channel, const char *type,
                        struct sos_bytes payload, uint64_t *seq, struct sos_error *error);
SOS_API int sos_publish_message(struct sos *sos, const struct sos_publication *publication,
                                uint64_t *seq, struct sos_error *error);
/* Does not wait and is not confirmed: what is under way when the connection breaks, or refused, is
 * gone. For many events. */
SOS_API int sos_publish_async(struct sos *sos, const struct sos_publication *publication,
                              struct sos_error *error);

struct sos_event;
struct sos_subscription;

SOS_API const char *sos_event_channel(const struct sos_event *event);
/* Grows by one in its channel, and leaps when the broker is started anew. */
SOS_API uint64_t sos_event_seq(const struct sos_event *event);
SOS_API const char *sos_event_from(const struct sos_event *event);
SOS_API const char *sos_event_type(const struct sos_event *event);
SOS_API struct sos_bytes sos_event_payload(const struct sos_event *event);
/* The payload as a map, owned by the event; NULL: it is none. */
SOS_API const struct sos_map *sos_event_map(struct sos_event *event);
SOS_API const char *sos_event_text(struct sos_event *event); /* as sos_mail_text() */
SOS_API const struct sos_id *sos_event_id(const struct sos_event *event);
SOS_API uint64_t sos_event_sent_us(const struct sos_event *event);
SOS_API struct sos_bytes sos_event_metadata(const struct sos_event *event);
SOS_API const char *sos_event_trace(const struct sos_event *event);
/* Events of its channel that were lost between the one before it and this one. What a broker that
 * crashed took with it cannot be counted: 0 then. */
SOS_API uint64_t sos_event_missed(const struct sos_event *event);
SOS_API void sos_event_free(struct sos_event **event_p);

/* The callback owns the event. */
typedef void sos_event_fn(void *context, struct sos_event *event);

struct sos_subscribe_options {
    const char *channel; /* or a pattern: "squad:*", "agent:*:events"; * also matches colons */
    bool history;        /* not of a pattern: first what the channel keeps, above number `after` */
    uint64_t after;
    uint32_t queue_max;     /* events that wait to be taken; 0: 1024 */
    sos_event_fn *on_event; /* NULL: they are taken by sos_next_event() */
    void *context;
    const char *capability;
    uint32_t timeout_ms; /* for the broker's answer; 0: 10000 */
    void *reserved[4];
};

/* Waits until the broker has agreed. */
SOS_API int sos_subscribe(struct sos *sos, const char *channel,
                          struct sos_subscription **subscription_p, struct sos_error *error);
SOS_API int sos_subscribe_with(struct sos *sos, const struct sos_subscribe_options *options,
                               struct sos_subscription **subscription_p, struct sos_error *error);
/* The next event, freed by sos_event_free(). A refusal after a reconnection (a right that ended) is
 * returned here. */
SOS_API int sos_next_event(struct sos_subscription *subscription, int timeout_ms,
                           struct sos_event **event_p, struct sos_error *error);
/* No callback of it begins once this has returned; one that runs on another thread may be running
 * still. */
SOS_API void sos_unsubscribe(struct sos_subscription **subscription_p);

/* What a channel keeps, oldest first: at most limit (0: 100, at most 1000) events above number
 * `after`; after 0: the newest ones. */
struct sos_history;
SOS_API int sos_history_read(struct sos *sos, const char *channel, uint64_t after, uint32_t limit,
                             struct sos_history **history_p, struct sos_error *error);
SOS_API size_t sos_history_count(const struct sos_history *history);
SOS_API struct sos_event *sos_history_at(struct sos_history *history, size_t index); /* borrowed */
SOS_API void sos_history_free(struct sos_history **history_p);

/* ---- tap: what passes the broker
 *
 * capability: a token for bus:tap @ bus:*. filters: a map as docs/PROTOCOL.md has it ("source",
 * "type", …), or nothing. Parts are maps {dropped, records: […]}. It goes on, also after a lost
 * connection, until it is closed. */
SOS_API int sos_tap(struct sos *sos, const char *capability, struct sos_bytes filters,
                    struct sos_stream **stream_p, struct sos_error *error);

/* ---- serving: answer requests
 *
 * An identity service:<name> announces itself as an instance of that service, and gets what is
 * called there (sos_call). Any other identity answers the messages in its inbox (sos_ask): the
 * reply is a message back, and the request is acknowledged when that is on disk. */

struct sos_request;

struct sos_service {
    bool single;           /* only one instance may live; a second waits for its end */
    uint32_t requests_max; /* that are handed out and not answered; 0: 64 */
    void *reserved[4];
};

/* The callback owns the request and ends it, at once or later, by sos_reply() or sos_refuse(). */
typedef void sos_request_fn(void *context, struct sos_request *request);
/* service may be NULL. Of a service: waits until the broker has agreed. SOS_TIMEOUT: it has not
 * after 10 s (another instance lives); it goes on trying. */
SOS_API int sos_serve(struct sos *sos, const struct sos_service *service,
                      sos_request_fn *on_request, void *context, struct sos_error *error);

SOS_API const struct sos_id *sos_request_id(const struct sos_request *request);
SOS_API const char *sos_request_from(const struct sos_request *request);
/* On whose behalf, when that is somebody else: from the gateway; else "". */
SOS_API const char *sos_request_principal(const struct sos_request *request);
SOS_API const char *sos_request_type(const struct sos_request *request);
SOS_API const char *sos_request_capability(const struct sos_request *request);
SOS_API const char *sos_request_trace(const struct sos_request *request);
SOS_API struct sos_bytes sos_request_payload(const struct sos_request *request);
/* The payload as a map, owned by the request; NULL: it is none. */
SOS_API const struct sos_map *sos_request_map(struct sos_request *request);
SOS_API const char *sos_request_text(struct sos_request *request); /* as sos_mail_text() */
SOS_API bool sos_request_wants_stream(const struct sos_request *request);
/* Does nobody wait for the answer any more? */
SOS_API bool sos_request_is_cancelled(const struct sos_request *request);

/* The answer; does not wait. SOS_TOO_LARGE: it does not fit a record (256 KiB); the request is then
 * still there to be refused, or answered with less. */
SOS_API int sos_reply(struct sos_request **request_p, struct sos_bytes result,
                      struct sos_error *error);
/* status: above 1000. word (NULL: the status's) for programs, message for people. */
SOS_API int sos_refuse(struct sos_request **request_p, int status, const char *word,
                       const char *message, struct sos_error *error);
/* One part of the answer (at most 64 KiB) to a request that wants a stream; waits until the
 * requester takes more. SOS_CANCELLED: nobody does any more. */
SOS_API int sos_reply_part(struct sos_request *request, struct sos_bytes part, int timeout_ms,
                           struct sos_error *error);

#ifdef __cplusplus
}
#endif

#endif
