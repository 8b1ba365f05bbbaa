/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/revoke.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/channel.h"
#include "broker/core/grant.h"
#include "broker/core/peers.h"
#include "broker/core/pending.h"

/* ---- grounds */

static uint64_t
hash_id(const struct core *core, struct text id)
{
    if (id.size == 0)
        return 0;
    uint64_t hash = table_hash(&core->peers, (struct bytes){(const uint8_t *)id.data, id.size});
    return hash ? hash : 1;
}

struct ground
ground_of(const struct core *core, const struct grounds *grounds)
{
    return (struct ground){hash_id(core, text_of(grounds->id)),
                           hash_id(core, text_of(grounds->parent_id)), grounds->expires_us};
}

struct ground_set {
    uint64_t expired_us; /* all that have expired by then; 0: those that were revoked */
    uint64_t *next_us;   /* of the others, the first to expire; 0: none */
    size_t count;
    uint64_t ids[REVOCATION_BATCH_MAX]; /* in order */
};

static int
compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return first < second ? -1 : first > second;
}

static bool
has(const struct ground_set *set, uint64_t id)
{
    return id && bsearch(&id, set->ids, set->count, sizeof set->ids[0], compare);
}

bool
ground_set_has(const struct ground_set *set, const struct ground *ground)
{
    if (set->expired_us > 0) {
        if (ground->id == 0)
            return false;
        if (ground->expires_us <= set->expired_us)
            return true;
        if (*set->next_us == 0 || ground->expires_us < *set->next_us)
            *set->next_us = ground->expires_us;
        return false;
    }
    return has(set, ground->id) || has(set, ground->parent);
}

enum status
ground_set_refuse(const struct ground_set *set, struct error *error)
{
    if (set->expired_us > 0) {
        error_set(error, "the capability has expired");
        return STATUS_TOKEN_EXPIRED;
    }
    error_set_word(error, "capability_revoked", "the capability was revoked");
    return STATUS_SCOPE_DENIED;
}

/* ---- ending what rests on them */

static void
end_requests(struct core *core, struct peer *peer, const struct ground_set *revoked)
{
    struct error error = ERROR_INIT;
    enum status status = ground_set_refuse(revoked, &error);
    struct list_node *next;
    for (struct list_node *node = peer->requests.next; node != &peer->requests; node = next) {
        struct request *request = CONTAINER_OF(node, struct request, peer_link);
        next = node->next;
        bool rests = ground_set_has(revoked, &request->ground) ||
                     (request->work_ops && request->work_ops->rests_on &&
                      request->work_ops->rests_on(request, revoked));
        if (rests)
            request_fail(core, request, status, &error);
    }
}

static void
end_all(struct core *core, const struct ground_set *revoked)
{
    for (struct list_node *node = core->all_peers.next; node != &core->all_peers;
         node = node->next) {
        struct peer *peer = CONTAINER_OF(node, struct peer, all);
        if (peer->doomed)
            continue;
        grants_drop(peer, revoked);
        channels_drop_revoked(core, peer, revoked);
        end_requests(core, peer, revoked);
    }
}

/* ---- those that expire */

/* The wall clock may be set meanwhile: it is looked at once a minute. To walk over all that rests
 * on some costs time: once a second at most. */
static void
wait_for_first(struct core *core)
{
    enum { LOOK_US = 60 * 1000000, PAUSE_US = 1000000 };
    uint64_t now_us = core->now.monotonic_us, wait_us = 0;
    if (core->grounds_expire_us == 0)
        return;
    if (core->grounds_expire_us > core->now.wall_us)
        wait_us = core->grounds_expire_us - core->now.wall_us;
    if (wait_us > LOOK_US)
        wait_us = LOOK_US;
    uint64_t at_us = now_us + wait_us;
    if (at_us < core->grounds_looked_us + PAUSE_US)
        at_us = core->grounds_looked_us + PAUSE_US;
    timers_set(&core->timers, &core->grounds_timer, at_us);
}

static void
look(void *context, void *owner)
{
    struct core *core = context;
    (void)owner;
    if (core->now.wall_us >= core->grounds_expire_us) {
        const struct ground_set expired = {.expired_us = core->now.wall_us,
                                           .next_us = &core->grounds_expire_us};
        core->grounds_looked_us = core->now.monotonic_us;
        core->grounds_expire_us = 0;
        end_all(core, &expired);
    }
    wait_for_first(core);
}

void
revoke_init(struct core *core)
{
    timer_init(&core->grounds_timer, look, core);
}

struct ground
ground_keep(struct core *core)
{
    const struct ground *ground = &core->ground;
    if (ground->id != 0 &&
        (core->grounds_expire_us == 0 || ground->expires_us < core->grounds_expire_us ||
         core->grounds_timer.place == 0)) {
        if (core->grounds_expire_us == 0 || ground->expires_us < core->grounds_expire_us)
            core->grounds_expire_us = ground->expires_us;
        wait_for_first(core);
    }
    return *ground;
}

/* ---- telling services */

struct telling {
    struct core *core;
    struct peer *peer;
    uint32_t count;
    struct buffer ids;
    struct buffer times;
};

