/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/dispatch.h - the actor without its sockets: records and events in, replies, calls
 * and commits out through a port.
 *
 * Life of a request: dispatch_message() queues it -> dispatch_run() validates, authorises, runs the
 * handlers of everything that waits, and hands their writes to the port as one batch ->
 * dispatch_committed() applies the rows to the state and lets replies and effects go. While a
 * commit is under way no handler runs but for HTTP_DATA; records go on being taken in.
 *
 * One thread. Port functions are called from within; they must not call back before they return. */
#ifndef SOS_RUNTIME_DISPATCH_H
#define SOS_RUNTIME_DISPATCH_H

#include "actors/runtime/audit_trail.h"
#include "actors/runtime/idempotency.h"
#include "actors/runtime/request.h"
#include "actors/runtime/service.h"
#include "kernel/capability.h"

struct dispatch;

struct dispatch_call {
    const char *service;
    const char *type;
    struct bytes payload;
    uint32_t ttl_ms;
    const struct trace *trace;
    struct text capability;
    struct text principal;
    const char *idempotency_key; /* NULL: none */
};

/* How dispatch reaches the world. handle comes back with the event that ends it. */
struct dispatch_port {
    void *context;
    enum status (*reply)(void *context, const struct peer_origin *origin, enum status status,
                         struct bytes payload, struct error *error);
    enum status (*chunk)(void *context, const struct peer_origin *origin, uint64_t seq,
                         struct bytes payload, struct error *error);
    uint32_t (*stream_credit)(void *context);
    /* Not OK: nothing was started, no event comes. */
    enum status (*call)(void *context, const struct dispatch_call *call,
                        struct continuation *handle, struct uuid *id, struct error *error);
    void (*cancel_call)(void *context, struct continuation *handle); /* no event comes any more */
    enum status (*http)(void *context, const struct outcome_http *http, struct continuation *handle,
                        struct transfer **transfer, struct error *error);
    void (*abort_http)(void *context, struct transfer *transfer);
    /* The batch stays as it is until dispatch_committed(). With has_trail an empty one asks that
     * all entries which wait are appended; a service without a store has batches too, of entries
     * alone. */
    void (*commit)(void *context, const struct store_batch *batch);
    /* The same for a copy of the store; it too ends with dispatch_committed(). */
    void (*checkpoint)(void *context, const char *folder);
};

/* 0: the default. */
struct dispatch_limits {
    size_t requests_max;      /* alive at once: 4096 */
    size_t request_bytes_max; /* their copies: 64 MiB */
    struct idempotency_limits idempotency;
};

struct dispatch_options {
    const struct service *service;
    struct store *store; /* borrowed; NULL when the service has none */
    const char *home;    /* borrowed; may be NULL */
    bool has_trail;      /* the port's commits append audit entries, and dispatch_audited() hears of
                            it; else they stay in the store */
    const struct config *config;
    const struct clock *clock;
    const struct logger *logger;
    const struct ed25519_public_key *capability_keys; /* copied */
    size_t capability_key_count;
    bool require_capabilities;
    struct dispatch_port port;
    struct dispatch_limits limits;
};

/* Loads the state from the store. An error names the row that cannot be loaded. */
enum status dispatch_new(struct dispatch **dispatch_p, const struct dispatch_options *options,
                         struct error *error);
/* Ends every request without an answer, aborts their calls. No commit may be under way. */
void dispatch_destroy(struct dispatch **dispatch_p);

/* A request, cancel, credit, or the broker's word about revoked capabilities or another policy.
 * Anything else is ignored. health_check and metrics are answered at once; store_checkpoint
 * {folder} (of user:operator alone) between two commits. */
void dispatch_message(struct dispatch *dispatch, const struct message *message);

/* Events of started continuations; each but HTTP_DATA comes once and ends its handle. Payloads are
 * copied. */
void dispatch_answer(struct dispatch *dispatch, struct continuation *handle, enum status status,
                     struct bytes payload);
void dispatch_http_data(struct dispatch *dispatch, struct continuation *handle, long http_status,
                        struct bytes piece);
void dispatch_http_done(struct dispatch *dispatch, struct continuation *handle, enum status status,
                        const struct error *error, long http_status, struct bytes body);

/* What became of the audit entries of the port's commit; before dispatch_committed(). */
void dispatch_audited(struct dispatch *dispatch, const struct audit_report *report);

/* The result of the port's commit or checkpoint, whichever is under way. */
void dispatch_committed(struct dispatch *dispatch, enum status status, const struct error *error);

/* Fires timers and runs one batch of what waits. True: more is waiting and can run now. */
bool dispatch_run(struct dispatch *dispatch);
uint64_t dispatch_deadline_us(const struct dispatch *dispatch); /* call dispatch_run() by then */
bool dispatch_is_committing(const struct dispatch *dispatch);

/* The session with the broker is gone: nobody waits for the answers of what runs. */
void dispatch_session_lost(struct dispatch *dispatch);

/* Further requests are answered UNAVAILABLE, so are those that have not begun. */
void dispatch_stop(struct dispatch *dispatch);

/* Set when the state could not be loaded again after a failed commit: nothing can be served. NULL:
 * all is well. */
const struct error *dispatch_failure(const struct dispatch *dispatch);

struct context *dispatch_context(struct dispatch *dispatch); /* for tests of services */
size_t dispatch_request_count(const struct dispatch *dispatch);

#endif
