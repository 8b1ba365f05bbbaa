/* SPDX-License-Identifier: Apache-2.0 */
/* Reads its input as what happens to a broker: peers come and go, say things, do not keep up, and
 * time passes. After each event the core's figures must add up and keep to its limits; nothing may
 * be sent to a peer that is cut or gone; when all are gone nothing of them is left. */
#include <sodium.h>
#include <stdlib.h>

#include "broker/core/channel_table.h"
#include "broker/core/core.h"
#include "broker/core/state.h"
#include "broker/core/tap_gather.h"
#include "broker_core_check.h"
#include "kernel/assert.h"
#include "kernel/message.h"
#include "kernel/pack.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOTS = 6, PEERS_MAX = 5, IDS = 6, PINS = 4, WORDS_MAX = 40, TICKETS = 8 };

static const char *const identities[] = {"service:identity", "service:memory", "service:gateway",
                                         "agent:kasra",      "agent:river",    "user:operator"};
static const char *const targets[] = {
    "service:bus", "service:memory", "service:identity", "service:never",
    "agent:kasra", "service:",       "nonsense",         ""};
static const char *const types[] = {
    "health_check", "metrics",    "directory", "tap",          "key_list", "key_add", "key_revoke",
    "key_access",   "key_forget", "credit",    "memory_store", "made_up",  ""};
static const char *const words[] = {"version_min",      "version_max", "service",     "single",
                                    "requests_max",     "store_uuid",  "store_epoch", "identity",
                                    "curve_public_key", "after",       "limit",       "source",
                                    "target",           "type",        "kind",        "trace",
                                    "memory",           "bus",         "*",           "agent:*"};

struct slot {
    peer_number number; /* 0: nobody */
    size_t identity;
    enum core_sent answer;
};

struct world {
    struct core *core;
    struct now now;
    struct slot slots[SLOTS];
    peer_number last_number;
    struct {
        char service[MESSAGE_NAME_MAX + 1];
        struct pin pin;
    } pins[PINS];
    size_t pin_count;
    bool pins_fail;
    struct tap_gather *gather; /* the taps' worker, at hand */
    uint64_t sightings;
    size_t taps_open;
    struct parcel *given; /* the last one, which may go back */
    struct tap_chunk *ready;
    uint64_t tickets[TICKETS]; /* lines of the audit trail that wait for the disk */
    size_t ticket_count;
    const uint8_t *at, *end;
};

static struct ed25519_public_key river_public;
static struct buffer token;         /* lets agent:kasra tap */
static struct buffer publish_token; /* and speak to squads */
static struct tap_secrets *secrets;

#define TOKEN_LIFE_US UINT64_C(3600000000)

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- taps and audit */

static void
emit_chunk(void *context, struct tap_chunk **chunk_p)
{
    struct world *w = context;
    (*chunk_p)->next = w->ready;
    w->ready = *chunk_p;
    *chunk_p = NULL;
}

static void
sink_tap_open(void *context, struct tap_opening **opening_p)
{
    struct world *w = context;
    ASSERT(++w->taps_open <= TAPS_MAX);
    (*opening_p)->from = w->sightings;
    tap_gather_open(w->gather, opening_p);
}

static void
sink_tap_close(void *context, uint64_t tap)
{
    struct world *w = context;
    ASSERT(w->taps_open-- > 0);
    tap_gather_close(w->gather, tap);
}

static bool
sink_tap_put(void *context, const struct tap_sighting *sighting)
{
    struct world *w = context;
    struct tap_sighting numbered = *sighting;
    ASSERT(w->taps_open > 0 && sighting->slots > 0 && sighting->slots >> TAPS_MAX == 0);
    numbered.number = w->sightings++;
    if (numbered.number % 7 == 0)
        return false;
    tap_gather_take(w->gather, &numbered);
    return true;
}

static void
sink_tap_return(void *context, struct tap_chunk **chunk_p)
{
    struct world *w = context;
    tap_gather_return(w->gather, chunk_p);
}

static bool
sink_audit(void *context, const struct audit_entry *entry, uint64_t ticket)
{
    struct world *w = context;
    struct buffer line;
    buffer_init(&line);
    audit_format(entry, w->now.wall_us, &line);
    buffer_clear(&line);
    if (ticket && w->ticket_count == TICKETS)
        return false;
    if (ticket)
        w->tickets[w->ticket_count++] = ticket;
    return true;
}

