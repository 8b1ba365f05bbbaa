/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/ask.h"

#include <stdlib.h>

#include "broker/core/admit.h"
#include "broker/core/answer.h"
#include "broker/core/directory.h"
#include "broker/core/peers.h"
#include "kernel/pack.h"

struct ask {
    struct list_node link; /* in core->asks */
    struct timer timer;
    struct uuid id; /* of the question */
    struct uuid record_id;
    struct peer *peer;  /* whose record it is */
    peer_number server; /* who was asked */
    uint64_t begun_us;
    size_t size;
    uint8_t record[];
};

static void
forget(struct core *core, struct ask *ask)
{
    timers_remove(&core->timers, &ask->timer);
    list_remove(&ask->link);
    core->ask_count--;
    core->ask_bytes -= ask->size;
    ask->peer->asks--;
    explicit_bzero(ask->record, ask->size); /* there is a token in it */
    free(ask);
}

/* ---- asking */

static enum status
check_room(const struct core *core, const struct peer *peer, size_t size, struct error *error)
{
    bool many = peer->asks >= ASKS_PEER_MAX && !(peer->rights & CORE_ACT_FOR_OTHERS);
    if (!many && core->ask_count < ASKS_MAX && core->ask_bytes + size <= ASK_BYTES_MAX)
        return STATUS_OK;
    error_set(error, "%zu records (%u of this peer) wait for service:identity already",
              core->ask_count, peer->asks);
    return STATUS_BUSY;
}

/* A second record with the id of one that waits is a use of its own. */
static struct uuid
name_use(struct core *core)
{
    const struct uuid *record = &core->under_work->id;
    struct uuid fresh = uuid_next(&core->ids, core->now.wall_us);
    for (struct list_node *node = core->asks.next; node != &core->asks; node = node->next)
        if (uuid_equal(&CONTAINER_OF(node, struct ask, link)->record_id, record))
            return fresh;
    return authoriser_use_name(core->authoriser, BUS_SERVICE, record, &fresh, core->now);
}

static void
pack_question(struct core *core, const struct claim *claim, struct buffer *out)
{
    char id[UUID_TEXT_SIZE];
    struct uuid name = name_use(core);
    uuid_format(&name, id);
    pack_map(out, 5);
    pack_pair_text(out, "capability", claim->capability);
    pack_pair_string(out, "request_id", id);
    pack_pair_string(out, "action", claim->operation->capability_action);
    pack_pair_text(out, "resource", claim->resource);
    pack_pair_text(out, "subject", claim->subject);
}

static struct peer *
find_identity(const struct core *core)
{
    const struct service *service = directory_find(core, text_of("identity"));
    const struct instance *instance = service ? directory_choose(service) : NULL;
    return instance ? instance->peer : NULL;
}

/* id: of the question. */
static bool
send_question(struct core *core, struct peer *server, const struct claim *claim, struct uuid *id)
{
    struct buffer *payload = &core->payload;
    buffer_reset(payload);
    pack_question(core, claim, payload);
    struct message question = {.kind = KIND_REQUEST,
                               .flags = MESSAGE_IDEMPOTENT | MESSAGE_WRITE,
                               .type = text_of("capability_use"),
                               .trace = core->under_work->trace,
                               .ttl_ms = ASK_MS,
                               .payload = buffer_bytes(payload)};
    bool sent = !payload->failed && answer_send(core, server, &question) == CORE_SENT;
    *id = question.id;
    return sent;
}

static void refuse(struct core *core, struct ask *ask, enum status status, struct error *error);

static void
expire(void *context, void *owner)
{
    struct core *core = context;
    struct error error = ERROR_INIT;
    error_set(&error, "no answer within %d ms", ASK_MS);
    refuse(core, owner, STATUS_TIMEOUT, &error);
}

static enum status
begin(struct core *core, struct peer *peer, struct peer *server, const struct claim *claim)
{
    struct bytes record = core->under_work->raw;
    struct ask *ask = calloc(1, sizeof *ask + record.size);
    if (!ask)
        return STATUS_NOMEM;
    timer_init(&ask->timer, expire, ask);
    if (!timers_set(&core->timers, &ask->timer, core->now.monotonic_us + ASK_MS * 1000)) {
        free(ask);
        return STATUS_NOMEM;
    }
    if (!send_question(core, server, claim, &ask->id)) {
        timers_remove(&core->timers, &ask->timer);
        free(ask);
        return STATUS_UNAVAILABLE;
    }
    ask->record_id = core->under_work->id;
    ask->peer = peer;
    ask->server = server->number;
    ask->begun_us = core->now.monotonic_us;
    ask->size = record.size;
    memcpy(ask->record, record.data, record.size);
    list_append(&core->asks, &ask->link);
    core->ask_count++;
    core->ask_bytes += ask->size;
    peer->asks++;
    return STATUS_PENDING;
}

