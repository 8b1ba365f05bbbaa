/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "kernel/capability.h"
#include "kernel/pack.h"

enum { POLL_MS = 2, AWAIT_TURNS = 5000 };

static const char bus_identity[] = "service:bus";

/* ---- saying */

static void
send_record(struct bus *bus, const struct bus_peer *peer, const struct message *message)
{
    struct buffer record;
    buffer_init(&record);
    if (message_encode(&record, message, NULL) == STATUS_OK &&
        zmq_send(bus->router, peer->route, peer->route_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
        zmq_send(bus->router, record.data, record.size, ZMQ_DONTWAIT);
    buffer_clear(&record);
}

static struct message
message_of(enum kind kind, const struct uuid *correlation)
{
    struct message message = {.version = MESSAGE_VERSION, .kind = kind};
    message.id.bytes[0] = 1;
    message.source = text_of(bus_identity);
    if (correlation)
        message.correlation = *correlation;
    return message;
}

static void
say_ack(struct bus *bus, const struct bus_peer *peer, const struct uuid *id, uint64_t seq)
{
    struct message ack = message_of(KIND_ACK, id);
    ack.seq = seq;
    send_record(bus, peer, &ack);
}

static void
say_error(struct bus *bus, const struct bus_peer *peer, enum kind kind, const struct uuid *id,
          enum status status, const char *word)
{
    struct error error;
    struct buffer payload;
    error_set_word(&error, word, "because of %s", word);
    buffer_init(&payload);
    error_pack(&payload, status, &error);
    struct message message = message_of(kind, id);
    message.status = (uint32_t)status;
    message.payload = buffer_bytes(&payload);
    send_record(bus, peer, &message);
    buffer_clear(&payload);
}

static void
welcome(struct bus *bus, struct bus_peer *peer, const struct message *hello)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 7);
    pack_pair_uint(&payload, "version", MESSAGE_VERSION);
    pack_pair_uint(&payload, "epoch", bus->epoch);
    pack_pair_uint(&payload, "record_max", RECORD_SIZE_MAX);
    pack_pair_uint(&payload, "frame_max", FRAME_SIZE_MAX);
    pack_pair_uint(&payload, "stream_credit", 4);
    pack_pair_uint(&payload, "requests_max", 4096);
    pack_pair_uint(&payload, "heartbeat_ms", bus->heartbeat_ms);
    snprintf(peer->identity, sizeof peer->identity, "%.*s", TEXT_ARGS(hello->source));
    struct message message = message_of(KIND_HELLO, &hello->id);
    message.payload = buffer_bytes(&payload);
    send_record(bus, peer, &message);
    buffer_clear(&payload);
}

/* ---- mail */

static size_t
out_with(const struct bus *bus, int holder)
{
    size_t count = 0;
    for (size_t i = 0; i < bus->mail_count; i++)
        count += bus->mail[i].holder == holder && !bus->mail[i].removed && !bus->mail[i].dead;
    return count;
}

static void
deliver_one(struct bus *bus, struct bus_mail *mail, int holder)
{
    struct message message;
    size_t used;
    message_decode(&message, buffer_bytes(&mail->record), &used, NULL);
    message.kind = KIND_DELIVER;
    message.attempt = ++mail->attempt;
    message.seq = (uint64_t)(mail - bus->mail) + 1;
    mail->holder = holder;
    mail->handed++;
    send_record(bus, &bus->peers[holder], &message);
}

static void
deliver(struct bus *bus)
{
    for (size_t p = 0; p < bus->peer_count; p++) {
        const struct bus_peer *peer = &bus->peers[p];
        size_t out = peer->takes_mail ? out_with(bus, (int)p) : 0;
        for (size_t i = 0; peer->takes_mail && i < bus->mail_count && out < peer->window; i++) {
            struct bus_mail *mail = &bus->mail[i];
            if (mail->holder >= 0 || mail->removed || mail->dead ||
                strcmp(mail->inbox, peer->identity) != 0)
                continue;
            deliver_one(bus, mail, (int)p);
            out++;
        }
    }
}

static struct bus_mail *
find_mail(struct bus *bus, const struct uuid *id)
{
    for (size_t i = 0; i < bus->mail_count; i++)
        if (uuid_equal(&bus->mail[i].id, id))
            return &bus->mail[i];
    return NULL;
}