static void
begin_telling(struct telling *telling)
{
    telling->count = 0;
    buffer_reset(&telling->ids);
    buffer_reset(&telling->times);
}

static void
tell(struct telling *telling)
{
    struct core *core = telling->core;
    struct buffer *payload = &core->payload;
    buffer_reset(payload);
    pack_map(payload, 2);
    pack_string(payload, "ids");
    pack_array(payload, telling->count);
    buffer_append(payload, telling->ids.data, telling->ids.size);
    pack_string(payload, "expires_us");
    pack_array(payload, telling->count);
    buffer_append(payload, telling->times.data, telling->times.size);
    struct message control = {.kind = KIND_CONTROL,
                              .type = text_of("capabilities_revoked"),
                              .payload = buffer_bytes(payload)};
    bool failed = payload->failed || telling->ids.failed || telling->times.failed;
    if (failed || answer_send(core, telling->peer, &control) != CORE_SENT)
        peer_doom(core, telling->peer, "revocations_not_taken");
    else
        outbound_push(core, telling->peer); /* all of them are more than may wait for a peer */
    begin_telling(telling);
}

static void
add_told(void *context, struct text id, uint64_t expires_us)
{
    struct telling *telling = context;
    if (telling->peer->doomed)
        return;
    pack_text(&telling->ids, id);
    pack_uint(&telling->times, expires_us);
    if (++telling->count == REVOCATION_BATCH_MAX)
        tell(telling);
}

static void
end_telling(struct telling *telling)
{
    if (telling->count > 0 && !telling->peer->doomed)
        tell(telling);
    buffer_clear(&telling->ids);
    buffer_clear(&telling->times);
}

void
revoke_tell_all(struct core *core, struct peer *peer)
{
    if (!peer_is_service(peer))
        return;
    struct telling telling = {.core = core, .peer = peer};
    buffer_init(&telling.ids);
    buffer_init(&telling.times);
    revocations_visit(authoriser_revocations(core->authoriser), core->now.wall_us, add_told,
                      &telling);
    end_telling(&telling);
}

static void
tell_services(struct core *core, const struct revocation *list, size_t count)
{
    for (struct list_node *node = core->all_peers.next; node != &core->all_peers;
         node = node->next) {
        struct telling telling = {.core = core, .peer = CONTAINER_OF(node, struct peer, all)};
        if (!peer_is_service(telling.peer))
            continue;
        buffer_init(&telling.ids);
        buffer_init(&telling.times);
        for (size_t i = 0; i < count; i++)
            add_told(&telling, list[i].id, list[i].expires_us);
        end_telling(&telling);
    }
}

/* ---- the change */

static enum status
read_list(const struct value *payload, struct revocation *list, size_t *count, struct error *error)
{
    struct value capabilities, entry;
    if (!value_find(payload, "capabilities", &capabilities) || capabilities.type != VALUE_ARRAY ||
        capabilities.as.count > REVOCATION_BATCH_MAX) {
        error_set(error,
                  "capability_revoke: expected a map with capabilities, a list of at most %d",
                  REVOCATION_BATCH_MAX);
        return STATUS_INVALID;
    }
    struct entries entries = value_entries(&capabilities);
    for (*count = 0; entries_next(&entries, &entry); (*count)++) {
        struct revocation *revocation = &list[*count];
        if (!value_find_text(&entry, "id", &revocation->id) ||
            !value_find_uint(&entry, "expires_us", &revocation->expires_us)) {
            error_set(error, "capability_revoke: expected maps with id (text) and expires_us "
                             "(microseconds)");
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}

static enum status
revoke(struct core *core, const struct revocation *list, size_t count, struct ground_set *revoked,
       struct error *error)
{
    enum status status = authoriser_revoke(core->authoriser, list, count, core->now, error);
    if (status != STATUS_OK)
        return status;
    revoked->count = count;
    for (size_t i = 0; i < count; i++)
        revoked->ids[i] = hash_id(core, list[i].id);
    qsort(revoked->ids, count, sizeof revoked->ids[0], compare);
    tell_services(core, list, count);
    end_all(core, revoked);
    /* Also when that fails they are refused from now on, and the caller knows that a restart would
     * not remember it. */
    return core->sink.revoke ? core->sink.revoke(core->sink.context, list, count, error)
                             : STATUS_OK;
}

enum status
revoke_change(struct core *core, const struct value *payload, struct buffer *out,
              struct error *error)
{
    struct revocation *list = calloc(REVOCATION_BATCH_MAX, sizeof *list);
    struct ground_set *revoked = calloc(1, sizeof *revoked);
    size_t count = 0;
    enum status status = list && revoked ? read_list(payload, list, &count, error) : STATUS_NOMEM;
    if (status == STATUS_OK)
        status = revoke(core, list, count, revoked, error);
    /* What was told on the way has used the same buffer. */
    buffer_reset(out);
    if (status == STATUS_OK)
        pack_map(out, 0);
    free(list);
    free(revoked);
    return status;
}

enum status
core_capabilities_revoked(struct core *core, const struct revocation *list, size_t count,
                          struct now now, struct error *error)
{
    core->now = now;
    return authoriser_revoke(core->authoriser, list, count, now, error);
}
