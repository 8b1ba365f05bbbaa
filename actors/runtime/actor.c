/* SPDX-License-Identifier: Apache-2.0 */
/* The edge of dispatch: one thread that polls the broker's session, the host's pipe, the store's
 * thread and libcurl's sockets, and turns what it finds into events. */
#include "actors/runtime/actor.h"

#include <czmq.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "actors/runtime/commit.h"
#include "actors/runtime/dispatch.h"
#include "actors/runtime/fetch.h"
#include "sdk/c/peer.h"

struct actor {
    const struct service *service;
    struct connection connection;
    const struct clock *clock;
    const struct logger *logger;

    struct store *store;
    struct dispatch *dispatch;
    struct committer *committer;
    struct audit_trail *trail; /* NULL: no home, no trail */
    struct fetcher *fetcher;
    struct peer *peer;
    zactor_t *thread;

    bool stopping;
    bool started; /* written before the thread's first signal */
    bool has_failed;
    struct error failure; /* written before its last */
};

enum { ITEM_PEER, ITEM_MONITOR, ITEM_PIPE, ITEM_COMMIT, ITEM_HTTP };

/* ---- dispatch's port */

static enum status
port_reply(void *context, const struct peer_origin *origin, enum status status,
           struct bytes payload, struct error *error)
{
    struct actor *actor = context;
    return peer_reply(actor->peer, origin, status, payload, error);
}

static enum status
port_chunk(void *context, const struct peer_origin *origin, uint64_t seq, struct bytes payload,
           struct error *error)
{
    struct actor *actor = context;
    return peer_send_chunk(actor->peer, origin, seq, false, payload, error);
}

static uint32_t
port_stream_credit(void *context)
{
    struct actor *actor = context;
    return peer_stream_credit(actor->peer);
}

/* One per call in flight: the peer's callback has a single context. */
struct pending_call {
    struct dispatch *dispatch;
    struct continuation *handle;
};

static void
on_reply(void *context, const struct peer_answer *answer)
{
    struct pending_call *pending = context;
    struct dispatch *dispatch = pending->dispatch;
    struct continuation *handle = pending->handle;
    handle->port_data = NULL;
    free(pending);
    dispatch_answer(dispatch, handle, answer->status, answer->payload);
}

static uint32_t
flags_of(struct text service, struct text type)
{
    const struct contract *contract = contract_find(service);
    const struct operation *operation = contract ? contract_operation(contract, type) : NULL;
    uint32_t flags = 0;
    if (operation && operation->flags & (OPERATION_IDEMPOTENT | OPERATION_READ))
        flags |= MESSAGE_IDEMPOTENT;
    if (operation && operation->flags & OPERATION_WRITE)
        flags |= MESSAGE_WRITE;
    return flags;
}

/* docs/PROTOCOL.md: what the broker itself keeps is changed by control records. */
static enum kind
kind_of(struct text service, struct text type)
{
    bool control = text_starts_with(type, "key_") || text_equal_string(type, "capability_revoke") ||
                   text_equal_string(type, "policy_changed");
    return text_equal_string(service, "bus") && control ? KIND_CONTROL : KIND_REQUEST;
}

static enum status
port_call(void *context, const struct dispatch_call *call, struct continuation *handle,
          struct uuid *id, struct error *error)
{
    struct actor *actor = context;
    struct text service = text_of(call->service), type = text_of(call->type);
    char target[MESSAGE_NAME_MAX + 1];
    if (snprintf(target, sizeof target, "service:%s", call->service) >= (int)sizeof target) {
        error_set(error, "the name of the service is too long");
        return STATUS_INVALID;
    }
    struct pending_call *pending = malloc(sizeof *pending);
    if (!pending)
        return STATUS_NOMEM;
    *pending = (struct pending_call){actor->dispatch, handle};

