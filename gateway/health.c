/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/health.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/json.h"
#include "kernel/pack.h"

#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)

struct service {
    struct health *owner;
    const struct contract *contract;
    uint64_t due_us;
    uint64_t asked_us;
    bool asking;
    bool answered;       /* it is there */
    bool ever;           /* it has been there */
    struct buffer reply; /* its last answer */
    struct buffer why;   /* it is not there: the reason */
};

struct health {
    struct bus bus;
    uint64_t started_us;
    uint64_t now_us;  /* of the last tick */
    uint64_t version; /* grows with every change */
    struct service *services;
    size_t count;
    struct {
        uint64_t version;
        uint64_t second;
        bool connected;
        bool well;
        struct buffer json;
    } answers[DOORS + 1];
};

struct health *
health_new(const struct contract *const *list, const struct bus *bus, uint64_t now_us)
{
    struct health *health = calloc(1, sizeof *health);
    if (!health)
        return NULL;
    size_t count = 0;
    while (list[count])
        count++;
    health->bus = *bus;
    health->started_us = now_us;
    health->now_us = now_us;
    health->version = 1;
    health->services = calloc(count + 1, sizeof *health->services);
    if (!health->services) {
        health_destroy(&health);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i]->service, "bus") == 0)
            continue;
        struct service *service = &health->services[health->count++];
        service->owner = health;
        service->contract = list[i];
        service->due_us = now_us;
    }
    return health;
}

void
health_destroy(struct health **health_p)
{
    struct health *health = *health_p;
    if (!health)
        return;
    for (size_t i = 0; i < health->count; i++) {
        buffer_clear(&health->services[i].reply);
        buffer_clear(&health->services[i].why);
    }
    for (size_t i = 0; i <= DOORS; i++)
        buffer_clear(&health->answers[i].json);
    free(health->services);
    free(health);
    *health_p = NULL;
}

/* ---- asking */

static void
on_answer(void *context, const struct peer_answer *answer)
{
    struct service *service = context;
    struct health *health = service->owner;
    struct value map;
    service->asking = false;
    health->version++;
    if (answer->status == STATUS_OK && value_parse(answer->payload, &map) &&
        map.type == VALUE_MAP) {
        buffer_reset(&service->reply);
        buffer_append(&service->reply, answer->payload.data, answer->payload.size);
        service->answered = !service->reply.failed;
        service->ever = true;
        service->due_us = service->asked_us + HEALTH_PERIOD_MS * MS;
        return;
    }
    struct error error = ERROR_INIT;
    error_unpack(answer->payload, &error);
    service->answered = false;
    buffer_reset(&service->why);
    buffer_append_string(&service->why, service->ever ? "gone: " : "not started: ");
    buffer_append_string(&service->why, error.message[0] && answer->status != STATUS_OK
                                            ? error.message
                                            : status_text(answer->status));
    service->due_us = service->asked_us + HEALTH_FAILED_MS * MS;
}

static void
ask(struct service *service, uint64_t now_us)
{
    struct health *health = service->owner;
    char target[MESSAGE_NAME_MAX + 1];
    struct uuid id;
    int size = snprintf(target, sizeof target, "service:%s", service->contract->service);
    struct peer_request request = {
        .kind = KIND_REQUEST,
        .target = {target, (size_t)size},
        .type = text_of("health_check"),
        .ttl_ms = HEALTH_TTL_MS,
        .flags = MESSAGE_IDEMPOTENT,
        .on_reply = on_answer,
        .context = service,
    };
    service->asked_us = now_us;
    service->asking = health->bus.call(health->bus.context, &request, &id, NULL) == STATUS_OK;
    if (!service->asking)
        service->due_us = now_us + HEALTH_FAILED_MS * MS;
}

uint64_t
health_tick(struct health *health, uint64_t now_us)
{
    uint64_t next_us = now_us + HEALTH_PERIOD_MS * MS;
    health->now_us = now_us;
    for (size_t i = 0; i < health->count; i++) {
        struct service *service = &health->services[i];
        if (!service->asking && service->due_us <= now_us)
            ask(service, now_us);
        if (!service->asking && service->due_us < next_us)
            next_us = service->due_us;
    }
    return next_us;
}

/* ---- answering */

static bool
stands_at(const struct contract *contract, enum door door)
{
    for (size_t i = 0; i < contract->operation_count; i++)
        for (size_t j = 0; j < contract->operations[i].route_count; j++)
            if (contract->operations[i].routes[j].door == door)
                return true;
    return false;
}

