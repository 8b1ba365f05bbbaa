/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/peers.h"
#include "fixture_tap.h"

static enum core_sent
sink_send(void *context, peer_number peer, struct bytes frame)
{
    struct fixture *f = context;
    struct outbox *outbox = &f->outboxes[peer];
    if (outbox->gone)
        return CORE_GONE;
    if (outbox->full)
        return CORE_FULL;
    assert_true(outbox->count < OUTBOX_MAX);
    uint8_t *copy = malloc(frame.size);
    memcpy(copy, frame.data, frame.size);
    outbox->frames[outbox->count++] = (struct bytes){copy, frame.size};
    return CORE_SENT;
}

static enum core_sent
sink_give(void *context, peer_number peer, struct parcel **parcel_p)
{
    struct fixture *f = context;
    struct parcel *parcel = *parcel_p;
    enum core_sent sent = sink_send(f, peer, (struct bytes){parcel->data, parcel->size});
    if (sent != CORE_SENT)
        return sent;
    free(f->given);
    f->given = parcel;
    f->given_count++;
    *parcel_p = NULL;
    return CORE_SENT;
}

static void
sink_cut(void *context, peer_number peer, const char *reason)
{
    struct fixture *f = context;
    f->outboxes[peer].cut = reason;
}

static enum status
sink_key_add(void *context, struct text identity, struct text key, enum access access,
             struct error *error)
{
    (void)identity, (void)access;
    struct fixture *f = context;
    if (text_equal_string(key, "taken")) {
        error_set_word(error, "key_exists", "taken");
        return STATUS_ALREADY_EXISTS;
    }
    f->keys_added++;
    return STATUS_OK;
}

static enum status
sink_key_access(void *context, struct text identity, enum access access, struct error *error)
{
    (void)identity, (void)access;
    struct fixture *f = context;
    if (!f->access_fails)
        return STATUS_OK;
    error_set(error, "the table cannot be written");
    return STATUS_STORE_FAILED;
}

static enum status
sink_key_forget(void *context, struct text identity, struct text key, struct error *error)
{
    (void)identity, (void)key, (void)error;
    struct fixture *f = context;
    f->keys_forgotten++;
    return STATUS_OK;
}

static enum status
sink_key_revoke(void *context, struct text identity, struct text key, uint64_t *count,
                struct error *error)
{
    (void)identity, (void)key, (void)error;
    struct fixture *f = context;
    f->keys_revoked++;
    *count = 1;
    return STATUS_OK;
}

static enum status
sink_revoke(void *context, const struct revocation *list, size_t count, struct error *error)
{
    struct fixture *f = context;
    (void)list;
    if (f->revoke_fails) {
        error_set(error, "the disk is full");
        return STATUS_STORE_FAILED;
    }
    f->capabilities_revoked += count;
    return STATUS_OK;
}

static enum status
sink_key_list(void *context, struct text after, uint32_t limit, struct buffer *out, bool *more,
              struct error *error)
{
    struct fixture *f = context;
    snprintf(f->listed_after, sizeof f->listed_after, "%.*s", TEXT_ARGS(after));
    f->listed_limit = limit;
    if (text_equal_string(after, "unknown")) {
        error_set_word(error, "key_unknown", "unknown");
        return STATUS_NOT_FOUND;
    }
    pack_array(out, 1);
    pack_string(out, "a key");
    *more = after.size == 0;
    return STATUS_OK;
}

static bool
sink_pin_find(void *context, struct text service, struct pin *pin)
{
    struct fixture *f = context;
    for (size_t i = 0; i < f->pin_count; i++) {
        if (text_equal_string(service, f->pins[i].service)) {
            *pin = f->pins[i].pin;
            return true;
        }
    }
    return false;
}

static enum status
sink_pin_set(void *context, struct text service, const struct pin *pin, struct error *error)
{
    struct fixture *f = context;
    if (f->pins_fail) {
        error_set(error, "no space left");
        return STATUS_STORE_FAILED;
    }
    size_t i = 0;
    while (i < f->pin_count && !text_equal_string(service, f->pins[i].service))
        i++;
    if (i == f->pin_count)
        f->pin_count++;
    assert_true(i < PINS);
    snprintf(f->pins[i].service, sizeof f->pins[i].service, "%.*s", TEXT_ARGS(service));
    f->pins[i].pin = *pin;
    f->pins_set++;
    return STATUS_OK;
}

