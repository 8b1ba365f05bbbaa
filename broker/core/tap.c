/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tap.h"

#include <sodium.h>
#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/bus.h"
#include "broker/core/peers.h"
#include "broker/core/pending.h"
#include "kernel/assert.h"
#include "kernel/pack.h"

enum {
    GATHER_MAX = 48 * 1024, /* bytes of records until a chunk is due; leaves room within a chunk */
    PATTERN_MAX = 256,
    SECOND_US = 1000000
};

enum filter_field { BY_SOURCE, BY_TARGET, BY_TYPE, BY_KIND, BY_TRACE, FILTER_FIELDS };

static const char *const filter_names[FILTER_FIELDS] = {"source", "target", "type", "kind",
                                                        "trace"};

struct tap {
    struct list_node link;
    struct request *request;
    struct buffer records;
    uint32_t record_count;
    uint64_t dropped;                            /* since the last chunk */
    char filter[FILTER_FIELDS][PATTERN_MAX + 1]; /* "" passes all */
};

/* ---- starting and ending */

static enum status
read_filter(struct tap *tap, struct bytes bytes, struct error *error)
{
    struct value payload;
    if (bytes.size == 0)
        return STATUS_OK;
    if (!value_parse(bytes, &payload) || (payload.type != VALUE_MAP && payload.type != VALUE_NIL)) {
        error_set(error, "tap: expected a map of patterns, or nothing");
        return STATUS_INVALID;
    }
    for (int i = 0; i < FILTER_FIELDS; i++) {
        struct value found;
        if (!value_find(&payload, filter_names[i], &found) || found.type == VALUE_NIL)
            continue;
        if (found.type != VALUE_TEXT || found.as.text.size > PATTERN_MAX) {
            error_set_field(error, filter_names[i], "expected a pattern of at most %d bytes",
                            PATTERN_MAX);
            return STATUS_VALIDATION;
        }
        memcpy(tap->filter[i], found.as.text.data, found.as.text.size);
        tap->filter[i][found.as.text.size] = '\0';
    }
    return STATUS_OK;
}

static enum status
check_rate(const struct core *core, struct peer *peer, struct error *error)
{
    if (core->now.monotonic_us - peer->checked_since_us >= SECOND_US) {
        peer->checked_since_us = core->now.monotonic_us;
        peer->token_checks = 0;
    }
    if (peer->token_checks >= TOKEN_CHECKS_PER_SECOND) {
        error_set(error, "at most %d capabilities are checked for a peer in a second",
                  TOKEN_CHECKS_PER_SECOND);
        return STATUS_RATE_LIMITED;
    }
    peer->token_checks++;
    return STATUS_OK;
}

static enum status
check_token(struct core *core, struct peer *peer, struct text token, struct error *error)
{
    if (token.size == 0) {
        error_set(error, "tap needs a capability for bus:tap on bus:*");
        return STATUS_CAPABILITY_MISSING;
    }
    enum status status = check_rate(core, peer, error);
    if (status != STATUS_OK)
        return status;
    struct capability *capability = NULL;
    status = capability_parse(&capability, token, error);
    if (status != STATUS_OK)
        return status;
    struct capability_request wanted = {
        .action = text_of("bus:tap"), .resource = text_of("bus:tap"), .subject = peer->identity};
    status = capability_check(capability, core->capability_keys, core->options.capability_key_count,
                              &wanted, core->now.wall_us, error);
    capability_destroy(&capability);
    return status;
}

static enum status
may_start(struct core *core, struct peer *peer, const struct message *message, struct error *error)
{
    enum status status = check_token(core, peer, message->capability, error);
    if (status != STATUS_OK)
        return status;
    if (!(message->flags & MESSAGE_STREAM)) {
        error_set_word(error, "stream_required", "tap answers in chunks: the request takes none");
        return STATUS_INVALID;
    }
    if (core->tap_count >= TAPS_MAX || peer->taps >= TAPS_PEER_MAX) {
        error_set(error, "%zu taps run (%u of this peer), at most %d (%d) may", core->tap_count,
                  peer->taps, TAPS_MAX, TAPS_PEER_MAX);
        return STATUS_QUOTA_EXCEEDED;
    }
    return STATUS_OK;
}

