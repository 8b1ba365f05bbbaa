/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tap.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/audit.h"
#include "broker/core/bus.h"
#include "broker/core/grant.h"
#include "broker/core/peers.h"
#include "broker/core/pending.h"
#include "broker/core/presence.h"
#include "kernel/pack.h"

enum {
    SECOND_US = 1000000,
    TRACE_SIZE = 24,
    PAYLOAD_HEAD = 64 /* bytes of a chunk's payload beside its records */
};

struct tap {
    struct list_node link;
    struct request *request;
    uint64_t number; /* never used twice */
    unsigned slot;
    bool payload;
    struct tap_sieve sieve;
    struct tap_opening *opening; /* until it runs */
    struct tap_chunk *first;     /* ready to leave */
    struct tap_chunk **last;
    uint64_t missed;  /* records that the sink did not take, since the last chunk */
    uint64_t told_us; /* monotonic: the last chunk */
    uint64_t shown;
    uint64_t dropped;
    bool audited;      /* its start stands in the trail, or is about to */
    size_t trace_size; /* of the request */
    uint8_t trace[TRACE_SIZE];
    char capability_id[CAPABILITY_ID_MAX + 1];
    char subject[MESSAGE_NAME_MAX + 1]; /* of the token */
};

_Static_assert(TAP_PAYLOAD_MAX + 2048 + PAYLOAD_HEAD <= CHUNK_SIZE_MAX,
               "a record with the largest payload has room in a chunk");

#define TAP_RESOURCE_HEADERS "bus:tap"
#define TAP_RESOURCE_PAYLOADS "bus:payload"

static const char *
action_of(bool payload)
{
    return payload ? "bus:payload" : "bus:tap";
}

/* ---- audit */

static bool
tell_audit(struct core *core, const struct tap *tap, const char *event, const char *detail,
           uint64_t ticket)
{
    struct audit_entry entry = {.event = event,
                                .actor = tap->request->requester->identity,
                                .subject = text_of(tap->subject),
                                .action = text_of(action_of(tap->payload)),
                                .resource = text_of("bus:*"),
                                .capability_id = text_of(tap->capability_id),
                                .trace = {tap->trace, tap->trace_size},
                                .outcome = "ok",
                                .detail = text_of(detail)};
    return core->sink.audit && core->sink.audit(core->sink.context, &entry, ticket);
}

static void
add_filter(struct buffer *out, const char *name, struct text value)
{
    if (value.size > 0)
        buffer_append_format(out, " %s=%.*s", name, TEXT_ARGS(value));
}

/* What is asked for, for the trail: "headers source=agent:*". */
static void
describe(const struct tap_query *query, bool payload, struct buffer *out)
{
    buffer_append_string(out, payload ? "payloads" : "headers");
    add_filter(out, "source", query->source);
    add_filter(out, "target", query->target);
    add_filter(out, "type", query->type);
    add_filter(out, "kind", query->kind);
    add_filter(out, "trace", query->trace);
    add_filter(out, "status", query->status);
    add_filter(out, "verdict", query->verdict);
    add_filter(out, "header", query->header);
    buffer_append_byte(out, '\0');
}

static void
audit_refusal(struct core *core, const struct bus_call *call, bool payload, enum status status,
              const struct error *error)
{
    char outcome[96];
    snprintf(outcome, sizeof outcome, "refused: %s",
             error->word[0] ? error->word : status_word(status));
    struct audit_entry entry = {.event = "tap.refused",
                                .actor = call->peer->identity,
                                .subject = call->message->principal,
                                .action = text_of(action_of(payload)),
                                .resource = text_of("bus:*"),
                                .trace = call->message->trace,
                                .outcome = outcome,
                                .detail = text_of(error->message)};
    audit_tell(core, &entry);
}

/* ---- starting */

static struct tap_query
query_of(const struct arguments *arguments)
{
    return (struct tap_query){.source = arguments_text(arguments, BUS_TAP_SOURCE),
                              .target = arguments_text(arguments, BUS_TAP_TARGET),
                              .type = arguments_text(arguments, BUS_TAP_TYPE),
                              .kind = arguments_text(arguments, BUS_TAP_KIND),
                              .verdict = arguments_text(arguments, BUS_TAP_VERDICT),
                              .trace = arguments_text(arguments, BUS_TAP_TRACE),
                              .status = arguments_text(arguments, BUS_TAP_STATUS),
                              .header = arguments_text(arguments, BUS_TAP_HEADER)};
}

/* A token for bus:* covers both resources. A peer that acts for others shows the token of who it
 * speaks for; any other needs one of its own. */