static void
append_check(struct buffer *checks, const char *name, struct text words)
{
    if (checks->size > 0)
        buffer_append_byte(checks, ',');
    json_append_text(checks, text_of(name));
    buffer_append_byte(checks, ':');
    json_append_text(checks, words);
}

/* The members of the service's own map of checks. */
static void
append_checks_of(struct buffer *checks, const struct value *reply)
{
    struct value map;
    struct value key;
    struct value member;
    if (!value_find(reply, "checks", &map) || map.type != VALUE_MAP)
        return;
    for (struct entries entries = value_entries(&map);
         entries_next_pair(&entries, &key, &member);) {
        if (key.type != VALUE_TEXT)
            continue;
        if (checks->size > 0)
            buffer_append_byte(checks, ',');
        json_append_text(checks, key.as.text);
        buffer_append_byte(checks, ':');
        if (msgpack_to_json(member.raw, checks, NULL) != STATUS_OK)
            buffer_append_string(checks, "null");
    }
}

enum wellness { WELL, DEGRADED, UNWELL };

static enum wellness
wellness_of(const struct service *service, struct value *reply)
{
    struct text status;
    if (!service->answered || !value_parse(buffer_bytes(&service->reply), reply))
        return UNWELL;
    if (!value_find_text(reply, "status", &status) || text_equal_string(status, "ok"))
        return WELL;
    return text_equal_string(status, "degraded") ? DEGRADED : UNWELL;
}

static struct text
words_of(const struct service *service, enum wellness wellness)
{
    if (wellness == WELL)
        return text_of("ok");
    if (wellness == DEGRADED)
        return text_of("degraded");
    if (service->answered)
        return text_of("unhealthy");
    return service->why.size > 0 ? buffer_text(&service->why) : text_of("not started");
}

static enum wellness
gather(const struct health *health, enum door door, struct buffer *checks, double *uptime_seconds)
{
    enum wellness all = WELL;
    bool any = false;
    for (size_t i = 0; i < health->count; i++) {
        const struct service *service = &health->services[i];
        struct value reply = {0};
        bool main = door != DOORS && strcmp(service->contract->service, door_word(door)) == 0;
        if (!main && door != DOORS && !stands_at(service->contract, door))
            continue;
        any = true;
        enum wellness wellness = wellness_of(service, &reply);
        append_check(checks, service->contract->service, words_of(service, wellness));
        if (main) {
            all = wellness > all ? wellness : all;
            if (wellness != UNWELL) {
                append_checks_of(checks, &reply);
                value_find_double(&reply, "uptime_seconds", uptime_seconds);
            }
        } else if (wellness != WELL && all == WELL) {
            all = DEGRADED;
        }
    }
    if (!any && door != DOORS) {
        /* Nothing that should be there is missing: the port is well, it has just nothing to offer.
         */
        append_check(checks, door_word(door), text_of("not installed"));
        return DEGRADED;
    }
    return all;
}

struct health_answer
health_of(struct health *health, enum door door, uint64_t now_us)
{
    static const char *const words[] = {"ok", "degraded", "unhealthy"};
    bool connected = health->bus.connected(health->bus.context);
    uint64_t second = (now_us - health->started_us) / SECOND;
    struct buffer *json = &health->answers[door].json;
    if (health->answers[door].version == health->version &&
        health->answers[door].second == second && health->answers[door].connected == connected)
        return (struct health_answer){health->answers[door].well, buffer_text(json)};

    struct buffer checks;
    buffer_init(&checks);
    double uptime_seconds = (double)(now_us - health->started_us) / (double)SECOND;
    enum wellness wellness = gather(health, door, &checks, &uptime_seconds);
    if (!connected)
        wellness = UNWELL;
    append_check(&checks, "broker", text_of(connected ? "ok" : "not connected"));

    buffer_reset(json);
    buffer_append_format(json,
                         "{\"status\":\"%s\",\"version\":\"" SOS_VERSION
                         "\",\"service\":\"%s\",\"uptime_seconds\":%.3f,\"checks\":{",
                         words[wellness], door == DOORS ? "gateway" : door_word(door),
                         uptime_seconds);
    buffer_append_text(json, buffer_text(&checks));
    buffer_append_string(json, "}}");
    health->answers[door].version = checks.failed || json->failed ? 0 : health->version;
    health->answers[door].second = second;
    health->answers[door].connected = connected;
    health->answers[door].well = wellness != UNWELL;
    buffer_clear(&checks);
    return (struct health_answer){wellness != UNWELL, buffer_text(json)};
}
