/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/service.h - what a service is: a contract, handlers, and a state that is the
 * fold of its stored rows.
 *
 * The runtime validates each request against the contract and checks its capability before a
 * handler runs. A handler reads through its context, and records its effects in the outcome: a
 * reply, writes, calls to other services, HTTP requests, chunks, timers. The runtime commits the
 * writes of a whole batch of requests at once (one fsync) and lets the replies leave after it. A
 * handler that returns something else than OK or PENDING is rolled back (its writes vanish) and
 * answered with that status and error.
 *
 * In-memory state changes only in apply(), which sees every row after it is durable, and every
 * row of the store at start. So state and disk cannot disagree, and a failed commit is
 * repaired by throwing the state away and loading it again. What the policy says is the one
 * exception: it is handed over, and after that again.
 *
 * Everything here runs on the actor's one thread. Handlers never block. */
#ifndef SOS_RUNTIME_SERVICE_H
#define SOS_RUNTIME_SERVICE_H

#include "kernel/audit.h"
#include "kernel/clock.h"
#include "kernel/config.h"
#include "kernel/constraints.h"
#include "kernel/contract.h"
#include "kernel/log.h"
#include "kernel/message.h"
#include "kernel/metrics.h"
#include "kernel/trace.h"
#include "store/store.h"

struct context; /* reading: state, store through the batch's own writes, time, settings */
struct outcome; /* effects of the running handler */
struct request; /* one request, alive until it is answered */

/* ---- the request */

/* Copies: valid as long as the request is. */
const struct arguments *request_arguments(const struct request *request);
struct text request_source(const struct request *request);
struct text
request_principal(const struct request *request); /* the source when nobody else is named */
const struct uuid *request_id(const struct request *request);
const struct trace *request_trace(const struct request *request);
bool request_wants_stream(const struct request *request); /* the caller takes chunks */
/* The token that it shows, checked only where its operation needs one; may be empty. */
struct text request_capability(const struct request *request);
/* What the token that allows this request is constrained to; none of it when none was needed. The
 * runtime itself has seen to agent_id, rate_limit and, where the operation has a field "limit",
 * max_results: that field holds no more than allowed. */
const struct constraints *request_constraints(const struct request *request);
/* Was a token needed or shown, and found good? False: it was allowed without one. */
bool request_is_by_token(const struct request *request);

/* What a handler that awaits something keeps between its steps. The runtime frees it with the
 * request (answered, cancelled, or the actor stops). It must not point into the state: that is made
 * anew after a failed commit, while the request lives on. */
void request_set_progress(struct request *request, void *progress, void (*destroy)(void *progress));
void *request_progress(const struct request *request);

/* ---- handlers */

typedef enum status handler_fn(struct context *context, struct request *request,
                               struct outcome *outcome, struct error *error);

/* OK: the reply stands in the outcome (an empty one is an empty map); calls, HTTP requests and
 * timers that still run are stopped, and recording new ones with it is INTERNAL. PENDING: at least
 * one call, HTTP request or timer was recorded or still runs, and resumes the request. What was
 * recorded starts when the writes of this step are on disk.
 * Anything else: refused with error. Words of INTERNAL and STORE_FAILED go to the log only. */

/* A row a service fills per operation: the generated MEMORY_OPERATIONS(X) names each handler once.
 */
struct handler {
    unsigned operation; /* OP_MEMORY_STORE */
    handler_fn *run;
};

/* A token that was delegated or has counted uses, about to be used. */
struct capability_use {
    struct text capability; /* the token */
    const struct uuid *request_id;
    struct text action;
    struct text resource; /* empty where only the handler can name it */
    struct text subject;  /* whom the call acts for; may be empty */
};

/* What the policy in force says (service:identity, operation `policy`), views into its answer. Look
 * with value_find_bool() and value_find_uint(): a name that is absent is not limited by it. */
struct edition_policy {
    struct text edition;
    struct value features; /* map: name -> boolean */
    struct value quotas;   /* map: name -> whole number */
};

struct service {
    const struct contract *contract;
    const struct handler *handlers; /* every operation, indexed by operation */
    size_t handler_count;
    bool has_store;
    uint32_t schema; /* of the rows; see store_open */

    /* Makes an empty state. NULL functions are allowed for services without state. */
    enum status (*state_new)(void **state_p, const struct config *config, struct metrics *metrics,
                             struct error *error);
    void (*state_destroy)(void **state_p);
    /* One durable row; deleted: value is empty. An error at start refuses to serve, naming the row.
     */
    enum status (*apply)(void *state, store_space space, struct bytes key, struct bytes value,
                         bool deleted, struct error *error);
    /* After all rows were applied at start, before `ready`. May be NULL. */
    enum status (*loaded)(struct context *context, struct error *error);
    /* Adds entries to the health answer's checks map (name -> "ok" or words); returns
     * how many pairs it packed. degraded: set to true when not everything is well. May be NULL. */
    uint32_t (*health)(struct context *context, struct buffer *checks, bool *degraded);
    /* Called about once a second for housekeeping; may write through the outcome. May be NULL. */
    void (*tick)(struct context *context, struct outcome *outcome);
    /* The message type of an operation that the runtime asks for by itself, as this service, at
     * start and then every routine_ms (which is also its deadline): for work that calls other
     * services without being asked. One at a time; the answer is dropped, a failure logged as any
     * other. May be NULL. */
    const char *routine;
    uint32_t routine_ms;
    /* Of service:identity alone: decides what all others ask it for by `capability_use`, when the
     * use is one of its own operations. Its writes are on disk before the handler runs. NULL: the
     * runtime asks service:identity. */
    enum status (*use_capability)(struct context *context, const struct capability_use *use,
                                  struct outcome *outcome, struct error *error);
    /* Takes features and quotas into the state: the one change of it that comes from no row, and
     * may come while a commit is under way. service:identity is asked at start, when the broker
     * says that another policy is in force, every 30 s, and 1 s after it did not answer. Called
     * when the answer is another one than before, and with the last one behind a state that was
     * made anew. Requests do not wait for it: until the first answer the state's own defaults
     * count. An answer that cannot be read is logged and changes nothing. May be NULL. */
    void (*policy)(struct context *context, const struct edition_policy *policy);
};

