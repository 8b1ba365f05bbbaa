/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/bus.h"

#include "broker/core/answer.h"
#include "broker/core/grant.h"
#include "broker/core/mail.h"
#include "broker/core/peers.h"
#include "broker/core/pending.h"
#include "kernel/authorise.h"
#include "kernel/identity.h"
#include "kernel/pack.h"

static double
uptime_seconds(const struct core *core)
{
    return (double)(core->now.monotonic_us - core->started_us) / 1e6;
}

static const char *
mail_word(const struct core *core)
{
    static const char *const words[] = {[CORE_MAIL_OK] = "ok",
                                        [CORE_MAIL_FULL] = "storage full",
                                        [CORE_MAIL_FAILED] = "storage failed"};
    return core->sink.mail ? words[core->mail_health] : "none";
}

static void
pack_health(struct core *core, struct buffer *out)
{
    bool peers_full = core->peers.count >= core->options.peers_max;
    bool pending_full = core->requests.count >= core->options.pending_max;
    bool degraded = peers_full || pending_full || core->mail_health != CORE_MAIL_OK;
    pack_map(out, 5);
    pack_pair_string(out, "status", degraded ? "degraded" : "ok");
    pack_pair_string(out, "version", SOS_VERSION);
    pack_pair_string(out, "service", BUS_SERVICE);
    pack_pair_double(out, "uptime_seconds", uptime_seconds(core));
    pack_string(out, "checks");
    pack_map(out, 3);
    pack_pair_string(out, "peers", peers_full ? "as many as are allowed" : "ok");
    pack_pair_string(out, "pending", pending_full ? "as many as are allowed" : "ok");
    pack_pair_string(out, "mail", mail_word(core));
}

static void
pack_metrics(struct core *core, struct buffer *out)
{
    struct buffer text;
    buffer_init(&text);
    metric_set(core->figures.uptime, uptime_seconds(core));
    metrics_print(core->metrics, &text);
    pack_map(out, 1);
    pack_pair_text(out, "text", buffer_text(&text));
    out->failed = out->failed || text.failed;
    buffer_clear(&text);
}

static void
pack_service(const struct service *service, struct buffer *out)
{
    uint64_t in_flight = 0;
    for (struct list_node *node = service->instances.next; node != &service->instances;
         node = node->next)
        in_flight += CONTAINER_OF(node, struct instance, link)->in_flight;
    pack_map(out, 4);
    pack_pair_text(out, "service", service->name);
    pack_pair_uint(out, "instances", service->instance_count);
    pack_pair_uint(out, "in_flight", in_flight);
    pack_pair_uint(out, "waiting", service->waiting_count);
}

static void
pack_directory(struct core *core, struct buffer *out)
{
    uint32_t count = 0;
    for (struct list_node *node = core->all_services.next; node != &core->all_services;
         node = node->next)
        count++;
    pack_map(out, 3);
    pack_pair_uint(out, "epoch", core->options.epoch);
    pack_pair_uint(out, "peers", core->peers.count);
    pack_string(out, "services");
    pack_array(out, count);
    for (struct list_node *node = core->all_services.next; node != &core->all_services;
         node = node->next)
        pack_service(CONTAINER_OF(node, struct service, all), out);
}

typedef void pack_fn(struct core *core, struct buffer *out);

static const char *
answer_packed(struct core *core, const struct bus_call *call, pack_fn *pack)
{
    buffer_reset(&core->payload);
    pack(core, &core->payload);
    if (core->payload.failed)
        return bus_refuse(core, call, STATUS_NOMEM, NULL);
    return bus_answer(core, call, buffer_bytes(&core->payload));
}

static enum status
check_insider(const struct bus_call *call, struct error *error)
{
    if ((call->peer->rights & CORE_OPERATOR) || text_starts_with(call->peer->identity, "service:"))
        return STATUS_OK;
    error_set(error, "%.*s is for services and the operator", TEXT_ARGS(call->message->type));
    return STATUS_FORBIDDEN;
}