static enum status
check_rights(struct core *core, const struct bus_call *call, bool payload, struct error *error)
{
    const struct message *message = call->message;
    struct operation operation = *call->arguments->operation;
    operation.capability_action = action_of(payload);
    bool for_others = message->principal.size > 0;
    struct claim claim = {.operation = &operation,
                          .source = message->source,
                          .principal = for_others ? message->principal : message->source,
                          .capability = message->capability,
                          .resource =
                              text_of(payload ? TAP_RESOURCE_PAYLOADS : TAP_RESOURCE_HEADERS),
                          .subject = for_others ? (struct text){NULL, 0} : call->peer->identity};
    return grant_authorise(core, call->peer, &claim, error);
}

static enum status
check_count(const struct core *core, const struct peer *peer, struct error *error)
{
    unsigned most = peer->rights & CORE_ACT_FOR_OTHERS ? TAPS_GATE_MAX : TAPS_PEER_MAX;
    if (core->tap_count < TAPS_MAX && peer->taps < most)
        return STATUS_OK;
    error_set(error, "%zu taps run (%u of this peer), at most %d (%u) may", core->tap_count,
              peer->taps, TAPS_MAX, most);
    return STATUS_QUOTA_EXCEEDED;
}

static void
remember_token(struct tap *tap, struct text token)
{
    struct capability *capability = NULL;
    if (capability_parse(&capability, token, NULL) != STATUS_OK)
        return;
    snprintf(tap->capability_id, sizeof tap->capability_id, "%s", capability_id(capability));
    snprintf(tap->subject, sizeof tap->subject, "%s", capability_subject(capability));
    capability_destroy(&capability);
}

static unsigned
free_slot(const struct core *core)
{
    uint32_t used = 0;
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next)
        used |= UINT32_C(1) << CONTAINER_OF(node, struct tap, link)->slot;
    unsigned slot = 0;
    while (used >> slot & 1)
        slot++;
    return slot;
}

static void
destroy(struct tap *tap)
{
    if (!tap)
        return;
    tap_opening_destroy(&tap->opening);
    free(tap);
}

static enum status
make_tap(struct core *core, const struct tap_query *query, bool payload, struct tap **tap_p,
         struct error *error)
{
    struct tap *tap = calloc(1, sizeof *tap);
    if (!tap)
        return STATUS_NOMEM;
    tap->opening = calloc(1, sizeof *tap->opening);
    enum status status =
        tap->opening ? tap_filter_new(&tap->opening->filter, query, error) : STATUS_NOMEM;
    if (status != STATUS_OK) {
        destroy(tap);
        return status;
    }
    tap->number = ++core->tap_last;
    tap->slot = free_slot(core);
    tap->payload = payload;
    tap->sieve = *tap_filter_sieve(tap->opening->filter);
    tap->last = &tap->first;
    tap->told_us = core->now.monotonic_us;
    tap->opening->tap = tap->number;
    tap->opening->slot = tap->slot;
    tap->opening->payload = payload;
    *tap_p = tap;
    return STATUS_OK;
}

static bool send_records(struct core *core, struct tap *tap, uint64_t dropped, uint32_t count,
                         struct bytes records);

static void
start(struct core *core, struct tap *tap)
{
    if (core->options.logger)
        log_info(core->options.logger, "%.*s taps the bus",
                 TEXT_ARGS(tap->request->requester->identity));
    event_tell(core, "tap.started", "identity", tap->request->requester->identity);
    core->sink.tap_open(core->sink.context, &tap->opening);
    send_records(core, tap, 0, 0, (struct bytes){NULL, 0}); /* from now on it sees all */
}

static void end_tap(struct core *core, struct request *request);
static void pump_request(struct core *core, struct request *request);

static const struct request_work tap_work = {.ended = end_tap, .credited = pump_request};

static const char *
begin(struct core *core, const struct bus_call *call, const struct tap_query *query,
      struct tap *tap)
{
    struct request *request = request_new(core, call->peer, call->message);
    if (!request) {
        destroy(tap);
        return bus_refuse(core, call, STATUS_NOMEM, NULL);
    }
    tap->request = request;
    request->work = tap;
    request->work_ops = &tap_work;
    list_append(&core->taps, &tap->link);
    core->tap_count++;
    call->peer->taps++;
    remember_token(tap, call->message->capability);
    if (call->message->trace.size == sizeof tap->trace) {
        memcpy(tap->trace, call->message->trace.data, sizeof tap->trace);
        tap->trace_size = sizeof tap->trace;
    }
    if (!core->sink.audit) {
        start(core, tap);
        return VERDICT_ACCEPTED;
    }
    struct buffer detail;
    buffer_init(&detail);
    describe(query, tap->payload, &detail);
    tap->audited = !detail.failed &&
                   tell_audit(core, tap, "tap.started", (const char *)detail.data, tap->number);
    buffer_clear(&detail);
    if (!tap->audited)
        tap_audited(core, tap->number, false);
    return VERDICT_ACCEPTED;
}