/* What the other threads have done comes in. */
static void
run_taps(struct world *w, bool written)
{
    while (w->ticket_count > 0)
        core_audited(w->core, w->tickets[--w->ticket_count], written, w->now);
    tap_gather_flush(w->gather);
    while (w->ready) {
        struct tap_chunk *chunk = w->ready;
        w->ready = chunk->next;
        core_tap_chunk(w->core, &chunk, w->now);
    }
}

/* ---- the input */

static uint8_t
take(struct world *w)
{
    return w->at < w->end ? *w->at++ : 0;
}

static const char *
choose(struct world *w, const char *const *from, size_t count)
{
    return from[take(w) % count];
}

/* Few ids, so that they meet again. */
static struct uuid
take_id(struct world *w)
{
    struct uuid id = {{0}};
    id.bytes[15] = take(w) % IDS;
    return id;
}

static uint64_t
take_number(struct world *w)
{
    static const uint64_t numbers[] = {0, 1, 2, 3, 500, 1000, 600001, UINT32_MAX, UINT64_MAX};
    uint8_t choice = take(w);
    return choice & 1 ? take(w) : numbers[choice / 2 % COUNT(numbers)];
}

static struct bytes
take_bytes(struct world *w, size_t size)
{
    size_t left = (size_t)(w->end - w->at);
    struct bytes bytes = {w->at, size < left ? size : left};
    w->at += bytes.size;
    return bytes;
}

/* ---- the sink */

static struct slot *
slot_of(struct world *w, peer_number number)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (number != 0 && w->slots[i].number == number)
            return &w->slots[i];
    return NULL;
}

static bool
is_identity(struct text source)
{
    for (size_t i = 0; i < COUNT(identities); i++)
        if (text_equal_string(source, identities[i]))
            return true;
    return false;
}

static enum core_sent
sink_send(void *context, peer_number peer, struct bytes frame)
{
    struct world *w = context;
    struct slot *slot = slot_of(w, peer);
    ASSERT(slot);
    ASSERT(frame.size > 0 && frame.size <= FRAME_SIZE_MAX);
    size_t size = frame.size, records = 0;
    while (frame.size > 0) {
        struct message message;
        size_t used;
        ASSERT(message_decode(&message, frame, &used, NULL) == STATUS_OK);
        ASSERT(text_equal_string(message.source, "service:bus") || is_identity(message.source));
        /* Only the gateway of this world may act for others. */
        ASSERT(message.principal.size == 0 || text_equal_string(message.source, "service:gateway"));
        frame = (struct bytes){frame.data + used, frame.size - used};
        records++;
    }
    ASSERT(records <= OUTBOUND_RECORDS && (size <= OUTBOUND_BYTES || records == 1));
    if (slot->answer == CORE_GONE)
        slot->number = 0;
    return slot->number ? slot->answer : CORE_GONE;
}

static enum core_sent
sink_give(void *context, peer_number peer, struct parcel **parcel_p)
{
    struct world *w = context;
    struct parcel *parcel = *parcel_p;
    ASSERT(parcel->size >= OUTBOUND_GIVE_MIN);
    enum core_sent sent = sink_send(w, peer, (struct bytes){parcel->data, parcel->size});
    if (sent != CORE_SENT)
        return sent;
    free(w->given);
    w->given = parcel;
    *parcel_p = NULL;
    return CORE_SENT;
}

static void
sink_cut(void *context, peer_number peer, const char *reason)
{
    struct slot *slot = slot_of(context, peer);
    ASSERT(slot && reason);
    slot->number = 0;
}

static enum status
sink_key_add(void *context, struct text identity, struct text key, enum access access,
             struct error *error)
{
    (void)context, (void)access;
    ASSERT(!text_starts_with(identity, "service:"));
    if (key.size % 2 == 0)
        return STATUS_OK;
    error_set_word(error, "key_exists", "taken");
    return STATUS_ALREADY_EXISTS;
}

static enum status
sink_key_access(void *context, struct text identity, enum access access, struct error *error)
{
    (void)context, (void)access, (void)error;
    ASSERT(!text_starts_with(identity, "service:"));
    return STATUS_OK;
}

static enum status
sink_key_forget(void *context, struct text identity, struct text key, struct error *error)
{
    (void)context, (void)key, (void)error;
    ASSERT(!text_starts_with(identity, "service:"));
    return STATUS_OK;
}