    struct buffer metadata;
    buffer_init(&metadata);
    uint32_t flags = flags_of(service, type);
    if (call->idempotency_key) {
        flags |= MESSAGE_IDEMPOTENT;
        pack_map(&metadata, 1);
        pack_pair_string(&metadata, "idempotency_key", call->idempotency_key);
    }
    enum kind kind = kind_of(service, type);
    /* The broker obeys this service itself, and nobody is named who is the sender anyway. */
    bool own =
        kind == KIND_CONTROL || text_equal_string(call->principal, actor->connection.identity);
    const struct peer_request request = {.kind = kind,
                                         .target = text_of(target),
                                         .type = type,
                                         .payload = call->payload,
                                         .flags = flags,
                                         .ttl_ms = call->ttl_ms,
                                         .trace = call->trace,
                                         .capability = call->capability,
                                         .principal = own ? (struct text){0} : call->principal,
                                         .metadata = buffer_bytes(&metadata),
                                         .on_reply = on_reply,
                                         .context = pending};
    enum status status =
        metadata.failed ? STATUS_NOMEM : peer_call(actor->peer, &request, id, error);
    buffer_clear(&metadata);
    if (status == STATUS_OK)
        handle->port_data = pending;
    else
        free(pending);
    return status;
}

static void
port_cancel_call(void *context, struct continuation *handle)
{
    struct actor *actor = context;
    peer_cancel(actor->peer, &handle->call_id);
    free(handle->port_data);
    handle->port_data = NULL;
}

static enum status
port_http(void *context, const struct outcome_http *http, struct continuation *handle,
          struct transfer **transfer, struct error *error)
{
    struct actor *actor = context;
    return fetch_start(actor->fetcher, http, handle, transfer, error);
}

static void
port_abort_http(void *context, struct transfer *transfer)
{
    struct actor *actor = context;
    fetch_abort(actor->fetcher, transfer);
}

static void
port_commit(void *context, const struct store_batch *batch)
{
    struct actor *actor = context;
    committer_start(actor->committer, batch);
}

static void
port_checkpoint(void *context, const char *folder)
{
    struct actor *actor = context;
    committer_checkpoint(actor->committer, folder);
}

/* ---- events for dispatch */

static void
on_message(void *context, const struct message *message)
{
    struct actor *actor = context;
    dispatch_message(actor->dispatch, message);
}

static void
log_refusal(const struct actor *actor, const struct message *message)
{
    struct error error = ERROR_INIT;
    error_unpack(message->payload, &error);
    log_warn(actor->logger, "the broker refused a record: %s", error.message);
}

static void
on_bus(void *context, const struct message *message)
{
    struct actor *actor = context;
    if (message->kind == KIND_CONTROL)
        dispatch_message(actor->dispatch, message);
    else if (message->kind == KIND_ERROR)
        log_refusal(actor, message);
}

static void
fail(struct actor *actor, const struct error *error)
{
    if (actor->has_failed)
        return;
    actor->has_failed = true;
    actor->failure = *error;
}

static void
on_state(void *context, enum peer_state state)
{
    struct actor *actor = context;
    switch (state) {
    case PEER_CONNECTING:
        dispatch_session_lost(actor->dispatch);
        break;
    case PEER_READY:
        log_info(actor->logger, "ready");
        break;
    case PEER_REFUSED:
        fail(actor, peer_refusal(actor->peer));
        break;
    default:
        break;
    }
}

static void
on_http_data(void *context, void *handle, long http_status, struct bytes piece)
{
    struct actor *actor = context;
    dispatch_http_data(actor->dispatch, handle, http_status, piece);
}

static void
on_http_done(void *context, void *handle, enum status status, const struct error *error,
             long http_status, struct bytes body)
{
    struct actor *actor = context;
    dispatch_http_done(actor->dispatch, handle, status, error, http_status, body);
}

/* ---- the thread */

static enum status
open_session(struct actor *actor, struct error *error)
{
    const struct fetch_callbacks callbacks = {on_http_data, on_http_done, actor};
    enum status status = fetch_open(&actor->fetcher, &callbacks, error);
    if (status == STATUS_OK && (actor->store || actor->trail))
        status = committer_open(&actor->committer, actor->store, actor->trail, error);
    if (status != STATUS_OK)
        return status;

    struct peer_service service = {.name = actor->service->contract->service,
                                   .single = actor->service->contract->single,
                                   .has_store = actor->store != NULL};
    if (actor->store) {
        service.store_uuid = store_uuid(actor->store);
        service.store_epoch = store_epoch(actor->store);
    }
    const struct peer_options options = {.connection = &actor->connection,
                                         .service = &service,
                                         .callbacks = {.on_message = on_message,
                                                       .on_state = on_state,
                                                       .on_bus = on_bus,
                                                       .context = actor},
                                         .clock = actor->clock,
                                         .logger = actor->logger};
    return peer_open(&actor->peer, &options, error);
}

