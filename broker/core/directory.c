/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/directory.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/hold.h"
#include "broker/core/pending.h"
#include "broker/core/presence.h"
#include "kernel/assert.h"
#include "kernel/identity.h"

static struct bytes
name_key(struct text name)
{
    return (struct bytes){(const uint8_t *)name.data, name.size};
}

struct service *
directory_find(const struct core *core, struct text name)
{
    struct table_node *node =
        table_first(&core->services, table_hash(&core->services, name_key(name)));
    for (; node; node = table_next(node)) {
        struct service *service = CONTAINER_OF(node, struct service, node);
        if (text_equal(service->name, name))
            return service;
    }
    return NULL;
}

static void
make_known(struct core *core, struct service *service)
{
    if (service->known)
        return;
    service->known = true;
    core->unknown_services--;
    /* Only ready names become series: the others are chosen by whoever asks. */
    service->depth = figures_depth(&core->figures, service->name_bytes);
    metric_set(service->depth, (double)service->waiting_count);
}

struct service *
directory_service(struct core *core, struct text name, bool ready)
{
    struct service *service = directory_find(core, name);
    if (!service) {
        if (!ready && core->unknown_services >= SERVICES_MAX)
            return NULL;
        service = calloc(1, sizeof *service + name.size + 1);
        if (!service)
            return NULL;
        memcpy(service->name_bytes, name.data, name.size);
        service->name = (struct text){service->name_bytes, name.size};
        list_init(&service->instances);
        list_init(&service->waiting);
        list_append(&core->all_services, &service->all);
        table_insert(&core->services, &service->node, table_hash(&core->services, name_key(name)));
        core->unknown_services++;
    }
    if (ready)
        make_known(core, service);
    return service;
}

static void
remove_service(struct core *core, struct service *service)
{
    if (!service->known)
        core->unknown_services--;
    table_remove(&core->services, &service->node);
    list_remove(&service->all);
    free(service);
}

void
directory_tidy(struct core *core, struct service *service)
{
    if (!service->known && service->waiting_count == 0 && service->instance_count == 0)
        remove_service(core, service);
}

static bool
single_lives(const struct service *service, bool single)
{
    if (service->instance_count == 0)
        return false;
    const struct instance *first = CONTAINER_OF(service->instances.next, struct instance, link);
    return single || first->single;
}

/* The pin decides: a service that comes up on another disk, or on an old copy of its own, would
 * serve without its data. *is_news: the pin is to be set. */
static enum status
check_store(struct core *core, const struct ready *ready, bool *is_news, struct error *error)
{
    struct pin pin;
    bool found = core->sink.pin_find(core->sink.context, ready->service, &pin);
    *is_news = ready->has_store && (!found || ready->pin.epoch > pin.epoch);
    if (!found)
        return STATUS_OK;
    if (!ready->has_store || !uuid_equal(&pin.store, &ready->pin.store)) {
        char expected[UUID_TEXT_SIZE], came[UUID_TEXT_SIZE] = "none";
        uuid_format(&pin.store, expected);
        if (ready->has_store)
            uuid_format(&ready->pin.store, came);
        error_set_word(error, "store_mismatch",
                       "service %.*s came with store %s, this home knows it with store %s",
                       TEXT_ARGS(ready->service), came, expected);
        return STATUS_CONFLICT;
    }
    if (ready->pin.epoch < pin.epoch) {
        error_set_word(error, "store_epoch_stale",
                       "service %.*s came with store epoch %llu after %llu was seen",
                       TEXT_ARGS(ready->service), (unsigned long long)ready->pin.epoch,
                       (unsigned long long)pin.epoch);
        return STATUS_CONFLICT;
    }
    return STATUS_OK;
}

static void
unblock(struct core *core, struct room_watch *watch)
{
    hold_dispatch(core, CONTAINER_OF(watch, struct instance, room)->service);
}