static bool
store(struct bus *bus, const struct message *message, struct bytes record)
{
    if (find_mail(bus, &message->id))
        return false;
    struct bus_mail *mail = &bus->mail[bus->mail_count];
    if (bus->mail_count == BUS_MAIL_MAX)
        return false;
    bus->mail_count++;
    *mail = (struct bus_mail){.id = message->id, .holder = -1};
    snprintf(mail->inbox, sizeof mail->inbox, "%.*s", TEXT_ARGS(message->target));
    buffer_init(&mail->record);
    buffer_append(&mail->record, record.data, record.size);
    return true;
}

static bool
spend(size_t *fault)
{
    if (*fault == 0)
        return false;
    (*fault)--;
    return true;
}

static void
hear_send(struct bus *bus, const struct bus_peer *peer, const struct message *message)
{
    bus->sends++;
    if (spend(&bus->busy_sends)) {
        say_error(bus, peer, KIND_ERROR, &message->id, STATUS_BUSY, "service_busy");
        return;
    }
    if (text_equal_string(message->target, "agent:full")) {
        say_error(bus, peer, KIND_ERROR, &message->id, STATUS_QUOTA_EXCEEDED, "inbox_full");
        return;
    }
    bool muted = spend(&bus->mute_sends);
    if (!muted && spend(&bus->lost_sends))
        return;
    bool added = store(bus, message, message->raw);
    if (!muted)
        say_ack(bus, peer, &message->id, added ? 1 : 0);
}

static size_t
each_id(struct bus *bus, const struct message *message, void (*act)(struct bus_mail *mail))
{
    struct value value;
    struct value list;
    struct value id;
    size_t count = 0;
    if (!value_parse(message->payload, &value))
        return 0;
    list = value;
    if (value.type == VALUE_MAP && !value_find(&value, "ids", &list))
        return 0;
    struct entries entries = value_entries(&list);
    while (entries_next(&entries, &id)) {
        struct uuid uuid;
        memcpy(uuid.bytes, id.as.bin.data, sizeof uuid.bytes);
        struct bus_mail *mail = find_mail(bus, &uuid);
        if (!mail || mail->removed)
            continue;
        act(mail);
        count++;
    }
    return count;
}

static void
remove_mail(struct bus_mail *mail)
{
    mail->removed = true;
    mail->holder = -1;
}

static void
give_back(struct bus_mail *mail)
{
    mail->holder = -1;
}

static void
bury(struct bus_mail *mail)
{
    mail->dead = true;
}

static void
hear_ack(struct bus *bus, const struct bus_peer *peer, const struct message *message)
{
    bus->acks++;
    if (spend(&bus->mute_acks))
        return;
    /* Before it subscribed nothing is out. */
    size_t count = peer->takes_mail ? each_id(bus, message, remove_mail) : 0;
    if (message->flags & MESSAGE_CONFIRM)
        say_ack(bus, peer, &message->id, count);
}

static void
hear_nack(struct bus *bus, const struct message *message)
{
    struct value map;
    bool dead = false;
    if (value_parse(message->payload, &map))
        value_find_bool(&map, "dead", &dead);
    each_id(bus, message, dead ? bury : give_back);
}

/* ---- channels */

static void
give_event(struct bus *bus, const struct bus_event *event, const struct bus_peer *peer)
{
    struct message message;
    size_t used;
    message_decode(&message, buffer_bytes(&event->record), &used, NULL);
    send_record(bus, peer, &message);
}

static bool
is_subscribed(const struct bus_peer *peer, const char *channel)
{
    for (size_t i = 0; i < peer->subscription_count; i++)
        if (glob_match(text_of(peer->subscriptions[i]), text_of(channel)))
            return true;
    return false;
}

static uint64_t
last_seq(const struct bus *bus, const char *channel)
{
    uint64_t last = bus->seq_base;
    for (size_t i = 0; i < bus->event_count; i++)
        if (strcmp(bus->events[i].channel, channel) == 0)
            last = bus->events[i].seq > last ? bus->events[i].seq : last;
    return last;
}