static void
take_pipe(struct actor *actor, zsock_t *pipe)
{
    char *command = zstr_recv(pipe);
    if (!command && errno == EINTR)
        return;
    zstr_free(&command); /* $TERM is the only one; NULL: the context ends */
    actor->stopping = true;
    dispatch_stop(actor->dispatch);
}

static long
wait_ms(const struct actor *actor, bool more)
{
    if (more)
        return 0;
    uint64_t now_us = clock_now(actor->clock).monotonic_us;
    uint64_t next_us = peer_deadline_us(actor->peer);
    uint64_t others[] = {dispatch_deadline_us(actor->dispatch), fetch_deadline_us(actor->fetcher)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i] < next_us)
            next_us = others[i];
    if (next_us <= now_us)
        return 0;
    uint64_t left_ms = (next_us - now_us + 999) / 1000;
    return left_ms > 1000 ? 1000 : (long)left_ms;
}

static void
commit_done(struct actor *actor, enum status status, const struct error *error)
{
    const struct audit_report *report = committer_report(actor->committer);
    if (report)
        dispatch_audited(actor->dispatch, report);
    dispatch_committed(actor->dispatch, status, error);
}

static void
take_commit(struct actor *actor)
{
    enum status status;
    struct error error;
    if (!actor->committer || !committer_take(actor->committer, &status, &error))
        return;
    commit_done(actor, status, &error);
    if (actor->store && store_has_failed(actor->store)) {
        error_wrap(&error, "the store takes no more writes until it is opened again");
        fail(actor, &error);
    }
}

static void
loop(struct actor *actor, zsock_t *pipe)
{
    zmq_pollitem_t items[ITEM_HTTP + FETCH_POLL_ITEMS_MAX];
    bool more = false;
    while (!actor->has_failed && (!actor->stopping || dispatch_is_committing(actor->dispatch))) {
        items[ITEM_PEER] =
            (zmq_pollitem_t){.socket = peer_socket(actor->peer), .events = ZMQ_POLLIN};
        items[ITEM_MONITOR] =
            (zmq_pollitem_t){.socket = peer_monitor(actor->peer), .events = ZMQ_POLLIN};
        items[ITEM_PIPE] = (zmq_pollitem_t){.socket = zsock_resolve(pipe), .events = ZMQ_POLLIN};
        items[ITEM_COMMIT] = actor->committer
                                 ? (zmq_pollitem_t){.socket = committer_socket(actor->committer),
                                                    .events = ZMQ_POLLIN}
                                 : (zmq_pollitem_t){.fd = -1};
        size_t http_count = fetch_poll_items(actor->fetcher, items + ITEM_HTTP);
        if (zmq_poll(items, (int)(ITEM_HTTP + http_count), wait_ms(actor, more)) < 0) {
            if (errno == EINTR)
                continue;
            struct error error = ERROR_INIT;
            error_set(&error, "zmq_poll: %s", zmq_strerror(errno));
            fail(actor, &error);
            break;
        }

        if (items[ITEM_PIPE].revents & ZMQ_POLLIN)
            take_pipe(actor, pipe);
        take_commit(actor);
        more = peer_process(actor->peer);
        fetch_process(actor->fetcher, items + ITEM_HTTP, http_count,
                      clock_now(actor->clock).monotonic_us);
        if (dispatch_run(actor->dispatch))
            more = true;
        peer_flush(actor->peer);
        if (dispatch_failure(actor->dispatch))
            fail(actor, dispatch_failure(actor->dispatch));
    }
}

static void
end_commit(struct actor *actor)
{
    enum status status;
    struct error error;
    while (dispatch_is_committing(actor->dispatch))
        if (committer_wait(actor->committer, &status, &error))
            commit_done(actor, status, &error);
}