static enum status
sink_key_revoke(void *context, struct text identity, struct text key, uint64_t *count,
                struct error *error)
{
    (void)context, (void)key, (void)error;
    *count = identity.size;
    return STATUS_OK;
}

static enum status
sink_key_list(void *context, struct text after, uint32_t limit, struct buffer *out, bool *more,
              struct error *error)
{
    (void)context;
    ASSERT(limit > 0);
    if (after.size > 8) {
        error_set_word(error, "key_unknown", "unknown");
        return STATUS_NOT_FOUND;
    }
    pack_array(out, 0);
    *more = after.size == 0;
    return STATUS_OK;
}

static size_t
pin_at(const struct world *w, struct text service)
{
    size_t i = 0;
    while (i < w->pin_count && !text_equal_string(service, w->pins[i].service))
        i++;
    return i;
}

static bool
sink_pin_find(void *context, struct text service, struct pin *pin)
{
    struct world *w = context;
    size_t i = pin_at(w, service);
    if (i < w->pin_count)
        *pin = w->pins[i].pin;
    return i < w->pin_count;
}

static enum status
sink_pin_set(void *context, struct text service, const struct pin *pin, struct error *error)
{
    struct world *w = context;
    size_t i = pin_at(w, service);
    if (w->pins_fail || i == PINS) {
        error_set(error, "no space left");
        return STATUS_STORE_FAILED;
    }
    ASSERT(i == w->pin_count || pin->epoch > w->pins[i].pin.epoch);
    memcpy(w->pins[i].service, service.data, service.size);
    w->pins[i].service[service.size] = '\0';
    w->pins[i].pin = *pin;
    w->pin_count += i == w->pin_count;
    return STATUS_OK;
}

/* ---- what must hold after each event */

static void
check(struct world *w)
{
    size_t live = 0;
    broker_core_check(w->core);
    for (struct list_node *node = w->core->all_peers.next; node != &w->core->all_peers;
         node = node->next) {
        ASSERT(slot_of(w, CONTAINER_OF(node, struct peer, all)->number));
        live++;
    }
    for (size_t i = 0; i < SLOTS; i++)
        live -= w->slots[i].number != 0;
    ASSERT(live == 0);
}

/* ---- events */

static void
pack_something(struct world *w, struct buffer *out)
{
    switch (take(w) % 6) {
    case 0:
        pack_uint(out, take_number(w));
        break;
    case 1:
        pack_bool(out, take(w) & 1);
        break;
    case 2:
        pack_string(out, choose(w, identities, COUNT(identities)));
        break;
    case 3:
        pack_string(out, choose(w, words, COUNT(words)));
        break;
    case 4: {
        struct uuid uuid = take_id(w);
        pack_bin(out, uuid.bytes, sizeof uuid.bytes);
        break;
    }
    default:
        pack_nil(out);
    }
}

static void
pack_hello(struct buffer *out)
{
    pack_map(out, 2);
    pack_pair_uint(out, "version_min", 1);
    pack_pair_uint(out, "version_max", 1);
}

static void
pack_ready(struct world *w, const struct slot *slot, struct buffer *out)
{
    struct uuid store = take_id(w);
    const char *name = identities[slot->identity];
    pack_map(out, 5);
    pack_pair_string(out, "service", strchr(name, ':') + 1);
    pack_pair_bool(out, "single", store.bytes[15] & 1);
    pack_pair_uint(out, "requests_max", take(w) % 4);
    pack_pair_uint(out, "store_epoch", take(w));
    pack_string(out, "store_uuid");
    if (store.bytes[15] == 0)
        pack_nil(out);
    else
        pack_bin(out, store.bytes, sizeof store.bytes);
}

static void
pack_payload(struct world *w, const struct slot *slot, struct buffer *out)
{
    static const uint8_t zeros[CHUNK_SIZE_MAX];
    uint8_t form = take(w);
    struct bytes raw;
    switch (form % 6) {
    case 0:
        break;
    case 1:
        pack_hello(out);
        break;
    case 2:
        pack_ready(w, slot, out);
        break;
    case 3:
        pack_map(out, form / 6 % 8);
        for (int i = form / 6 % 8; i > 0; i--) {
            pack_string(out, choose(w, words, COUNT(words)));
            pack_something(w, out);
        }
        break;
    case 4:
        pack_bin(out, zeros, form & 64 ? CHUNK_SIZE_MAX : form & 128 ? 9000 : 700);
        break;
    default:
        raw = take_bytes(w, form / 6);
        buffer_append(out, raw.data, raw.size);
    }
}

