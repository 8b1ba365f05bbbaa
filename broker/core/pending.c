/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/pending.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/ask.h"
#include "broker/core/bus.h"
#include "broker/core/directory.h"
#include "broker/core/hold.h"
#include "broker/core/peers.h"
#include "broker/core/revoke.h"
#include "broker/core/tap.h"
#include "kernel/identity.h"

static struct bytes
id_key(const struct uuid *id)
{
    return (struct bytes){id->bytes, sizeof id->bytes};
}

struct request *
request_find(const struct core *core, const struct uuid *id)
{
    struct table_node *node = table_first(&core->requests, table_hash(&core->requests, id_key(id)));
    for (; node; node = table_next(node)) {
        struct request *request = CONTAINER_OF(node, struct request, node);
        if (uuid_equal(&request->id, id))
            return request;
    }
    return NULL;
}

static void
expire(void *context, void *owner)
{
    struct core *core = context;
    struct request *request = owner;
    struct error error = ERROR_INIT;
    if (!request->service) {
        error_set(&error, "%.*s was not done in time", TEXT_ARGS(request->type));
        request_fail(core, request, STATUS_TIMEOUT, &error);
        return;
    }
    if (request->waiting) {
        error_set(&error, "no instance of service:%.*s could take the request in time",
                  TEXT_ARGS(request->service->name));
        request_fail(core, request, STATUS_UNAVAILABLE, &error);
        return;
    }
    error_set(&error, "service:%.*s did not answer within %llu ms",
              TEXT_ARGS(request->service->name),
              (unsigned long long)((core->now.monotonic_us - request->arrived_us) / 1000));
    request_fail(core, request, STATUS_TIMEOUT, &error);
}

static uint32_t
budget_ms(uint32_t ttl_ms)
{
    if (ttl_ms == 0)
        return TTL_DEFAULT_MS;
    return ttl_ms < TTL_MAX_MS ? ttl_ms : TTL_MAX_MS;
}

static void
show_pending(struct core *core)
{
    metric_set(core->figures.pending, (double)core->requests.count);
}

struct request *
request_new(struct core *core, struct peer *peer, const struct message *message)
{
    struct request *request = calloc(1, sizeof *request + message->type.size + 1);
    if (!request)
        return NULL;
    if (message->type.size > 0)
        memcpy(request->type_bytes, message->type.data, message->type.size);
    request->type = (struct text){request->type_bytes, message->type.size};
    request->id = message->id;
    request->requester = peer;
    request->has_trace = message->trace.size == sizeof request->trace;
    if (request->has_trace)
        memcpy(request->trace, message->trace.data, sizeof request->trace);
    request->arrived_us = core->now.monotonic_us;
    request->deadline_us = core->now.monotonic_us + (uint64_t)budget_ms(message->ttl_ms) * 1000;
    request->idempotent = (message->flags & MESSAGE_IDEMPOTENT) != 0;
    request->ground = ground_keep(core);
    request->up.credit = core->options.stream_credit;
    if (message->flags & MESSAGE_STREAM)
        request->down.credit = core->options.stream_credit;
    else
        request->down.ended = true;
    timer_init(&request->timer, expire, request);
    list_append(&peer->requests, &request->peer_link);
    peer->request_count++;
    table_insert(&core->requests, &request->node,
                 table_hash(&core->requests, id_key(&request->id)));
    show_pending(core);
    return request;
}

void
request_assign(struct request *request, struct instance *instance)
{
    request->instance = instance;
    list_append(&instance->requests, &request->link);
    instance->in_flight++;
    list_remove(&instance->link); /* to the end: among equals they take turns */
    list_append(&instance->service->instances, &instance->link);
}

void
request_end(struct core *core, struct request *request)
{
    struct service *service = request->service;
    if (request->waiting)
        hold_leave(request);
    if (request->instance) {
        list_remove(&request->link);
        request->instance->in_flight--;
    }
    if (request->work_ops)
        request->work_ops->ended(core, request);
    hold_release(core, request);
    timers_remove(&core->timers, &request->timer);
    table_remove(&core->requests, &request->node);
    list_remove(&request->peer_link);
    request->requester->request_count--;
    free(request);
    show_pending(core);
    if (!service)
        return;
    hold_dispatch(core, service);
    directory_tidy(core, service);
}

static void
tell_instance(struct core *core, const struct request *request)
{
    if (!request->instance)
        return;
    struct message cancel = {
        .kind = KIND_CANCEL, .correlation = request->id, .type = request->type};
    answer_send(core, request->instance->peer, &cancel);
}

void
request_abandon(struct core *core, struct request *request)
{
    tell_instance(core, request);
    request_end(core, request);
}

void
request_fail(struct core *core, struct request *request, enum status status,
             const struct error *error)
{
    tell_instance(core, request);
    answer_failure(core, request->requester, &request->id, request->type, status, error);
    metric_observe(core->figures.seconds,
                   (double)(core->now.monotonic_us - request->arrived_us) / 1e6);
    request_end(core, request);
}