const char *
bus_tap(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    struct tap *tap = NULL;
    struct tap_query query = query_of(call->arguments);
    bool payload = arguments_boolean(call->arguments, BUS_TAP_PAYLOAD);
    enum status status = check_rights(core, call, payload, &error);
    if (status == STATUS_OK && !core->sink.tap_open)
        status = STATUS_NOT_IMPLEMENTED;
    if (status == STATUS_OK)
        status = check_count(core, call->peer, &error);
    if (status == STATUS_OK)
        status = make_tap(core, &query, payload, &tap, &error);
    if (status == STATUS_OK)
        return begin(core, call, &query, tap);
    if (status != STATUS_PENDING)
        audit_refusal(core, call, payload, status, &error);
    return bus_refuse(core, call, status, &error);
}

void
tap_audited(struct core *core, uint64_t ticket, bool written)
{
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next) {
        struct tap *tap = CONTAINER_OF(node, struct tap, link);
        if (tap->number != ticket)
            continue;
        if (written) {
            start(core, tap);
            return;
        }
        struct error error = ERROR_INIT;
        tap->audited = false;
        error_set_word(&error, "not_audited",
                       "the audit trail cannot be written: no tap without it");
        bus_fail(core, tap->request, STATUS_STORE_FAILED, &error);
        return;
    }
}

/* ---- ending */

static void
end_tap(struct core *core, struct request *request)
{
    struct tap *tap = request->work;
    char detail[96];
    snprintf(detail, sizeof detail, "%llu records shown, %llu left out",
             (unsigned long long)tap->shown, (unsigned long long)(tap->dropped + tap->missed));
    if (tap->audited)
        tell_audit(core, tap, "tap.ended", detail, 0);
    /* Out of the list before anything is told: it sees its own end no more. */
    request->requester->taps--;
    list_remove(&tap->link);
    core->tap_count--;
    if (!tap->opening) {
        core->sink.tap_close(core->sink.context, tap->number);
        event_tell(core, "tap.ended", "identity", request->requester->identity);
    }
    while (tap->first) {
        struct tap_chunk *chunk = tap->first;
        tap->first = chunk->next;
        core->sink.tap_return(core->sink.context, &chunk);
    }
    destroy(tap);
}

/* ---- sightings */

void
tap_note_type(struct core *core, struct text type)
{
    if (core->tap_count == 0 || type.size > sizeof core->tap_type)
        return;
    if (type.size > 0)
        memcpy(core->tap_type, type.data, type.size);
    core->tap_type_size = type.size;
}

/* What belongs to a tap itself would show each chunk in the next. */
static bool
is_of_a_tap(const struct core *core, const struct message *message)
{
    if (uuid_is_nil(&message->correlation))
        return false;
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next)
        if (uuid_equal(&CONTAINER_OF(node, struct tap, link)->request->id, &message->correlation))
            return true;
    return false;
}

/* Bits of those that may want it; *payload: with its payload. */
static uint32_t
slots_of(const struct core *core, const struct message *message, struct text type,
         struct bytes trace, bool *payload)
{
    uint32_t slots = 0;
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next) {
        const struct tap *tap = CONTAINER_OF(node, struct tap, link);
        if (tap->opening || uuid_equal(&tap->request->id, &message->id) ||
            !tap_sieve_passes(&tap->sieve, message->kind, message->source, message->target, type,
                              trace))
            continue;
        slots |= UINT32_C(1) << tap->slot;
        *payload = *payload || tap->payload;
    }
    return slots;
}

static void
count_missed(struct core *core, uint32_t slots)
{
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next) {
        struct tap *tap = CONTAINER_OF(node, struct tap, link);
        if (!(slots >> tap->slot & 1))
            continue;
        tap->missed++;
        metric_add(core->figures.tap_dropped, 1);
    }
}

