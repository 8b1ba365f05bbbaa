/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/request.h - one request from its arrival to its answer, as the runtime sees it.
 *
 * Owned by dispatch. Everything that a record carried is copied: the frame is gone when the
 * handler runs. The public accessors stand in service.h. */
#ifndef SOS_RUNTIME_REQUEST_H
#define SOS_RUNTIME_REQUEST_H

#include <sys/queue.h>

#include "actors/runtime/service.h"
#include "kernel/authorise.h"
#include "kernel/timers.h"
#include "sdk/c/peer.h"

enum {
    REQUEST_CHUNK_BYTES_MAX = 256 * 1024, /* waiting for the reader's credit */
    IDEMPOTENCY_KEY_MAX = 255
};

struct transfer; /* fetch.h */

/* A recorded effect, and later what resumes its request: a call, an HTTP request or a timer. */
struct continuation {
    TAILQ_ENTRY(continuation) link;  /* of the outcome, then of the request */
    TAILQ_ENTRY(continuation) ready; /* of dispatch, once the event is there */
    enum continuation_type { CONTINUATION_CALL, CONTINUATION_HTTP, CONTINUATION_TIMER } type;
    bool started;
    bool is_ready;
    struct request *request;
    resume_fn *resume;
    unsigned tag;
    void *copies; /* the strings that call or http point to; secrets among them */
    size_t copies_size;
    struct outcome_call call;
    struct outcome_http http;
    uint32_t delay_ms;

    struct uuid call_id;
    void *port_data; /* the port's, from the call until its answer or its cancelling */
    struct transfer *transfer;
    struct timer timer;

    enum status status; /* of the event */
    struct error error;
    struct buffer payload;
    long http_status;
};

TAILQ_HEAD(continuations, continuation);

struct chunk {
    TAILQ_ENTRY(chunk) link;
    size_t size;
    uint8_t data[];
};

TAILQ_HEAD(chunks, chunk);

struct request {
    TAILQ_ENTRY(request) by_id;   /* hash chain */
    TAILQ_ENTRY(request) waiting; /* not dispatched yet */
    TAILQ_ENTRY(request) keyed;   /* running with an idempotency key */
    bool is_waiting;
    bool is_keyed;
    bool ended;           /* answered, cancelled or over: freed when no step is left */
    unsigned batch_steps; /* steps of it in the running batch */
    bool streams;

    struct peer_origin origin;
    struct trace trace; /* this service's span */
    struct text principal, capability, idempotency_key;
    struct bytes payload;
    size_t bytes; /* that it counts for against the limit */
    const struct operation *operation;
    handler_fn *run;
    struct arguments arguments;

    struct grounds grounds; /* what it is allowed by, once that was checked */
    bool is_confirmed;      /* service:identity has said yes to this use of the token */
    bool is_revoked;        /* the token was taken back meanwhile */

    uint64_t arrived_us;
    struct timer deadline;

    uint8_t idempotency_hash[32];
    uint8_t body_hash[32];

    void *progress;
    void (*progress_destroy)(void *progress);
    struct continuations continuations; /* started, not resumed yet */

    struct chunks chunks; /* waiting for credit */
    size_t chunk_count;
    size_t chunk_bytes; /* what they take, with their overhead */
    uint64_t chunk_seq;
    uint32_t credit;

    bool answered; /* the reply waits for the last chunk to leave */
    enum status reply_status;
    struct buffer reply;

    uint8_t copies[];
};

/* Copies what must be kept. VALIDATION: metadata holds an idempotency key of the wrong form; NOMEM.
 */
enum status request_make(struct request **request_p, const struct message *message,
                         const struct operation *operation, struct error *error);

/* Calls the progress' destroy. No continuation may be left. */
void request_destroy(struct request **request_p);

/* Drops chunks until only `keep` are left (a savepoint: those recorded last go). */
void request_drop_chunks(struct request *request, size_t keep);

/* Frees the first one. */
void request_take_chunk(struct request *request);

/* QUOTA_EXCEEDED beyond REQUEST_CHUNK_BYTES_MAX, TOO_LARGE beyond one chunk, NOMEM. */
enum status request_add_chunk(struct request *request, struct bytes payload, struct error *error);

void continuation_destroy(struct continuation **continuation_p);

#endif