const char *
bus_health_check(struct core *core, const struct bus_call *call)
{
    return answer_packed(core, call, pack_health);
}

const char *
bus_metrics(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    enum status status = check_insider(call, &error);
    return status == STATUS_OK ? answer_packed(core, call, pack_metrics)
                               : bus_refuse(core, call, status, &error);
}

const char *
bus_directory(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    enum status status = check_insider(call, &error);
    return status == STATUS_OK ? answer_packed(core, call, pack_directory)
                               : bus_refuse(core, call, status, &error);
}

/* ---- answering */

const char *
bus_answer(struct core *core, const struct bus_call *call, struct bytes payload)
{
    answer_reply(core, call->peer, &call->message->id, call->message->type, payload);
    return VERDICT_ANSWERED;
}

const char *
bus_refuse(struct core *core, const struct bus_call *call, enum status status,
           const struct error *error)
{
    return answer_refuse(core, call->peer, call->message, status, error);
}

struct request *
bus_keep(struct core *core, const struct bus_call *call, const struct request_work *ops, void *work)
{
    struct request *request = request_new(core, call->peer, call->message);
    if (!request)
        return NULL;
    request->work_ops = ops;
    request->work = work;
    timers_set(&core->timers, &request->timer, request->deadline_us);
    return request;
}

void
bus_reply(struct core *core, struct request *request, struct bytes payload)
{
    answer_reply(core, request->requester, &request->id, request->type, payload);
    request_end(core, request);
}

void
bus_fail(struct core *core, struct request *request, enum status status, const struct error *error)
{
    answer_failure(core, request->requester, &request->id, request->type, status, error);
    request_end(core, request);
}

enum core_sent
bus_chunk(struct core *core, struct request *request, struct bytes payload)
{
    if (request->requester->doomed)
        return CORE_GONE;
    if (request->down.credit == 0)
        return CORE_FULL;
    struct message chunk = {.version = MESSAGE_VERSION,
                            .kind = KIND_CHUNK,
                            .id = uuid_next(&core->ids, core->now.wall_us),
                            .correlation = request->id,
                            .source = text_of(BUS_IDENTITY),
                            .target = request->requester->identity,
                            .type = request->type,
                            .timestamp_us = core->now.wall_us,
                            .seq = request->down.seq,
                            .payload = payload};
    buffer_reset(&core->record);
    if (message_encode(&core->record, &chunk, NULL) != STATUS_OK)
        return CORE_FULL;
    enum core_sent sent = peer_send(core, request->requester, buffer_bytes(&core->record));
    if (sent == CORE_SENT) {
        request->down.credit--;
        request->down.seq++;
    }
    return sent;
}

/* ---- taking calls */

static struct text
subject_of(const struct operation *operation, const struct arguments *arguments)
{
    for (unsigned i = 0; operation->capability_subject && i < operation->field_count; i++) {
        if (strcmp(operation->fields[i].name, operation->capability_subject) == 0 &&
            arguments->present[i] && arguments->values[i].type == VALUE_TEXT)
            return arguments->values[i].as.text;
    }
    return (struct text){NULL, 0};
}

/* What these need depends on what is asked for: their handlers check. */
static bool
checks_itself(const struct operation *operation)
{
    return operation->index == OP_BUS_TAP || operation->index == OP_BUS_LISTEN;
}

/* These list what a pattern matches: the whole of it has to be allowed. */
static bool
names_pattern(const struct operation *operation)
{
    return operation->index == OP_BUS_CHANNELS || operation->index == OP_BUS_MAILBOXES;
}

/* On a channel of its own a peer is as free by operation as it is by record. */
static bool
is_free(const struct operation *operation, const struct message *message, const struct claim *claim)
{
    bool is_of_a_channel = operation->index == OP_BUS_PUBLISH || operation->index == OP_BUS_HISTORY;
    return is_of_a_channel && grant_is_own_channel(message, claim->resource) &&
           (claim->subject.size == 0 || text_equal(claim->subject, message->source));
}