void
fixture_restart(struct fixture *f)
{
    struct core_sink sink = {.context = f,
                             .send = sink_send,
                             .give = f->takes_parcels ? sink_give : NULL,
                             .cut = sink_cut,
                             .key_add = sink_key_add,
                             .key_access = sink_key_access,
                             .key_revoke = sink_key_revoke,
                             .key_forget = sink_key_forget,
                             .key_list = sink_key_list,
                             .revoke = sink_revoke,
                             .pin_find = sink_pin_find,
                             .pin_set = sink_pin_set,
                             .mail = f->mail ? fixture_mail_ask : NULL};
    fixture_tap_attach(f, &sink);
    core_destroy(&f->core);
    f->core = core_new(&f->options, &sink, f->now);
    assert_non_null(f->core);
}

int
fixture_setup(void **state)
{
    assert_true(sodium_init() >= 0);
    struct fixture *f = calloc(1, sizeof *f);
    f->now = (struct now){.monotonic_us = 5000000, .wall_us = 1767225600000000};
    f->options = core_options_default();
    f->options.epoch = 42;
    buffer_init(&f->frame);
    fixture_restart(f);
    *state = f;
    return 0;
}

int
fixture_teardown(void **state)
{
    struct fixture *f = *state;
    core_destroy(&f->core);
    fixture_mail_clear(f);
    fixture_tap_clear(f);
    for (size_t peer = 0; peer < PEERS; peer++) {
        for (size_t i = 0; i < f->outboxes[peer].count; i++)
            free((void *)(uintptr_t)f->outboxes[peer].frames[i].data);
    }
    buffer_clear(&f->frame);
    free(f->given);
    free(f);
    return 0;
}

void
advance_ms(struct fixture *f, uint64_t ms)
{
    f->now.monotonic_us += ms * 1000;
    f->now.wall_us += ms * 1000;
    core_tick(f->core, f->now);
    core_flush(f->core, f->now);
}

void
join(struct fixture *f, peer_number peer, const char *identity, unsigned rights)
{
    struct error error = ERROR_INIT;
    f->identities[peer] = identity;
    assert_int_equal(core_connected(f->core, peer, text_of(identity), rights, f->now, &error),
                     STATUS_OK);
}

struct uuid
add_record(struct fixture *f, peer_number peer, struct message record)
{
    struct error error = ERROR_INIT;
    record.version = MESSAGE_VERSION;
    if (uuid_is_nil(&record.id))
        record.id = uuid_next(&f->ids, f->now.wall_us);
    if (!record.source.data)
        record.source = text_of(f->identities[peer]);
    record.timestamp_us = f->now.wall_us;
    assert_int_equal(message_encode(&f->frame, &record, &error), STATUS_OK);
    f->last_id = record.id;
    return record.id;
}

void
deliver(struct fixture *f, peer_number peer)
{
    struct bytes rest = buffer_bytes(&f->frame);
    do {
        size_t taken = core_receive(f->core, peer, rest, f->now);
        assert_true(taken > 0 && taken <= rest.size);
        rest = (struct bytes){rest.data + taken, rest.size - taken};
        fixture_tap_run(f);
        core_flush(f->core, f->now);
    } while (rest.size > 0);
    buffer_reset(&f->frame);
}

struct uuid
say(struct fixture *f, peer_number peer, struct message record)
{
    buffer_reset(&f->frame);
    struct uuid id = add_record(f, peer, record);
    deliver(f, peer);
    return id;
}