static uint64_t
publish(struct bus *bus, const struct message *given)
{
    if (bus->event_count == BUS_EVENTS_MAX)
        return 0;
    struct bus_event *event = &bus->events[bus->event_count];
    *event = (struct bus_event){0};
    snprintf(event->channel, sizeof event->channel, "%.*s", TEXT_ARGS(given->target));
    event->seq = last_seq(bus, event->channel) + 1;
    bus->event_count++;
    struct message message = *given;
    message.kind = KIND_EVENT;
    message.seq = event->seq;
    message.flags = 0;
    buffer_init(&event->record);
    message_encode(&event->record, &message, NULL);
    if (spend(&bus->skip_events))
        return event->seq;
    for (size_t p = 0; p < bus->peer_count; p++)
        if (is_subscribed(&bus->peers[p], event->channel))
            give_event(bus, event, &bus->peers[p]);
    return event->seq;
}

static void
hear_subscribe(struct bus *bus, struct bus_peer *peer, const struct message *message)
{
    struct value map;
    struct text inbox;
    struct text channel;
    uint64_t after = 0;
    uint64_t window = 256;
    bus->subscribes++;
    if (bus->refuse_subscribe) {
        say_error(bus, peer, KIND_ERROR, &message->id, STATUS_FORBIDDEN, "forbidden");
        return;
    }
    if (!value_parse(message->payload, &map))
        return;
    if (value_find_text(&map, "inbox", &inbox)) {
        value_find_uint(&map, "window", &window);
        peer->takes_mail = true;
        peer->window = (uint32_t)window;
        say_ack(bus, peer, &message->id, 0);
        return;
    }
    if (!value_find_text(&map, "channel", &channel))
        return;
    char *name = peer->subscriptions[peer->subscription_count];
    snprintf(name, 64, "%.*s", TEXT_ARGS(channel));
    peer->subscription_count++;
    say_ack(bus, peer, &message->id, last_seq(bus, name));
    if (value_find_uint(&map, "after", &after))
        for (size_t i = 0; i < bus->event_count; i++)
            if (!bus->events[i].lost && bus->events[i].seq > after &&
                strcmp(bus->events[i].channel, name) == 0)
                give_event(bus, &bus->events[i], peer);
}

static void
hear_unsubscribe(struct bus *bus, struct bus_peer *peer, const struct message *message)
{
    struct value map;
    struct text channel;
    bus->unsubscribes++;
    if (!value_parse(message->payload, &map))
        return;
    if (value_find_text(&map, "channel", &channel)) {
        for (size_t i = 0; i < peer->subscription_count;)
            if (text_equal_string(channel, peer->subscriptions[i]))
                memcpy(peer->subscriptions[i], peer->subscriptions[--peer->subscription_count], 64);
            else
                i++;
    } else {
        peer->takes_mail = false;
        for (size_t i = 0; i < bus->mail_count; i++)
            if (bus->mail[i].holder == peer - bus->peers)
                bus->mail[i].holder = -1;
    }
    say_ack(bus, peer, &message->id, 0);
}

/* ---- requests */

static void
reply(struct bus *bus, const struct bus_peer *peer, const struct uuid *id, struct bytes payload)
{
    struct message message = message_of(KIND_REPLY, id);
    message.payload = payload;
    send_record(bus, peer, &message);
}

static void
forward_request(struct bus *bus, const struct bus_peer *peer, const struct message *message)
{
    for (size_t p = 0; p < bus->peer_count; p++) {
        struct text target = text_of(bus->peers[p].identity);
        if (!*bus->peers[p].service || !text_equal(message->target, target))
            continue;
        size_t slot = bus->pending_count++ % 64;
        bus->pending[slot].id = message->id;
        bus->pending[slot].peer = (int)(peer - bus->peers);
        send_record(bus, &bus->peers[p], message);
        return;
    }
    say_error(bus, peer, KIND_REPLY, &message->id, STATUS_UNAVAILABLE, "service_unavailable");
}

/* Of a request that was passed on: to the one who asked. */
static void
back_to_asker(struct bus *bus, const struct message *message)
{
    for (size_t i = 0; i < 64; i++)
        if (uuid_equal(&bus->pending[i].id, &message->correlation))
            send_record(bus, &bus->peers[bus->pending[i].peer], message);
}

