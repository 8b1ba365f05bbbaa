/* SPDX-License-Identifier: Apache-2.0 */
#include "broker_core_check.h"

#include "broker/core/channel_table.h"
#include "broker/core/state.h"
#include "broker/core/tap_gather.h"
#include "kernel/assert.h"

static size_t
length_of(const struct list_node *list)
{
    size_t length = 0;
    for (const struct list_node *node = list->next; node != list; node = node->next)
        length++;
    return length;
}

static void
check_service(const struct core *core, const struct service *service)
{
    size_t bytes = 0;
    ASSERT(service->instance_count == length_of(&service->instances));
    ASSERT(service->waiting_count == length_of(&service->waiting));
    ASSERT(service->waiting_count <= core->options.held_max);
    ASSERT(service->known || service->waiting_count > 0);
    for (struct list_node *node = service->waiting.next; node != &service->waiting;
         node = node->next) {
        const struct request *request = CONTAINER_OF(node, struct request, link);
        ASSERT(request->waiting && !request->instance && !request->kept);
        ASSERT(request->service == service && request->copy);
        bytes += request->copy_size + request->chunk_bytes;
    }
    ASSERT(service->waiting_bytes == bytes && bytes <= core->options.held_bytes_max);
    for (struct list_node *node = service->instances.next; node != &service->instances;
         node = node->next) {
        const struct instance *instance = CONTAINER_OF(node, struct instance, link);
        ASSERT(instance->peer->instance == instance);
        ASSERT(instance->in_flight == length_of(&instance->requests));
        ASSERT(instance->in_flight <= instance->requests_max);
        ASSERT(!instance->single || service->instance_count == 1);
    }
}

static size_t
check_requests(const struct core *core, const struct peer *peer, size_t *kept)
{
    ASSERT(peer->request_count == length_of(&peer->requests));
    ASSERT(peer->request_count <= core->options.pending_peer_max);
    ASSERT(peer->greeted || peer->request_count == 0);
    for (struct list_node *node = peer->requests.next; node != &peer->requests; node = node->next) {
        const struct request *request = CONTAINER_OF(node, struct request, peer_link);
        ASSERT(request->requester == peer);
        ASSERT(!request->service == !!request->work_ops);
        ASSERT(!request->service || request->waiting == !request->instance);
        ASSERT(request->up.credit <= core->options.stream_credit);
        ASSERT(request->down.credit <= core->options.stream_credit);
        *kept += request->kept ? request->copy_size : 0;
    }
    return peer->request_count;
}

/* Returns how many bytes wait. */
static size_t
check_outbound(const struct core *core, const struct peer *peer)
{
    const struct outbound *outbound = &peer->outbound;
    size_t size = 0;
    for (const struct parcel *parcel = outbound->first; parcel; parcel = parcel->next) {
        ASSERT(parcel->records > 0 && parcel->size > 0 && parcel->size <= parcel->capacity);
        ASSERT(parcel->next || parcel == *outbound->last);
        size += parcel->size;
    }
    ASSERT(outbound->size == size && size <= OUTBOUND_PEER_MAX);
    ASSERT(!outbound->first == !outbound->last);
    ASSERT(list_is_linked(&outbound->link) == (outbound->first || outbound->stuck));
    ASSERT(!outbound->stuck || outbound_next_us(core) != UINT64_MAX);
    return size;
}

/* Returns how many subscriptions there are. */
static size_t
check_channel(const struct core *core, const struct channel *channel)
{
    const struct history *history = &channel->history;
    size_t bytes = 0;
    ASSERT(channel->subscription_count == length_of(&channel->subscriptions));
    ASSERT(history->count <= core->options.channel_history_max);
    for (uint64_t seq = history_first(channel); seq <= channel->seq; seq++) {
        struct message event;
        size_t used;
        struct bytes record = history_at(channel, seq);
        ASSERT(message_decode(&event, record, &used, NULL) == STATUS_OK && event.seq == seq);
        ASSERT(event.kind == KIND_EVENT && text_equal(event.target, channel->name));
        ASSERT(event.capability.size == 0 && event.principal.size == 0);
        bytes += record.size;
    }
    ASSERT(bytes <= history->bytes);
    ASSERT(history->bytes <= core->options.channel_history_bytes_max);
    ASSERT(list_is_linked(&channel->keeping) || history->count == 0);
    ASSERT(!list_is_linked(&channel->idle) || channel->subscription_count == 0);
    return channel->subscription_count;
}

static void
check_channels(const struct core *core)
{
    const struct channels *channels = core->channels;
    size_t count = 0, bytes = 0, matches = 0, exact = 0;
    for (struct list_node *node = channels->all.next; node != &channels->all; node = node->next) {
        const struct channel *channel = CONTAINER_OF(node, struct channel, all);
        exact += check_channel(core, channel);
        matches += length_of(&channel->matches);
        bytes += channel->history.bytes;
        count++;
    }
    ASSERT(channels->table.count == count && count <= core->options.channels_max);
    ASSERT(channels->kept_bytes == bytes && bytes <= core->options.channel_bytes_max);
    ASSERT(channels->matches == matches);
    ASSERT(channels->subscriptions == exact + channels->pattern_subscriptions);
    ASSERT(list_is_empty(&channels->slow));
}

void
broker_core_check(const struct core *core)
{
    check_channels(core);
    size_t requests = 0, kept = 0, unknown = 0, live = 0, sending = 0;
    ASSERT(list_is_empty(&core->doomed));
    for (struct list_node *node = core->all_peers.next; node != &core->all_peers;
         node = node->next) {
        const struct peer *peer = CONTAINER_OF(node, struct peer, all);
        requests += check_requests(core, peer, &kept);
        sending += check_outbound(core, peer);
        live++;
    }
    for (struct list_node *node = core->all_services.next; node != &core->all_services;
         node = node->next) {
        const struct service *service = CONTAINER_OF(node, struct service, all);
        check_service(core, service);
        unknown += !service->known;
    }
    ASSERT(core->peers.count == live && live <= core->options.peers_max);
    ASSERT(core->requests.count == requests && requests <= core->options.pending_max);
    ASSERT(core->kept_bytes == kept && kept <= core->options.held_bytes_max);
    ASSERT(core->unknown_services == unknown && unknown <= SERVICES_MAX);
    ASSERT(core->sending.size == sending);
    ASSERT(core->tap_count == length_of(&core->taps) && core->tap_count <= TAPS_MAX);
}