static enum status
add_instance(struct core *core, struct peer *peer, struct service *service,
             const struct ready *ready)
{
    struct instance *instance = calloc(1, sizeof *instance);
    if (!instance)
        return STATUS_NOMEM;
    instance->peer = peer;
    instance->service = service;
    instance->single = ready->single;
    instance->requests_max = ready->requests_max ? ready->requests_max : REQUESTS_DEFAULT;
    instance->room.ready = unblock;
    list_init(&instance->requests);
    list_append(&service->instances, &instance->link);
    service->instance_count++;
    peer->instance = instance;
    if (core->options.logger)
        log_info(core->options.logger, "service %.*s is ready", TEXT_ARGS(service->name));
    if (service->instance_count == 1)
        event_tell(core, "service.ready", "service", service->name);
    return STATUS_OK;
}

enum status
directory_join(struct core *core, struct peer *peer, const struct ready *ready, struct error *error)
{
    struct identity identity;
    if (identity_parse(peer->identity, &identity, NULL) != STATUS_OK ||
        identity.type != IDENTITY_SERVICE || !text_equal(identity.name, ready->service) ||
        text_equal_string(ready->service, BUS_SERVICE)) {
        error_set(error, "%.*s may not serve as service:%.*s: only the identity of that name may",
                  TEXT_ARGS(peer->identity), TEXT_ARGS(ready->service));
        return STATUS_FORBIDDEN;
    }
    if (peer->instance)
        directory_leave(core, peer); /* said anew: with other limits, perhaps */

    struct service *service = directory_find(core, ready->service);
    if (service && single_lives(service, ready->single)) {
        error_set_word(error, "instance_exists",
                       "service %.*s has a live instance and allows one only",
                       TEXT_ARGS(ready->service));
        return STATUS_CONFLICT;
    }
    bool is_news = false;
    enum status status = check_store(core, ready, &is_news, error);
    if (status == STATUS_OK && is_news)
        status = core->sink.pin_set(core->sink.context, ready->service, &ready->pin, error);
    if (status != STATUS_OK)
        return status;

    service = directory_service(core, ready->service, true);
    if (!service)
        return STATUS_NOMEM;
    return add_instance(core, peer, service, ready);
}

void
directory_leave(struct core *core, struct peer *peer)
{
    struct instance *instance = peer->instance;
    struct service *service = instance->service;
    peer->instance = NULL;
    list_remove(&instance->link);
    service->instance_count--;
    room_watch_off(&instance->room);

    /* First all of them leave it, then each is given on: a request that goes round must not be met
     * again. */
    struct list_node orphans;
    list_init(&orphans);
    while (!list_is_empty(&instance->requests)) {
        struct list_node *node = instance->requests.next;
        list_remove(node);
        list_append(&orphans, node);
        CONTAINER_OF(node, struct request, link)->instance = NULL;
    }
    free(instance);
    if (core->options.logger)
        log_info(core->options.logger, "an instance of service %.*s is gone",
                 TEXT_ARGS(service->name));
    if (service->instance_count == 0)
        event_tell(core, "service.gone", "service", service->name);
    while (!list_is_empty(&orphans)) {
        struct list_node *node = orphans.next;
        list_remove(node);
        request_orphaned(core, CONTAINER_OF(node, struct request, link));
    }
    directory_tidy(core, service);
}

struct instance *
directory_choose(const struct service *service)
{
    struct instance *best = NULL;
    for (struct list_node *node = service->instances.next; node != &service->instances;
         node = node->next) {
        struct instance *instance = CONTAINER_OF(node, struct instance, link);
        if (instance->peer->doomed || list_is_linked(&instance->room.link) ||
            instance->in_flight >= instance->requests_max)
            continue;
        if (!best || instance->in_flight < best->in_flight)
            best = instance;
    }
    return best;
}

void
directory_block(struct instance *instance)
{
    outbound_watch(instance->peer, &instance->room);
}

void
directory_clear(struct core *core)
{
    while (!list_is_empty(&core->all_services))
        remove_service(core, CONTAINER_OF(core->all_services.next, struct service, all));
}