/* ---- the context */

void *context_state(const struct context *context);
struct now context_now(const struct context *context);
/* What the clock says this moment: to measure how long something takes, never to decide. */
struct now context_clock(const struct context *context);
const struct config *context_config(const struct context *context);
/* The swarm's folder; NULL: there is none (tests). */
const char *context_home(const struct context *context);
/* Appends a capability for the service itself, signed with the home's River key and good for a
 * minute: for calls in its own name. UNAVAILABLE: there is no such key. Reads a small file. */
enum status context_own_capability(const struct context *context, const char *action,
                                   const char *resource, struct buffer *token, struct error *error);
const struct logger *context_logger(const struct context *context);
struct metrics *context_metrics(const struct context *context);
struct uuid context_uuid(struct context *context); /* a new UUIDv7 */
struct store *
context_store(const struct context *context); /* sizes, statistics; read rows by the two below */
/* Reads see the writes of this batch. Appends to out. */
enum status context_get(struct context *context, store_space space, struct bytes key,
                        struct buffer *out, struct error *error);
/* As store_scan, with this batch's writes merged in. What row itself writes is not seen by this
 * scan. */
enum status context_scan(struct context *context, store_space space, struct bytes prefix,
                         bool reverse, store_row_fn *row, void *row_context, struct error *error);

/* ---- the outcome. Out of memory shows as NOMEM when the handler returns. */

/* Pack the result (one msgpack value) into this buffer. */
struct buffer *outcome_reply(struct outcome *outcome);
void outcome_put(struct outcome *outcome, store_space space, struct bytes key, struct bytes value);
void outcome_delete(struct outcome *outcome, store_space space, struct bytes key);
void outcome_expect_absent(struct outcome *outcome, store_space space, struct bytes key);

/* A chunk of a streamed answer: one msgpack value. Leaves at once, before any commit: only for
 * what promises nothing. Waits in the request when the reader has no credit (bounded:
 * QUOTA_EXCEEDED cancels the request). */
void outcome_chunk(struct outcome *outcome, struct bytes payload);

/* Something that the audit trail has to tell, beside the entry that each request of an operation
 * flagged audited gets by itself. It commits with the step's writes and is then appended to the
 * trail. Of a step that is refused, entries with the outcome "ok" are dropped with its writes, all
 * others stay. Empty members are filled in: actor (the principal), trace, outcome ("ok"). Views are
 * copied. A step whose entries cannot be kept is STORE_FAILED, word "not_audited". */
void outcome_audit(struct outcome *outcome, const struct audit_entry *entry);

/* For operations flagged OPERATION_RESOLVES_RESOURCE: the handler hands over the resource that only
 * it can name ("memory:agent:kasra/<id>") and whom the call acts for ("" = any subject), before it
 * tells or changes anything. Signature, expiry and action were checked before the handler. Not OK:
 * return it. */
enum status request_authorise_resource(struct context *context, const struct request *request,
                                       struct text resource, struct text subject,
                                       struct error *error);

/* How a request goes on after it waited. */
struct event {
    enum event_type {
        EVENT_ANSWER,    /* of outcome_call */
        EVENT_HTTP_DATA, /* a piece of a body; may come many times */
        EVENT_HTTP_DONE, /* the whole answer is there, or it failed */
        EVENT_TIMER
    } type;
    unsigned tag;         /* as given to the call */
    enum status status;   /* ANSWER; HTTP_DONE: OK, TIMEOUT, UNAVAILABLE, TOO_LARGE … */
    struct error error;   /* when status != OK */
    struct bytes payload; /* ANSWER: the reply; HTTP_DATA: the piece; HTTP_DONE: the whole body when
                             not streamed */
    long http_status;     /* HTTP_* */
};

/* Same results as a handler. Chunks may be recorded in every event; writes and replies in any but
 * HTTP_DATA, which is served while a commit is under way: there OK means the same as PENDING. */
typedef enum status resume_fn(struct context *context, struct request *request,
                              const struct event *event, struct outcome *outcome,
                              struct error *error);

struct outcome_call {
    const char *service; /* "memory" */
    const char *type;    /* "memory_query" */
    struct bytes payload;
    uint32_t ttl_ms;             /* at most what the request has left */
    const char *idempotency_key; /* NULL: none */
    struct text capability;      /* empty: the request's */
    unsigned tag;
};
/* Principal, trace and capability of the request travel along. */
void outcome_call(struct outcome *outcome, const struct outcome_call *call, resume_fn *resume);

struct outcome_http {
    const char *method;
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; copied */
    struct bytes body;
    uint32_t timeout_ms;
    size_t answer_max; /* bytes; more is TOO_LARGE */
    bool stream;       /* HTTP_DATA events as bytes arrive (only while http_status is 2xx) */
    unsigned tag;
};
void outcome_http(struct outcome *outcome, const struct outcome_http *http, resume_fn *resume);
void outcome_timer(struct outcome *outcome, uint32_t delay_ms, unsigned tag, resume_fn *resume);

#endif