/* The audit entries of the requests that ended just now. */
static void
end_last_commit(struct actor *actor)
{
    if (actor->has_failed)
        return;
    dispatch_run(actor->dispatch);
    end_commit(actor);
}

static void
run(zsock_t *pipe, void *args)
{
    struct actor *actor = args;
    struct error error = ERROR_INIT;
    sigset_t broken_pipe; /* OpenSSL writes to sockets without MSG_NOSIGNAL */
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL);
    enum status status = open_session(actor, &error);
    actor->started = status == STATUS_OK;
    if (!actor->started)
        actor->failure = error;
    zsock_signal(pipe, 0);
    if (actor->started) {
        loop(actor, pipe);
        if (actor->has_failed)
            log_error(actor->logger, "the actor ends: %s", actor->failure.message);
        /* A failure may come while a commit is under way: its batch belongs to dispatch. */
        end_commit(actor);
        dispatch_session_lost(actor->dispatch);
        end_last_commit(actor);
    }
    peer_close(&actor->peer);
    fetch_close(&actor->fetcher);
    committer_close(&actor->committer);
}

/* ---- the host's side */

static enum status
open_store(struct actor *actor, const struct actor_options *options, struct error *error)
{
    if (!options->service->has_store)
        return STATUS_OK;
    if (!options->store_folder)
        return store_open_memory(&actor->store, options->service->schema);
    enum status status = store_open(&actor->store, options->store_folder, options->service->schema,
                                    options->logger, error);
    if (status == STATUS_OK && options->config)
        store_set_reserve(actor->store, config_uint(options->config, OPTION_DISK_RESERVE));
    return status;
}

enum status
actor_start(struct actor **actor_p, const struct actor_options *options, struct error *error)
{
    struct actor *actor = calloc(1, sizeof *actor);
    if (!actor)
        return STATUS_NOMEM;
    actor->service = options->service;
    actor->connection = *options->connection;
    actor->clock = options->clock;
    actor->logger = options->logger;

    const char *name = options->service->contract->service;
    if (options->home) {
        actor->trail = audit_trail_new(options->home, name, options->clock, options->logger);
        if (!actor->trail) {
            free(actor);
            return STATUS_NOMEM;
        }
    }
    enum status status = open_store(actor, options, error);
    if (status != STATUS_OK) {
        error_wrap(error, "open the store of %s", name);
        goto fail;
    }
    const struct dispatch_options dispatch = {
        .service = options->service,
        .store = actor->store,
        .home = options->home,
        .has_trail = options->home != NULL,
        .config = options->config,
        .clock = options->clock,
        .logger = options->logger,
        .capability_keys = options->capability_keys,
        .capability_key_count = options->capability_key_count,
        .require_capabilities = options->require_capabilities,
        .port = {actor, port_reply, port_chunk, port_stream_credit, port_call, port_cancel_call,
                 port_http, port_abort_http, port_commit, port_checkpoint}};
    status = dispatch_new(&actor->dispatch, &dispatch, error);
    if (status != STATUS_OK) {
        error_wrap(error, "load the state of %s", name);
        goto fail;
    }
    actor->thread = zactor_new(run, actor);
    if (!actor->thread || !actor->started) {
        status = STATUS_UNAVAILABLE;
        if (error && actor->thread)
            *error = actor->failure;
        error_wrap(error, "start %s", name);
        goto fail;
    }
    *actor_p = actor;
    return STATUS_OK;

fail:
    actor_stop(&actor);
    return status;
}

void
actor_stop(struct actor **actor_p)
{
    struct actor *actor = *actor_p;
    if (!actor)
        return;
    zactor_destroy(&actor->thread);
    dispatch_destroy(&actor->dispatch);
    audit_trail_destroy(&actor->trail);
    store_close(&actor->store);
    connection_clear(&actor->connection);
    free(actor);
    *actor_p = NULL;
}

void *
actor_pipe(struct actor *actor)
{
    return zsock_resolve(actor->thread);
}

const struct error *
actor_failure(const struct actor *actor)
{
    return &actor->failure;
}