enum status
ask_identity(struct core *core, struct peer *peer, const struct claim *claim, struct error *error)
{
    struct peer *server = find_identity(core);
    enum status status = STATUS_UNAVAILABLE;
    if (server && core->under_work)
        status = check_room(core, peer, core->under_work->raw.size, error);
    if (status == STATUS_OK)
        status = begin(core, peer, server, claim);
    if (status == STATUS_UNAVAILABLE)
        error_set(error, "service:identity cannot be asked about this capability");
    return status;
}

/* ---- going on */

static bool
read_record(struct core *core, const struct ask *ask, struct message *message)
{
    size_t used;
    if (message_decode(message, (struct bytes){ask->record, ask->size}, &used, NULL) != STATUS_OK)
        return false;
    uint64_t waited_ms = (core->now.monotonic_us - ask->begun_us) / 1000;
    if (message->ttl_ms > 0)
        message->ttl_ms = message->ttl_ms > waited_ms ? message->ttl_ms - (uint32_t)waited_ms : 1;
    return true;
}

static void
refuse(struct core *core, struct ask *ask, enum status status, struct error *error)
{
    struct message message;
    status = authoriser_use_status(status, error);
    if (!ask->peer->doomed && read_record(core, ask, &message)) {
        const struct message *before = core->under_work;
        core->under_work = &message;
        answer_refuse(core, ask->peer, &message, status, error);
        core->under_work = before;
    }
    forget(core, ask);
}

static void
take_in_again(struct core *core, struct ask *ask, bool is_free)
{
    struct error error = ERROR_INIT;
    struct message message;
    if (ask->peer->doomed || !read_record(core, ask, &message)) {
        forget(core, ask);
        return;
    }
    enum status status = authoriser_confirm(core->authoriser, message.capability, is_free,
                                            &message.id, core->now, &error);
    if (status != STATUS_OK) {
        refuse(core, ask, status, &error);
        return;
    }
    const struct message *before = core->under_work;
    core->is_confirmed = true;
    core->under_work = &message;
    admit_again(core, ask->peer, &message);
    core->under_work = before;
    core->is_confirmed = false;
    forget(core, ask);
}

static struct ask *
find(const struct core *core, const struct peer *server, const struct uuid *id)
{
    for (struct list_node *node = core->asks.next; node != &core->asks; node = node->next) {
        struct ask *ask = CONTAINER_OF(node, struct ask, link);
        if (ask->server == server->number && uuid_equal(&ask->id, id))
            return ask;
    }
    return NULL;
}

bool
ask_answered(struct core *core, struct peer *peer, const struct message *reply)
{
    struct ask *ask = find(core, peer, &reply->correlation);
    struct error error = ERROR_INIT;
    if (!ask)
        return false;
    if (reply->status == STATUS_OK) {
        take_in_again(core, ask, authoriser_use_is_free(reply->payload));
        return true;
    }
    error_unpack(reply->payload, &error);
    refuse(core, ask, status_from_code(reply->status), &error);
    return true;
}

bool
ask_cancel(struct core *core, struct peer *peer, const struct uuid *request)
{
    for (struct list_node *node = core->asks.next; node != &core->asks; node = node->next) {
        struct ask *ask = CONTAINER_OF(node, struct ask, link);
        if (ask->peer != peer || !uuid_equal(&ask->record_id, request))
            continue;
        forget(core, ask);
        return true;
    }
    return false;
}

void
asks_peer_gone(struct core *core, struct peer *peer)
{
    struct list_node *next;
    for (struct list_node *node = core->asks.next; peer->asks > 0 && node != &core->asks;
         node = next) {
        struct ask *ask = CONTAINER_OF(node, struct ask, link);
        next = node->next;
        if (ask->peer == peer)
            forget(core, ask);
    }
}

void
asks_clear(struct core *core)
{
    while (!list_is_empty(&core->asks))
        forget(core, CONTAINER_OF(core->asks.next, struct ask, link));
}