void
request_orphaned(struct core *core, struct request *request)
{
    struct error error = ERROR_INIT;
    error_set(&error, "the instance of service:%.*s that had the request is gone",
              TEXT_ARGS(request->service->name));
    enum status status = STATUS_UNAVAILABLE;
    if (request->idempotent && request->copy && !request->chunk_passed &&
        !request->requester->doomed) {
        status = hold_route(core, request, (struct bytes){NULL, 0}, &error);
        if (status == STATUS_OK)
            return;
        status = STATUS_UNAVAILABLE;
    }
    request_fail(core, request, status, &error);
}

/* ---- records */

static const char *
refuse_duplicate(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    error_set_word(&error, "request_id_pending", "a request with this id is in flight already");
    return answer_refuse(core, peer, message, STATUS_ALREADY_EXISTS, &error);
}

/* A client that lost its connection sends its idempotent requests again, maybe before the broker
 * has noticed that the old connection is dead. */
static bool
is_sent_again(const struct request *request, const struct peer *peer, const struct message *message)
{
    return request->requester != peer && (message->flags & MESSAGE_IDEMPOTENT) &&
           request->idempotent && text_equal(request->requester->identity, peer->identity);
}

static const char *
forward_request(struct core *core, struct peer *peer, const struct message *message,
                struct text service_name)
{
    struct error error = ERROR_INIT;
    struct service *service = directory_service(core, service_name, false);
    if (!service) {
        error_set(&error, "no instance of service:%.*s is ready", TEXT_ARGS(service_name));
        return answer_refuse(core, peer, message, STATUS_UNAVAILABLE, &error);
    }
    struct request *request = request_new(core, peer, message);
    if (!request) {
        directory_tidy(core, service);
        return answer_refuse(core, peer, message, STATUS_NOMEM, NULL);
    }
    request->service = service;
    enum status status = hold_route(core, request, message->raw, &error);
    if (status != STATUS_OK) {
        request_end(core, request);
        return answer_refuse(core, peer, message, status, &error);
    }
    return request->waiting ? VERDICT_HELD : VERDICT_FORWARDED;
}

enum status
request_check_limits(const struct core *core, const struct peer *peer, struct error *error)
{
    if (peer->request_count >= core->options.pending_peer_max) {
        error_set_word(error, "too_many_pending",
                       "%zu requests of this peer are in flight, the limit (requests_max)",
                       peer->request_count);
        return STATUS_QUOTA_EXCEEDED;
    }
    if (core->requests.count >= core->options.pending_max) {
        error_set(error, "%zu requests are in flight, the broker's limit", core->requests.count);
        return STATUS_BUSY;
    }
    return STATUS_OK;
}

const char *
request_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    if (uuid_is_nil(&message->id)) {
        error_set_field(&error, "id", "a request needs an id of its own, this one is all zero");
        return answer_refuse(core, peer, message, STATUS_INVALID, &error);
    }
    struct identity target;
    if (identity_parse(message->target, &target, NULL) != STATUS_OK ||
        target.type != IDENTITY_SERVICE) {
        error_set_word(&error, "target_unknown",
                       "a request goes to service:<name>, its target is of another form");
        return answer_refuse(core, peer, message, STATUS_INVALID, &error);
    }
    struct request *pending = request_find(core, &message->id);
    if (pending && !is_sent_again(pending, peer, message))
        return refuse_duplicate(core, peer, message);
    if (pending)
        request_abandon(core, pending);
    if (text_equal_string(target.name, BUS_SERVICE))
        return bus_request(core, peer, message);

    enum status status = request_check_limits(core, peer, &error);
    if (status != STATUS_OK)
        return answer_refuse(core, peer, message, status, &error);
    return forward_request(core, peer, message, target.name);
}

static const char *
refuse_unknown(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    error_set_word(&error, "request_unknown",
                   "no request with this correlation was given to this peer, or it has ended");
    /* A service may answer a request that ended a moment ago: no fault. */
    if (peer->instance)
        return answer_refuse_late(core, peer, message, STATUS_NOT_FOUND, &error);
    return answer_refuse(core, peer, message, STATUS_NOT_FOUND, &error);
}

const char *
reply_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct request *request = request_find(core, &message->correlation);
    if (!request && ask_answered(core, peer, message))
        return VERDICT_ACCEPTED;
    if (!request || !request->instance || request->instance->peer != peer)
        return refuse_unknown(core, peer, message);

    tap_note_type(core, request->type);
    metric_observe(core->figures.seconds,
                   (double)(core->now.monotonic_us - request->arrived_us) / 1e6);
    enum core_sent sent = peer_send(core, request->requester, message->raw);
    request_end(core, request);
    if (sent != CORE_SENT)
        return answer_dropped(core, sent == CORE_FULL ? "peer_full" : "peer_gone");
    return VERDICT_FORWARDED;
}

const char *
cancel_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct request *request = request_find(core, &message->correlation);
    if (!request && ask_cancel(core, peer, &message->correlation))
        return VERDICT_ACCEPTED;
    if (!request)
        return answer_dropped(core, "late"); /* it crossed the reply */
    if (request->requester != peer)
        return refuse_unknown(core, peer, message);
    const char *verdict = VERDICT_ACCEPTED;
    tap_note_type(core, request->type);
    if (request->instance) {
        enum core_sent sent = peer_send(core, request->instance->peer, message->raw);
        verdict = sent == CORE_SENT ? VERDICT_FORWARDED : answer_dropped(core, "peer_full");
    }
    request_end(core, request);
    return verdict;
}