static void
add_record(struct world *w, const struct slot *slot, struct buffer *frame)
{
    struct buffer payload;
    uint8_t form = take(w), more = take(w);
    struct message message = {.version = MESSAGE_VERSION,
                              .kind = (enum kind)(form % 20),
                              .flags = more & 15,
                              .id = take_id(w),
                              .source = text_of(identities[slot->identity]),
                              .timestamp_us = w->now.wall_us};
    /* The kinds with something behind them come more often. */
    if (form >= 160)
        message.kind = (enum kind)(KIND_REQUEST + form % 4);
    buffer_init(&payload);
    if (message.kind == KIND_HELLO)
        pack_hello(&payload);
    else if (message.kind == KIND_READY && more & 128)
        pack_ready(w, slot, &payload);
    else
        pack_payload(w, slot, &payload);
    message.payload = buffer_bytes(&payload);
    if (message.kind != KIND_HELLO && message.kind != KIND_READY) {
        message.correlation = take_id(w);
        message.target = text_of(choose(w, targets, COUNT(targets)));
        message.type = text_of(choose(w, types, COUNT(types)));
        message.seq = take_number(w);
    }
    if (more & 16) {
        message.ttl_ms = (uint32_t)take_number(w);
        message.status = (uint32_t)take_number(w);
    }
    if (more & 32)
        message.capability = take(w) & 1 ? buffer_text(&token) : text_of("cap_0123456789ab");
    if (more & 64) {
        message.principal = text_of(choose(w, identities, COUNT(identities)));
        if (take(w) & 1)
            message.source = text_of(choose(w, identities, COUNT(identities)));
    }
    message_encode(frame, &message, NULL);
    buffer_clear(&payload);
}

/* A request that is well made, so that something comes of it: a call of a service, or a tap. */
static void
add_request(struct world *w, const struct slot *slot, struct buffer *frame)
{
    struct buffer payload;
    uint8_t form = take(w);
    bool taps = form >= 200;
    const char *name = form & 1 ? "service:memory" : "service:identity";
    struct message message = {.kind = KIND_REQUEST,
                              .flags = form / 2 & 7,
                              .id = take_id(w),
                              .source = text_of(identities[slot->identity]),
                              .target = text_of(taps ? "service:bus" : name),
                              .type = text_of(taps ? "tap" : "memory_store"),
                              .ttl_ms = (uint32_t)take_number(w),
                              .timestamp_us = w->now.wall_us};
    buffer_init(&payload);
    if (taps) {
        message.flags |= MESSAGE_STREAM;
        message.capability = buffer_text(&token);
        pack_map(&payload, form & 1);
        if (form & 1) {
            pack_pair_string(&payload, choose(w, words + 11, 5), choose(w, words + 16, 4));
        }
    } else {
        pack_payload(w, slot, &payload);
    }
    message.payload = buffer_bytes(&payload);
    message_encode(frame, &message, NULL);
    buffer_clear(&payload);
}

static const struct request *
choose_pending(struct world *w)
{
    const struct core *core = w->core;
    size_t left = core->requests.count ? take(w) % core->requests.count : 0;
    for (struct list_node *node = core->all_peers.next; node != &core->all_peers;
         node = node->next) {
        const struct peer *peer = CONTAINER_OF(node, struct peer, all);
        if (left < peer->request_count) {
            struct list_node *link = peer->requests.next;
            for (; left > 0; left--)
                link = link->next;
            return CONTAINER_OF(link, struct request, peer_link);
        }
        left -= peer->request_count;
    }
    return NULL;
}

/* What belongs to a request that is pending, said by one of the two (or, wrongly, by slot). */
static const struct slot *
add_answer(struct world *w, const struct slot *slot, struct buffer *frame)
{
    static const enum kind kinds[] = {KIND_CHUNK, KIND_REPLY, KIND_CHUNK, KIND_CONTROL,
                                      KIND_CANCEL};
    const struct request *request = choose_pending(w);
    uint8_t form = take(w);
    if (!request)
        return slot;
    bool down = form & 1 && request->instance;
    const struct peer *by = down ? request->instance->peer : request->requester;
    if (form < 240)
        slot = slot_of(w, by->number);
    struct buffer payload;
    struct message message = {.kind = kinds[form / 2 % COUNT(kinds)],
                              .flags = form / 64 == 1 ? MESSAGE_FINAL : 0,
                              .id = take_id(w),
                              .correlation = request->id,
                              .source = text_of(identities[slot->identity]),
                              .timestamp_us = w->now.wall_us};
    if (message.kind == KIND_CONTROL) {
        message.type = text_of("credit");
        message.seq = take_number(w);
    } else if (message.kind == KIND_CHUNK) {
        message.seq = (down ? request->down.seq : request->up.seq) + (form / 64 == 2);
    }
    buffer_init(&payload);
    pack_payload(w, slot, &payload);
    message.payload = buffer_bytes(&payload);
    message_encode(frame, &message, NULL);
    buffer_clear(&payload);
    return slot;
}