static void
end_tap(struct core *core, struct request *request)
{
    struct tap *tap = request->work;
    request->requester->taps--;
    list_remove(&tap->link);
    core->tap_count--;
    buffer_clear(&tap->records);
    free(tap);
}

static const struct request_work tap_work = {end_tap, NULL};

const char *
bus_tap(struct core *core, const struct bus_call *call)
{
    struct peer *peer = call->peer;
    const struct message *message = call->message;
    struct error error = ERROR_INIT;
    enum status status = may_start(core, peer, message, &error);
    if (status != STATUS_OK)
        return answer_refuse(core, peer, message, status, &error);

    struct tap *tap = calloc(1, sizeof *tap);
    status = tap ? read_filter(tap, message->payload, &error) : STATUS_NOMEM;
    struct request *request = status == STATUS_OK ? request_new(core, peer, message) : NULL;
    if (!request) {
        free(tap);
        return answer_refuse(core, peer, message, status == STATUS_OK ? STATUS_NOMEM : status,
                             &error);
    }
    buffer_init(&tap->records);
    tap->request = request;
    request->work = tap;
    request->work_ops = &tap_work;
    list_append(&core->taps, &tap->link);
    core->tap_count++;
    peer->taps++;
    if (core->options.logger)
        log_info(core->options.logger, "%.*s taps the bus", TEXT_ARGS(peer->identity));
    return VERDICT_ACCEPTED;
}

/* ---- records */

static void
hex(struct bytes bytes, char *text, size_t size)
{
    ASSERT(size > 2 * bytes.size);
    sodium_bin2hex(text, size, bytes.data, bytes.size);
}

static bool
passes(const struct tap *tap, const struct message *message, const char *trace)
{
    const struct text values[FILTER_FIELDS] = {
        [BY_SOURCE] = message->source, [BY_TARGET] = message->target,
        [BY_TYPE] = message->type,     [BY_KIND] = text_of(kind_word(message->kind)),
        [BY_TRACE] = text_of(trace),
    };
    for (int i = 0; i < FILTER_FIELDS; i++) {
        if (tap->filter[i][0] && !glob_match(text_of(tap->filter[i]), values[i]))
            return false;
    }
    return true;
}

/* A summary is a map whose absent entries are left out: they are counted as they are written. */
struct summary {
    struct buffer entries;
    uint32_t count;
};

static void
add_text(struct summary *summary, const char *key, struct text value)
{
    if (value.size == 0)
        return;
    pack_pair_text(&summary->entries, key, value);
    summary->count++;
}

static void
add_uint(struct summary *summary, const char *key, uint64_t value)
{
    if (value == 0)
        return;
    pack_pair_uint(&summary->entries, key, value);
    summary->count++;
}

static void
add_uuid(struct summary *summary, const char *key, const struct uuid *uuid)
{
    char text[UUID_TEXT_SIZE];
    if (uuid_is_nil(uuid))
        return;
    uuid_format(uuid, text);
    add_text(summary, key, text_of(text));
}

/* Never the token: it would let whoever reads the tap act. What is not plainly an id is parsed as
 * a token, and what is neither is not shown. */
static void
add_capability(struct summary *summary, struct text capability)
{
    if (capability.size == 0)
        return;
    if (capability.size <= 64 && text_starts_with(capability, "cap_")) {
        add_text(summary, "capability", capability);
        return;
    }
    struct capability *parsed = NULL;
    if (capability_parse(&parsed, capability, NULL) == STATUS_OK)
        add_text(summary, "capability", text_of(capability_id(parsed)));
    else
        add_text(summary, "capability", text_of("(unreadable)"));
    capability_destroy(&parsed);
}