static void
to_services(struct bus *bus, const struct message *message)
{
    for (size_t p = 0; p < bus->peer_count; p++)
        if (*bus->peers[p].service)
            send_record(bus, &bus->peers[p], message);
}

static void
answer_history(struct bus *bus, const struct bus_peer *peer, const struct message *message)
{
    struct buffer payload;
    uint32_t count = 0;
    buffer_init(&payload);
    for (size_t i = 0; i < bus->event_count; i++)
        count += !bus->events[i].lost;
    pack_map(&payload, 1);
    pack_string(&payload, "events");
    pack_array(&payload, count);
    for (size_t i = 0; i < bus->event_count; i++) {
        struct message event;
        size_t used;
        char id[UUID_TEXT_SIZE];
        if (bus->events[i].lost)
            continue;
        message_decode(&event, buffer_bytes(&bus->events[i].record), &used, NULL);
        uuid_format(&event.id, id);
        pack_map(&payload, 7);
        pack_pair_string(&payload, "id", id);
        pack_pair_text(&payload, "channel", event.target);
        pack_pair_uint(&payload, "seq", event.seq);
        pack_pair_text(&payload, "from", event.source);
        pack_pair_text(&payload, "type", event.type);
        pack_pair_raw(&payload, "payload", event.payload);
        pack_pair_string(&payload, "sent_at", "2026-01-02T03:04:05Z");
    }
    reply(bus, peer, &message->id, buffer_bytes(&payload));
    buffer_clear(&payload);
}

static void
hear_request(struct bus *bus, const struct bus_peer *peer, const struct message *message)
{
    if (text_equal_string(message->type, "echo"))
        reply(bus, peer, &message->id, message->payload);
    else if (text_equal_string(message->type, "refuse"))
        say_error(bus, peer, KIND_REPLY, &message->id, STATUS_NOT_FOUND, "thing_not_found");
    else if (text_equal_string(message->type, "bus_history"))
        answer_history(bus, peer, message);
    else if (!text_equal_string(message->type, "silence"))
        forward_request(bus, peer, message);
}

static void
hear_ready(struct bus *bus, struct bus_peer *peer, const struct message *message)
{
    bus->readies++;
    snprintf(peer->service, sizeof peer->service, "%s", peer->identity);
    struct message control = message_of(KIND_CONTROL, &message->id);
    control.type = text_of("ready");
    send_record(bus, peer, &control);
}

static void
hear_control(struct bus *bus, const struct message *message)
{
    if (text_equal_string(message->type, "extend"))
        bus->extends++;
    if (text_equal_string(message->type, "credit")) {
        bus->credits++;
        to_services(bus, message);
    }
}

/* ---- the thread */

static struct bus_peer *
peer_of_route(struct bus *bus, const uint8_t *route, size_t size)
{
    for (size_t i = 0; i < bus->peer_count; i++)
        if (bus->peers[i].route_size == size && memcmp(bus->peers[i].route, route, size) == 0)
            return &bus->peers[i];
    if (bus->peer_count == BUS_PEERS_MAX)
        return NULL;
    struct bus_peer *peer = &bus->peers[bus->peer_count++];
    *peer = (struct bus_peer){.route_size = size};
    memcpy(peer->route, route, size);
    return peer;
}

static void
hear_record(struct bus *bus, struct bus_peer *peer, const struct message *message)
{
    switch (message->kind) {
    case KIND_HELLO:
        welcome(bus, peer, message);
        break;
    case KIND_HEARTBEAT: {
        struct message heartbeat = message_of(KIND_HEARTBEAT, NULL);
        send_record(bus, peer, &heartbeat);
        break;
    }
    case KIND_READY:
        hear_ready(bus, peer, message);
        break;
    case KIND_REQUEST:
        hear_request(bus, peer, message);
        break;
    case KIND_REPLY:
    case KIND_CHUNK:
        back_to_asker(bus, message);
        break;
    case KIND_CANCEL:
        bus->cancels++;
        to_services(bus, message);
        break;
    case KIND_SEND:
        hear_send(bus, peer, message);
        break;
    case KIND_ACK:
        hear_ack(bus, peer, message);
        break;
    case KIND_NACK:
        hear_nack(bus, message);
        break;
    case KIND_PUBLISH: {
        uint64_t seq = publish(bus, message);
        if (message->flags & MESSAGE_CONFIRM)
            say_ack(bus, peer, &message->id, seq);
        break;
    }
    case KIND_SUBSCRIBE:
        hear_subscribe(bus, peer, message);
        break;
    case KIND_UNSUBSCRIBE:
        hear_unsubscribe(bus, peer, message);
        break;
    case KIND_CONTROL:
        hear_control(bus, message);
        break;
    default:
        break;
    }
}