static void
add_key_change(struct world *w, const struct slot *slot, struct buffer *frame)
{
    struct buffer payload;
    struct message message = {.kind = KIND_CONTROL,
                              .id = take_id(w),
                              .source = text_of(identities[slot->identity]),
                              .target = text_of("service:bus"),
                              .type = text_of(choose(w, types + 4, 3))};
    buffer_init(&payload);
    pack_map(&payload, 3);
    pack_pair_string(&payload, "identity", choose(w, identities, COUNT(identities)));
    pack_pair_string(&payload, take(w) & 1 ? "curve_public_key" : "after",
                     choose(w, words, COUNT(words)));
    pack_string(&payload, "limit");
    pack_something(w, &payload);
    message.payload = buffer_bytes(&payload);
    message_encode(frame, &message, NULL);
    buffer_clear(&payload);
}

static void
add_ready(struct world *w, const struct slot *slot, struct buffer *frame)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_ready(w, slot, &payload);
    struct message message = {.kind = KIND_READY,
                              .id = take_id(w),
                              .source = text_of(identities[slot->identity]),
                              .payload = buffer_bytes(&payload)};
    message_encode(frame, &message, NULL);
    buffer_clear(&payload);
}

static const char *const topics[] = {"squad:eng",   "squad:ops",     "squad:*",       "*",
                                     "agent:*:x",   "agent:kasra:x", "system:events", "agent:kasra",
                                     "squad:[eo]*", "squad:?ng",     "guild:a",       "nonsense"};

/* The operations, each with the fields that it needs. */
static void
pack_channel_call(struct world *w, const struct slot *slot, const char *type, struct buffer *out)
{
    const char *topic = choose(w, topics, COUNT(topics));
    pack_map(out, 6);
    pack_pair_string(out, "channel", topic);
    pack_pair_string(out, "pattern", topic);
    pack_pair_string(out, "channels", topic);
    pack_pair_string(out, "inbox",
                     strcmp(type, "bus_listen") == 0 && take(w) & 1 ? "watch" : "none");
    pack_pair_string(out, "agent_id",
                     take(w) < 250 ? identities[slot->identity] : "agent:somebody");
    pack_pair_string(out, "from", identities[slot->identity]);
}

/* What is said to channels, and asked of them. */
static void
add_channel_record(struct world *w, const struct slot *slot, struct buffer *frame)
{
    static const char *const calls[] = {"bus_publish", "bus_history", "bus_channels", "bus_peers",
                                        "bus_listen"};
    static const enum kind kinds[] = {KIND_PUBLISH, KIND_SUBSCRIBE, KIND_UNSUBSCRIBE, KIND_REQUEST};
    struct buffer payload;
    uint8_t form = take(w);
    struct message message = {.kind = kinds[form % 4],
                              .flags = form & 16 ? MESSAGE_CONFIRM | MESSAGE_STREAM : 0,
                              .capability =
                                  form & 8 ? buffer_text(&publish_token) : (struct text){0},
                              .id = take_id(w),
                              .source = text_of(identities[slot->identity]),
                              .timestamp_us = w->now.wall_us};
    buffer_init(&payload);
    if (message.kind == KIND_REQUEST) {
        const char *type = choose(w, calls, COUNT(calls));
        message.target = text_of("service:bus");
        message.type = text_of(type);
        message.flags = MESSAGE_STREAM;
        pack_channel_call(w, slot, type, &payload);
    } else if (message.kind == KIND_PUBLISH) {
        message.target = text_of(choose(w, topics, COUNT(topics)));
        if (form & 32)
            pack_payload(w, slot, &payload);
    } else {
        pack_map(&payload, 1 + (form >> 6 & 1));
        pack_pair_string(&payload, form & 128 && take(w) > 250 ? "inbox" : "channel",
                         choose(w, topics, COUNT(topics)));
        if (form & 64)
            pack_pair_uint(&payload, "after", take_number(w));
    }
    message.payload = buffer_bytes(&payload);
    message_encode(frame, &message, NULL);
    buffer_clear(&payload);
}