/* What the broker answers belongs to the trace of what it answers, though it does not say so. */
static struct bytes
trace_of(const struct core *core, enum tap_direction direction, const struct message *message)
{
    if (message->trace.size > 0 || direction == TAP_IN || uuid_is_nil(&message->correlation))
        return message->trace;
    if (core->under_work && uuid_equal(&core->under_work->id, &message->correlation))
        return core->under_work->trace;
    const struct request *request = request_find(core, &message->correlation);
    if (request && request->has_trace)
        return (struct bytes){request->trace, sizeof request->trace};
    return message->trace;
}

static void
see(struct core *core, enum tap_direction direction, const struct message *message, size_t size,
    const char *verdict, struct text type)
{
    bool payload = false;
    struct bytes trace = trace_of(core, direction, message);
    uint32_t slots = slots_of(core, message, type, trace, &payload);
    if (slots == 0)
        return;
    struct tap_sighting sighting = {.at_us = core->now.wall_us,
                                    .seq = message->seq,
                                    .slots = slots,
                                    .size = (uint32_t)size,
                                    .payload_size = (uint32_t)message->payload.size,
                                    .ttl_ms = message->ttl_ms,
                                    .status = message->status,
                                    .attempt = message->attempt,
                                    .kind = message->kind,
                                    .direction = direction,
                                    .has_trace = trace.size == sizeof sighting.trace,
                                    .id = message->id,
                                    .correlation = message->correlation,
                                    .source = message->source,
                                    .target = message->target,
                                    .type = type,
                                    .principal = message->principal,
                                    .verdict = text_of(verdict),
                                    .capability = message->capability};
    if (sighting.has_trace)
        memcpy(sighting.trace, trace.data, sizeof sighting.trace);
    if (payload && message->payload.size <= TAP_PAYLOAD_MAX)
        sighting.payload = message->payload;
    if (!core->sink.tap_put(core->sink.context, &sighting))
        count_missed(core, slots);
}

void
tap_record_always(struct core *core, enum tap_direction direction, const struct message *message,
                  size_t size, const char *verdict)
{
    struct text type = message->type;
    if (direction == TAP_IN) {
        if (type.size == 0)
            type = (struct text){core->tap_type, core->tap_type_size};
        core->tap_type_size = 0;
    }
    if (message->kind != KIND_HEARTBEAT && !is_of_a_tap(core, message))
        see(core, direction, message, size, verdict, type);
}

/* ---- chunks */

/* False: no credit, or a reader that does not keep up. */
static bool
send_records(struct core *core, struct tap *tap, uint64_t dropped, uint32_t count,
             struct bytes records)
{
    struct request *request = tap->request;
    if (request->down.credit == 0 || request->requester->doomed)
        return false;
    buffer_reset(&core->payload);
    pack_map(&core->payload, 2);
    pack_pair_uint(&core->payload, "dropped", dropped);
    pack_string(&core->payload, "records");
    pack_array(&core->payload, count);
    buffer_append(&core->payload, records.data, records.size);
    if (core->payload.failed || bus_chunk(core, request, buffer_bytes(&core->payload)) != CORE_SENT)
        return false;
    tap->missed = 0;
    tap->told_us = core->now.monotonic_us;
    tap->shown += count;
    tap->dropped += dropped;
    return true;
}

static void
pump(struct core *core, struct tap *tap)
{
    while (tap->first) {
        struct tap_chunk *chunk = tap->first;
        if (!send_records(core, tap, chunk->dropped + tap->missed, chunk->count,
                          buffer_bytes(&chunk->records)))
            return;
        tap->first = chunk->next;
        if (!tap->first)
            tap->last = &tap->first;
        core->sink.tap_return(core->sink.context, &chunk);
    }
    /* Chunks may be long in coming when few records match: what was missed is told now and then. */
    if (tap->missed > 0 && core->now.monotonic_us - tap->told_us >= SECOND_US)
        send_records(core, tap, tap->missed, 0, (struct bytes){NULL, 0});
}

static void
pump_request(struct core *core, struct request *request)
{
    pump(core, request->work);
}

void
tap_flush(struct core *core)
{
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next)
        pump(core, CONTAINER_OF(node, struct tap, link));
}

void
tap_chunk_ready(struct core *core, struct tap_chunk **chunk_p)
{
    struct tap_chunk *chunk = *chunk_p;
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next) {
        struct tap *tap = CONTAINER_OF(node, struct tap, link);
        if (tap->number != chunk->tap)
            continue;
        metric_add(core->figures.tap_dropped, chunk->dropped);
        chunk->next = NULL;
        *tap->last = chunk;
        tap->last = &chunk->next;
        *chunk_p = NULL;
        return;
    }
    core->sink.tap_return(core->sink.context, chunk_p);
}
