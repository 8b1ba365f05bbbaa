/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/bus.h"

#include "broker/core/answer.h"
#include "broker/core/tap.h"
#include "kernel/pack.h"

typedef void pack_fn(struct core *core, struct buffer *out);

static double
uptime_seconds(const struct core *core)
{
    return (double)(core->now.monotonic_us - core->started_us) / 1e6;
}

static void
health_check(struct core *core, struct buffer *out)
{
    bool peers_full = core->peers.count >= core->options.peers_max;
    bool pending_full = core->requests.count >= core->options.pending_max;
    pack_map(out, 5);
    pack_pair_string(out, "status", peers_full || pending_full ? "degraded" : "ok");
    pack_pair_string(out, "version", SOS_VERSION);
    pack_pair_string(out, "service", BUS_SERVICE);
    pack_pair_double(out, "uptime_seconds", uptime_seconds(core));
    pack_string(out, "checks");
    pack_map(out, 2);
    pack_pair_string(out, "peers", peers_full ? "as many as are allowed" : "ok");
    pack_pair_string(out, "pending", pending_full ? "as many as are allowed" : "ok");
}

static void
metrics(struct core *core, struct buffer *out)
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
directory(struct core *core, struct buffer *out)
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

static const struct {
    const char *type;
    bool restricted; /* to services and the operator */
    pack_fn *pack;
} operations[] = {{"health_check", false, health_check},
                  {"metrics", true, metrics},
                  {"directory", true, directory}};

static const char *
answer(struct core *core, struct peer *peer, const struct message *message, bool restricted,
       pack_fn *pack)
{
    struct error error = ERROR_INIT;
    if (restricted && !(peer->rights & CORE_OPERATOR) &&
        !text_starts_with(peer->identity, "service:")) {
        error_set(&error, "%.*s is for services and the operator", TEXT_ARGS(message->type));
        return answer_refuse(core, peer, message, STATUS_FORBIDDEN, &error);
    }
    buffer_reset(&core->payload);
    pack(core, &core->payload);
    if (core->payload.failed)
        answer_failure(core, peer, &message->id, message->type, STATUS_NOMEM, NULL);
    else
        answer_reply(core, peer, &message->id, message->type, buffer_bytes(&core->payload));
    return VERDICT_ANSWERED;
}

const char *
bus_request(struct core *core, struct peer *peer, const struct message *message)
{
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (text_equal_string(message->type, operations[i].type))
            return answer(core, peer, message, operations[i].restricted, operations[i].pack);
    }
    if (text_equal_string(message->type, "tap"))
        return tap_request(core, peer, message);
    struct error error = ERROR_INIT;
    error_set_word(&error, "type_unknown", "service:bus knows no such operation");
    return answer_refuse(core, peer, message, STATUS_INVALID, &error);
}