static void
hand_in(struct world *w, const struct slot *slot, struct bytes frame)
{
    /* Of exactly this size: what is read beyond it is found. */
    uint8_t *copy = malloc(frame.size ? frame.size : 1);
    if (!copy)
        return;
    if (frame.size > 0)
        memcpy(copy, frame.data, frame.size);
    struct bytes rest = {copy, frame.size};
    while (slot->number != 0) {
        size_t taken = core_receive(w->core, slot->number, rest, w->now);
        ASSERT(taken <= rest.size && (taken > 0 || frame.size == 0));
        rest = (struct bytes){rest.data + taken, rest.size - taken};
        if (rest.size == 0)
            break;
        core_flush(w->core, w->now);
    }
    free(copy);
}

static void
say_records(struct world *w, const struct slot *slot, unsigned count)
{
    struct buffer frame;
    buffer_init(&frame);
    for (unsigned i = 0; i < count; i++) {
        uint8_t what = take(w);
        if (what >= 160 && what < 224) {
            add_channel_record(w, slot, &frame);
            continue;
        }
        switch (what % 8) {
        case 0:
            add_ready(w, slot, &frame);
            break;
        case 1:
            add_key_change(w, slot, &frame);
            break;
        case 2:
        case 3:
        case 4:
            add_request(w, slot, &frame);
            break;
        case 5:
        case 6:
            slot = add_answer(w, slot, &frame);
            break;
        default:
            add_record(w, slot, &frame);
        }
    }
    hand_in(w, slot, buffer_bytes(&frame));
    buffer_clear(&frame);
}

static void
connect_peer(struct world *w, struct slot *slot, size_t identity, bool greets)
{
    const char *name = identities[identity];
    unsigned rights = strcmp(name, "service:gateway") == 0 ? CORE_ACT_FOR_OTHERS : 0;
    if (strcmp(name, "user:operator") == 0)
        rights |= CORE_OPERATOR;
    if (slot->number != 0) {
        core_disconnected(w->core, slot->number, w->now);
        slot->number = 0;
    }
    enum status status =
        core_connected(w->core, ++w->last_number, text_of(name), rights, w->now, NULL);
    ASSERT(status == STATUS_OK || core_peer_count(w->core) == PEERS_MAX);
    if (status != STATUS_OK)
        return;
    *slot = (struct slot){.number = w->last_number, .identity = identity, .answer = CORE_SENT};
    if (!greets)
        return;
    struct buffer payload, frame;
    buffer_init(&payload);
    buffer_init(&frame);
    pack_hello(&payload);
    struct message hello = {
        .kind = KIND_HELLO, .source = text_of(name), .payload = buffer_bytes(&payload)};
    message_encode(&frame, &hello, NULL);
    hand_in(w, slot, buffer_bytes(&frame));
    buffer_clear(&frame);
    buffer_clear(&payload);
}

static void
pass_time(struct world *w, uint8_t choice)
{
    static const uint64_t steps_ms[] = {0, 1, 10, 200, 1000, 4000, 31000, 700000};
    uint64_t step_ms = steps_ms[choice % COUNT(steps_ms)];
    w->now.monotonic_us += step_ms * 1000;
    w->now.wall_us += step_ms * 1000;
    core_tick(w->core, w->now);
    uint64_t next_us = core_flush(w->core, w->now);
    ASSERT(next_us > w->now.monotonic_us);
}

static void
step(struct world *w)
{
    uint8_t event = take(w);
    struct slot *slot = &w->slots[take(w) % SLOTS];
    switch (event % 12) {
    case 0:
        connect_peer(w, slot, event / 12 % COUNT(identities), event < 200);
        break;
    case 1:
        core_disconnected(w->core, slot->number, w->now);
        slot->number = 0;
        break;
    case 2:
        hand_in(w, slot, take_bytes(w, take(w)));
        break;
    case 3:
        pass_time(w, event / 12);
        break;
    case 4:
        slot->answer = event < 100 ? CORE_SENT : event < 220 ? CORE_FULL : CORE_GONE;
        break;
    case 5:
        run_taps(w, event < 240);
        if (w->given && event & 64)
            core_take_back(w->core, &w->given);
        core_flush(w->core, w->now);
        ASSERT(list_is_empty(&w->core->sending.dirty));
        break;
    case 6:
        if (event < 24)
            core_misbehaved(w->core, slot->number, "several_frames", w->now);
        else if (event < 48)
            core_revoked(w->core, text_of(identities[slot->identity]), w->now);
        else
            w->pins_fail = event & 64;
        break;
    default:
        say_records(w, slot, event >= 250 ? 100 : event >= 240 ? 4 : 1);
    }
}