/* Who is in a squad is the identity service's to say. */
static bool
is_membership_sync(const struct operation *operation, const struct peer *peer)
{
    return (operation->index == OP_BUS_JOIN || operation->index == OP_BUS_LEAVE) &&
           text_equal_string(peer->identity, "service:identity");
}

enum status
bus_check_rights(struct core *core, const struct bus_call *call, struct error *error)
{
    const struct operation *operation = call->arguments->operation;
    const struct message *message = call->message;
    struct buffer resource;
    buffer_init(&resource);
    if (operation->capability_resource)
        contract_resource(operation, call->arguments, &resource);
    struct claim claim = {.operation = operation,
                          .source = message->source,
                          .principal =
                              message->principal.size ? message->principal : message->source,
                          .capability = message->capability,
                          .resource = buffer_text(&resource),
                          .subject = subject_of(operation, call->arguments),
                          .is_pattern = names_pattern(operation)};
    enum status status = STATUS_OK;
    if (resource.failed)
        status = STATUS_NOMEM;
    else if (!is_free(operation, message, &claim) && !is_membership_sync(operation, call->peer))
        status = grant_authorise(core, call->peer, &claim, error);
    buffer_clear(&resource);
    return status;
}

enum status
bus_check_speaker(const struct bus_call *call, struct text speaker, const char *field,
                  struct error *error)
{
    struct identity identity;
    if (identity_parse(speaker, &identity, NULL) != STATUS_OK) {
        error_set_field(error, field, "came \"%.*s\", expected an identity <type>:<name>",
                        speaker.size < 64 ? (int)speaker.size : 64, speaker.data);
        return STATUS_VALIDATION;
    }
    bool is_of_system = identity.type == IDENTITY_SERVICE || identity.type == IDENTITY_SYSTEM;
    if (!is_of_system || text_equal(speaker, call->message->source))
        return STATUS_OK;
    error_set_word(error, "capability_subject_mismatch", "%.*s may not speak as %.*s",
                   TEXT_ARGS(call->message->source), TEXT_ARGS(speaker));
    return STATUS_FORBIDDEN;
}

#define ROW(operation, handler) [operation] = bus_##handler,
static bus_handler *const handlers[OP_BUS_COUNT] = {BUS_OPERATIONS(ROW)};
#undef ROW

/* All but what is answered on the spot, so that a full broker still says how it is. */
static bool
may_be_kept(const struct operation *operation)
{
    return operation->index != OP_BUS_HEALTH_CHECK && operation->index != OP_BUS_METRICS &&
           operation->index != OP_BUS_DIRECTORY;
}

const char *
bus_request(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    const struct operation *operation =
        contract_operation(contract_find(text_of(BUS_SERVICE)), message->type);
    if (!operation && text_equal_string(message->type, "store_checkpoint"))
        return mail_checkpoint(core, peer, message);
    if (!operation) {
        error_set_word(&error, "type_unknown", "service:bus knows no such operation");
        return answer_refuse(core, peer, message, STATUS_INVALID, &error);
    }
    struct arguments arguments;
    struct bus_call call = {peer, message, &arguments};
    enum status status = contract_validate(operation, message->payload, &arguments, &error);
    if (status == STATUS_OK && (operation->flags & OPERATION_STREAM_ALWAYS) &&
        !(message->flags & MESSAGE_STREAM)) {
        error_set_word(&error, "stream_required", "%s answers in chunks: the request takes none",
                       operation->type);
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK && !checks_itself(operation))
        status = bus_check_rights(core, &call, &error);
    if (status == STATUS_OK && may_be_kept(operation))
        status = request_check_limits(core, peer, &error);
    if (status != STATUS_OK)
        return answer_refuse(core, peer, message, status, &error);
    return handlers[operation->index](core, &call);
}