static void
hear(struct bus *bus)
{
    uint8_t route[64];
    for (;;) {
        int size = zmq_recv(bus->router, route, sizeof route, ZMQ_DONTWAIT);
        if (size < 0)
            return;
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, bus->router, 0) < 0)
            return;
        struct bus_peer *peer = peer_of_route(bus, route, (size_t)size);
        struct bytes bytes = {zmq_msg_data(&frame), zmq_msg_size(&frame)};
        while (bytes.size && peer) {
            struct message message;
            size_t used;
            if (message_decode(&message, bytes, &used, NULL) != STATUS_OK)
                break;
            if (!bus->mute)
                hear_record(bus, peer, &message);
            bytes.data += used;
            bytes.size -= used;
        }
        zmq_msg_close(&frame);
    }
}

static void *
run(void *argument)
{
    struct bus *bus = argument;
    while (!atomic_load(&bus->quit)) {
        zmq_pollitem_t item = {.socket = bus->router, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, POLL_MS);
        pthread_mutex_lock(&bus->lock);
        hear(bus);
        if (!bus->hold_mail)
            deliver(bus);
        pthread_mutex_unlock(&bus->lock);
    }
    zmq_close(bus->router);
    return NULL;
}

/* ---- life */

void
bus_start(struct bus *bus)
{
    int on = 1;
    int linger = 0;
    bus->router = zmq_socket(bus->context, ZMQ_ROUTER);
    zmq_setsockopt(bus->router, ZMQ_CURVE_SERVER, &on, sizeof on);
    zmq_setsockopt(bus->router, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(bus->router, ZMQ_CURVE_SECRETKEY, bus->keys.secret_key, CURVE_KEY_TEXT_SIZE);
    const char *endpoint = *bus->endpoint ? bus->endpoint : "tcp://127.0.0.1:*";
    int bound = -1;
    for (int i = 0; i < 1000 && (bound = zmq_bind(bus->router, endpoint)) != 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_int_equal(bound, 0);
    size_t size = sizeof bus->endpoint;
    zmq_getsockopt(bus->router, ZMQ_LAST_ENDPOINT, bus->endpoint, &size);
    bus->epoch++;
    bus->peer_count = 0;
    bus->pending_count = 0;
    memset(bus->pending, 0, sizeof bus->pending);
    for (size_t i = 0; i < bus->mail_count; i++)
        bus->mail[i].holder = -1;
    atomic_store(&bus->quit, false);
    bus->running = pthread_create(&bus->thread, NULL, run, bus) == 0;
    assert_true(bus->running);
}

void
bus_stop(struct bus *bus)
{
    if (!bus->running)
        return;
    atomic_store(&bus->quit, true);
    pthread_join(bus->thread, NULL);
    bus->running = false;
}

void
bus_restart(struct bus *bus)
{
    bus_stop(bus);
    bus_start(bus);
}

struct bus *
bus_new(void)
{
    struct bus *bus = calloc(1, sizeof *bus);
    assert_non_null(bus);
    pthread_mutex_init(&bus->lock, NULL);
    atomic_init(&bus->quit, false);
    bus->heartbeat_ms = 1000;
    curve_keys_make(&bus->keys);
    bus->context = zmq_ctx_new();
    bus_start(bus);
    return bus;
}

void
bus_destroy(struct bus **bus_p)
{
    struct bus *bus = *bus_p;
    *bus_p = NULL;
    bus_stop(bus);
    zmq_ctx_term(bus->context);
    for (size_t i = 0; i < bus->mail_count; i++)
        buffer_clear(&bus->mail[i].record);
    for (size_t i = 0; i < bus->event_count; i++)
        buffer_clear(&bus->events[i].record);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* ---- the test's hand in it */

void
bus_set(struct bus *bus, size_t *fault, size_t value)
{
    pthread_mutex_lock(&bus->lock);
    *fault = value;
    pthread_mutex_unlock(&bus->lock);
}

void
bus_set_flag(struct bus *bus, bool *flag, bool value)
{
    pthread_mutex_lock(&bus->lock);
    *flag = value;
    pthread_mutex_unlock(&bus->lock);
}

size_t
bus_get(struct bus *bus, const size_t *figure)
{
    pthread_mutex_lock(&bus->lock);
    size_t value = *figure;
    pthread_mutex_unlock(&bus->lock);
    return value;
}

void
bus_await(struct bus *bus, const size_t *figure, size_t value)
{
    for (int i = 0; i < AWAIT_TURNS; i++) {
        if (bus_get(bus, figure) >= value)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    fail_msg("what the test waits for never came");
}

size_t
bus_waiting(struct bus *bus, const char *inbox)
{
    size_t count = 0;
    pthread_mutex_lock(&bus->lock);
    for (size_t i = 0; i < bus->mail_count; i++)
        count +=
            strcmp(bus->mail[i].inbox, inbox) == 0 && !bus->mail[i].removed && !bus->mail[i].dead;
    pthread_mutex_unlock(&bus->lock);
    return count;
}

void
bus_redeliver(struct bus *bus)
{
    pthread_mutex_lock(&bus->lock);
    for (size_t i = 0; i < bus->mail_count; i++)
        bus->mail[i].holder = -1;
    pthread_mutex_unlock(&bus->lock);
}

void
bus_forget_history(struct bus *bus)
{
    pthread_mutex_lock(&bus->lock);
    for (size_t i = 0; i < bus->event_count; i++)
        bus->events[i].lost = true;
    pthread_mutex_unlock(&bus->lock);
}

static struct message
said_by(const char *from, const char *to, const char *text, struct buffer *payload)
{
    struct message message = {.version = MESSAGE_VERSION};
    struct uuid_source ids = {0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    message.id = uuid_next(&ids, (uint64_t)now.tv_sec * 1000000);
    message.source = text_of(from);
    message.target = text_of(to);
    message.type = text_of("note");
    buffer_init(payload);
    pack_map(payload, 1);
    pack_pair_string(payload, "text", text);
    message.payload = buffer_bytes(payload);
    return message;
}

void
bus_post(struct bus *bus, const char *from, const char *to, const char *text)
{
    struct buffer payload;
    struct buffer record;
    struct message message = said_by(from, to, text, &payload);
    message.kind = KIND_SEND;
    buffer_init(&record);
    assert_int_equal(message_encode(&record, &message, NULL), STATUS_OK);
    pthread_mutex_lock(&bus->lock);
    store(bus, &message, buffer_bytes(&record));
    pthread_mutex_unlock(&bus->lock);
    buffer_clear(&record);
    buffer_clear(&payload);
}

/* On the bus's own socket: from a client, so that only its thread touches it. */
void
bus_publish(struct bus *bus, const char *channel, const char *text)
{
    struct sos *sos = bus_connect(bus, "agent:speaker", NULL);
    struct sos_map *map = sos_map_new();
    sos_map_put_text(map, "text", text);
    assert_int_equal(sos_publish(sos, channel, "note", sos_map_payload(map), NULL, NULL), SOS_OK);
    sos_map_free(&map);
    sos_close(&sos);
}

struct sos *
bus_connect(struct bus *bus, const char *identity, const struct sos_options *given)
{
    struct sos_options options = {0};
    struct curve_keys keys;
    struct sos *sos = NULL;
    struct sos_error error = {0};
    if (given)
        options = *given;
    curve_keys_make(&keys);
    options.endpoint = bus->endpoint;
    options.broker_public_key = bus->keys.public_key;
    options.identity = identity;
    options.public_key = keys.public_key;
    options.secret_key = keys.secret_key;
    if (sos_connect(&sos, &options, &error) != SOS_OK)
        fail_msg("%s", error.message);
    return sos;
}