static void
summarise(struct summary *summary, const struct core *core, enum tap_direction direction,
          const struct message *message, const char *trace, size_t size, const char *verdict)
{
    add_uint(summary, "at_us", core->now.wall_us);
    add_text(summary, "direction", text_of(direction == TAP_IN ? "in" : "out"));
    if (message->kind)
        add_text(summary, "kind", text_of(kind_word(message->kind)));
    add_uuid(summary, "id", &message->id);
    add_uuid(summary, "correlation", &message->correlation);
    add_text(summary, "source", message->source);
    add_text(summary, "target", message->target);
    add_text(summary, "type", message->type);
    add_uint(summary, "ttl_ms", message->ttl_ms);
    add_text(summary, "trace", text_of(trace));
    add_capability(summary, message->capability);
    if (message->kind == KIND_REPLY || message->kind == KIND_ERROR) {
        pack_pair_uint(&summary->entries, "status", message->status);
        summary->count++;
    }
    if (message->kind == KIND_CHUNK || message->kind == KIND_CONTROL) {
        pack_pair_uint(&summary->entries, "seq", message->seq);
        summary->count++;
    }
    add_text(summary, "principal", message->principal);
    add_uint(summary, "size", size);
    add_text(summary, "verdict", text_of(verdict));
}

static bool
is_of_a_tap(const struct core *core, const struct message *message)
{
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next) {
        const struct tap *tap = CONTAINER_OF(node, struct tap, link);
        if (uuid_equal(&tap->request->id, &message->correlation))
            return true;
    }
    return false;
}

/* False: no credit or a full peer; all stays gathered. */
static bool
send_chunk(struct core *core, struct tap *tap)
{
    struct request *request = tap->request;
    if (request->down.credit == 0 || request->requester->doomed)
        return false;
    buffer_reset(&core->payload);
    pack_map(&core->payload, 2);
    pack_pair_uint(&core->payload, "dropped", tap->dropped);
    pack_string(&core->payload, "records");
    pack_array(&core->payload, tap->record_count);
    buffer_append(&core->payload, tap->records.data, tap->records.size);

    struct message chunk = {.version = MESSAGE_VERSION,
                            .kind = KIND_CHUNK,
                            .id = uuid_next(&core->ids, core->now.wall_us),
                            .correlation = request->id,
                            .source = text_of(BUS_IDENTITY),
                            .target = request->requester->identity,
                            .type = request->type,
                            .timestamp_us = core->now.wall_us,
                            .seq = request->down.seq,
                            .payload = buffer_bytes(&core->payload)};
    buffer_reset(&core->record);
    if (core->payload.failed || message_encode(&core->record, &chunk, NULL) != STATUS_OK ||
        peer_send(core, request->requester, buffer_bytes(&core->record)) != CORE_SENT)
        return false;
    request->down.credit--;
    request->down.seq++;
    buffer_reset(&tap->records);
    tap->record_count = 0;
    tap->dropped = 0;
    return true;
}

static void
gather(struct core *core, struct tap *tap, const struct summary *summary)
{
    size_t size = summary->entries.size + 8;
    if (tap->records.size + size > GATHER_MAX && !send_chunk(core, tap)) {
        tap->dropped++;
        metric_add(core->figures.tap_dropped, 1);
        return;
    }
    pack_map(&tap->records, summary->count);
    buffer_append(&tap->records, summary->entries.data, summary->entries.size);
    tap->record_count++;
    if (tap->records.failed) {
        /* Half a record may stand there: begin anew. */
        tap->dropped += tap->record_count;
        tap->record_count = 0;
        buffer_reset(&tap->records);
    }
}

void
tap_record_always(struct core *core, enum tap_direction direction, const struct message *message,
                  size_t size, const char *verdict)
{
    if (message->kind == KIND_HEARTBEAT || is_of_a_tap(core, message))
        return;
    char trace[33] = "";
    if (message->trace.size >= 16)
        hex((struct bytes){message->trace.data, 16}, trace, sizeof trace);

    struct summary summary = {.count = 0};
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next) {
        struct tap *tap = CONTAINER_OF(node, struct tap, link);
        if (!passes(tap, message, trace))
            continue;
        if (summary.count == 0) {
            buffer_init(&summary.entries);
            summarise(&summary, core, direction, message, trace, size, verdict);
        }
        if (!summary.entries.failed)
            gather(core, tap, &summary);
    }
    if (summary.count > 0)
        buffer_clear(&summary.entries);
}

void
tap_flush(struct core *core)
{
    for (struct list_node *node = core->taps.next; node != &core->taps; node = node->next) {
        struct tap *tap = CONTAINER_OF(node, struct tap, link);
        if (tap->record_count > 0 || tap->dropped > 0)
            send_chunk(core, tap);
    }
}