void
greet(struct fixture *f, peer_number peer)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_uint(&payload, "version_min", 1);
    pack_pair_uint(&payload, "version_max", 1);
    say(f, peer, (struct message){.kind = KIND_HELLO, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    take_kind(f, peer, KIND_HELLO);
}

void
join_greeted(struct fixture *f, peer_number peer, const char *identity)
{
    join(f, peer, identity, 0);
    greet(f, peer);
}

void
say_ready(struct fixture *f, peer_number peer, const char *service, bool single,
          uint32_t requests_max, const struct uuid *store, uint64_t epoch)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, store ? 5 : 3);
    pack_pair_string(&payload, "service", service);
    pack_pair_bool(&payload, "single", single);
    pack_pair_uint(&payload, "requests_max", requests_max);
    if (store) {
        pack_string(&payload, "store_uuid");
        pack_bin(&payload, store->bytes, sizeof store->bytes);
        pack_pair_uint(&payload, "store_epoch", epoch);
    }
    say(f, peer, (struct message){.kind = KIND_READY, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

void
join_service(struct fixture *f, peer_number peer, const char *name, bool single,
             uint32_t requests_max)
{
    static char identities[PEERS][64];
    snprintf(identities[peer], sizeof identities[peer], "service:%s", name);
    join_greeted(f, peer, identities[peer]);
    say_ready(f, peer, name, single, requests_max, NULL, 0);
    assert_true(text_equal_string(take_kind(f, peer, KIND_CONTROL)->type, "ready"));
}

struct uuid
ask(struct fixture *f, peer_number peer, const char *service, uint32_t flags, uint32_t ttl_ms)
{
    char target[64];
    snprintf(target, sizeof target, "service:%s", service);
    return say(f, peer,
               (struct message){.kind = KIND_REQUEST,
                                .flags = flags,
                                .target = text_of(target),
                                .type = text_of("question"),
                                .ttl_ms = ttl_ms});
}

void
answer(struct fixture *f, peer_number peer, const struct uuid *request, const char *text)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_string(&payload, text);
    say(f, peer,
        (struct message){
            .kind = KIND_REPLY, .correlation = *request, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

/* Beyond the record at which the outbox stands. */
static void
pass(struct outbox *outbox)
{
    const uint8_t *at = outbox->frames[outbox->read].data + outbox->offset;
    outbox->offset +=
        4 + ((size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | (size_t)at[3]);
    if (outbox->offset < outbox->frames[outbox->read].size)
        return;
    outbox->read++;
    outbox->offset = 0;
}

static bool
peek(struct fixture *f, peer_number peer)
{
    struct outbox *outbox = &f->outboxes[peer];
    struct error error = ERROR_INIT;
    fixture_tap_run(f);
    core_flush(f->core, f->now);
    while (outbox->read < outbox->count) {
        size_t used;
        struct bytes frame = outbox->frames[outbox->read];
        struct bytes rest = {frame.data + outbox->offset, frame.size - outbox->offset};
        assert_int_equal(message_decode(&f->received, rest, &used, &error), STATUS_OK);
        if (f->received.kind != KIND_HEARTBEAT)
            return true;
        pass(outbox);
    }
    return false;
}

const struct message *
take(struct fixture *f, peer_number peer)
{
    assert_true(peek(f, peer));
    pass(&f->outboxes[peer]);
    return &f->received;
}

void
choke(struct fixture *f, peer_number number)
{
    static const uint8_t filling[RECORD_SIZE_MAX / 8];
    struct peer *peer = peers_find(f->core, number);
    struct message beat = {.kind = KIND_HEARTBEAT,
                           .source = text_of("service:bus"),
                           .payload = {filling, sizeof filling}};
    struct buffer record;
    buffer_init(&record);
    f->outboxes[number].full = true;
    enum core_sent sent = CORE_SENT;
    for (; sent == CORE_SENT || beat.payload.size > 0; beat.payload.size /= 2) {
        buffer_reset(&record);
        assert_int_equal(message_encode(&record, &beat, NULL), STATUS_OK);
        do
            sent = peer_send(f->core, peer, buffer_bytes(&record));
        while (sent == CORE_SENT);
    }
    buffer_clear(&record);
}

const struct message *
take_kind(struct fixture *f, peer_number peer, enum kind kind)
{
    const struct message *record = take(f, peer);
    assert_string_equal(kind_word(record->kind), kind_word(kind));
    return record;
}

bool
has_nothing(struct fixture *f, peer_number peer)
{
    return !peek(f, peer);
}

void
assert_refused(const struct message *record, enum status status, const char *word)
{
    struct error error = ERROR_INIT;
    struct value payload;
    struct text detail = {NULL, 0};
    assert_int_equal(record->status, status);
    error_unpack(record->payload, &error);
    assert_true(error.message[0] != '\0');
    assert_true(value_parse(record->payload, &payload));
    assert_true(value_find_text(&payload, "detail", &detail));
    assert_true(text_equal_string(detail, word));
}

bool
was_cut(const struct fixture *f, peer_number peer)
{
    return f->outboxes[peer].cut != NULL;
}

double
count_of(struct fixture *f, const char *line)
{
    struct buffer text;
    double value = -1;
    buffer_init(&text);
    metrics_print(core_metrics(f->core), &text);
    buffer_append_byte(&text, '\0');
    for (const char *at = (const char *)text.data; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, line, strlen(line)) == 0) {
            value = strtod(at + strlen(line), NULL);
            break;
        }
    }
    buffer_clear(&text);
    return value;
}