static void
check_that_nothing_is_left(struct world *w)
{
    for (size_t i = 0; i < SLOTS; i++) {
        core_disconnected(w->core, w->slots[i].number, w->now);
        w->slots[i].number = 0;
    }
    check(w);
    ASSERT(core_peer_count(w->core) == 0);
    ASSERT(w->core->requests.count == 0 && w->core->tap_count == 0);
    ASSERT(w->core->kept_bytes == 0 && w->core->unknown_services == 0);
    ASSERT(w->core->sending.size == 0 && w->taps_open == 0);
    ASSERT(w->core->channels->subscriptions == 0 && w->core->listen_bytes == 0);
    /* One timer may await the end of tokens that nobody here holds any more. */
    w->now.monotonic_us += TOKEN_LIFE_US;
    w->now.wall_us += TOKEN_LIFE_US;
    ASSERT(core_tick(w->core, w->now) == TIMERS_NONE);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    static const uint8_t seed[crypto_sign_SEEDBYTES] = {7};
    struct ed25519_secret_key secret;
    struct capability_grant grant = {.subject = "agent:kasra",
                                     .action = "bus:tap",
                                     .resource = "bus:*",
                                     .issued_us = 1767225600000000,
                                     .expires_us = 1767225600000000 + TOKEN_LIFE_US};
    ASSERT(sodium_init() >= 0);
    secrets = tap_secrets_new(contracts);
    ASSERT(secrets);
    crypto_sign_seed_keypair(river_public.bytes, secret.bytes, seed);
    buffer_init(&token);
    ASSERT(capability_issue(&token, &grant, &secret, NULL) == STATUS_OK);
    grant.action = "bus:publish";
    grant.resource = "squad:*";
    buffer_init(&publish_token);
    ASSERT(capability_issue(&publish_token, &grant, &secret, NULL) == STATUS_OK);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now = {.monotonic_us = 5000000, .wall_us = 1767225600000000},
                      .at = data,
                      .end = data + size};
    struct core_options options = core_options_default();
    options.epoch = 1;
    options.stream_credit = 4;
    options.peers_max = PEERS_MAX;
    options.pending_max = 5;
    options.pending_peer_max = 3;
    options.held_max = 3;
    options.held_bytes_max = 4096;
    options.hold_ms = 500;
    options.channels_max = 5;
    options.channel_history_max = 4;
    options.channel_history_bytes_max = 1000;
    options.channel_bytes_max = 2000;
    options.require_capabilities = size > 0 && data[size - 1] & 1;
    options.capability_keys = &river_public;
    options.capability_key_count = 1;
    struct core_sink sink = {.context = &w,
                             .send = sink_send,
                             .give = sink_give,
                             .cut = sink_cut,
                             .key_add = sink_key_add,
                             .key_access = sink_key_access,
                             .key_revoke = sink_key_revoke,
                             .key_forget = sink_key_forget,
                             .key_list = sink_key_list,
                             .pin_find = sink_pin_find,
                             .pin_set = sink_pin_set,
                             .tap_open = sink_tap_open,
                             .tap_close = sink_tap_close,
                             .tap_put = sink_tap_put,
                             .tap_return = sink_tap_return,
                             .audit = sink_audit};
    w.gather = tap_gather_new(secrets, emit_chunk, &w);
    w.core = core_new(&options, &sink, w.now);
    if (!w.core)
        return 0;
    for (size_t i = 0; i < PEERS_MAX && size > 0; i++)
        connect_peer(&w, &w.slots[i], (i + data[0]) % COUNT(identities), true);
    while (w.at < w.end) {
        step(&w);
        check(&w);
    }
    check_that_nothing_is_left(&w);
    run_taps(&w, true);
    core_destroy(&w.core);
    free(w.given);
    tap_gather_destroy(&w.gather);
    return 0;
}
