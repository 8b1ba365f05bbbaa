/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_bus.h"

#include <sodium.h>
#include <stdlib.h>

struct river
river_trusted(struct fixture *f, bool enforced)
{
    struct river river;
    crypto_sign_keypair(river.public_key.bytes, river.secret_key.bytes);
    f->options.capability_keys = &river.public_key;
    f->options.capability_key_count = 1;
    f->options.require_capabilities = enforced;
    fixture_restart(f);
    f->options.capability_keys = NULL;
    f->options.capability_key_count = 0;
    return river;
}

struct buffer
river_token(const struct fixture *f, const struct river *river, const char *subject,
            const char *action, const char *resource)
{
    struct capability_grant grant = {.subject = subject,
                                     .action = action,
                                     .resource = resource,
                                     .issued_us = f->now.wall_us,
                                     .expires_us = f->now.wall_us + UINT64_C(3600000000)};
    struct error error = ERROR_INIT;
    struct buffer token;
    buffer_init(&token);
    assert_int_equal(capability_issue(&token, &grant, &river->secret_key, &error), STATUS_OK);
    return token;
}

static void
pack_value(struct buffer *out, const char *text)
{
    if (text[0] == '#')
        pack_uint(out, strtoull(text + 1, NULL, 10));
    else
        pack_string(out, text);
}

struct uuid
bus_ask(struct fixture *f, peer_number peer, const char *type, uint32_t flags, struct text token,
        ...)
{
    struct buffer pairs, payload;
    uint32_t count = 0;
    va_list list;
    buffer_init(&pairs);
    buffer_init(&payload);
    va_start(list, token);
    for (const char *name; (name = va_arg(list, const char *)); count++) {
        pack_string(&pairs, name);
        pack_value(&pairs, va_arg(list, const char *));
    }
    va_end(list);
    pack_map(&payload, count);
    buffer_append(&payload, pairs.data, pairs.size);
    struct uuid id = say(f, peer,
                         (struct message){.kind = KIND_REQUEST,
                                          .flags = flags,
                                          .target = text_of("service:bus"),
                                          .type = text_of(type),
                                          .ttl_ms = 60000,
                                          .capability = token,
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&pairs);
    buffer_clear(&payload);
    return id;
}

struct value
bus_take_reply(struct fixture *f, peer_number peer)
{
    struct value payload;
    const struct message *reply = take_kind(f, peer, KIND_REPLY);
    assert_int_equal(reply->status, STATUS_OK);
    assert_true(value_parse(reply->payload, &payload));
    return payload;
}

uint64_t
uint_in(const struct value *map, const char *key)
{
    uint64_t number = 0;
    assert_true(value_find_uint(map, key, &number));
    return number;
}

struct text
text_in(const struct value *map, const char *key)
{
    struct text text = {"", 0};
    value_find_text(map, key, &text);
    return text;
}

struct value
list_in(const struct value *map, const char *key)
{
    struct value list;
    assert_true(value_find(map, key, &list));
    assert_int_equal(list.type, VALUE_ARRAY);
    return list;
}

struct value
entry_of(const struct value *list, uint32_t index)
{
    struct entries entries = value_entries(list);
    struct value entry;
    do
        assert_true(entries_next(&entries, &entry));
    while (index-- > 0);
    return entry;
}

struct uuid
subscribe(struct fixture *f, peer_number peer, const char *channel, int64_t after,
          struct text token)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, after < 0 ? 1 : 2);
    pack_pair_string(&payload, "channel", channel);
    if (after >= 0)
        pack_pair_uint(&payload, "after", (uint64_t)after);
    struct uuid id =
        say(f, peer,
            (struct message){
                .kind = KIND_SUBSCRIBE, .capability = token, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    return id;
}

uint64_t
subscribe_well(struct fixture *f, peer_number peer, const char *channel, int64_t after)
{
    struct uuid id = subscribe(f, peer, channel, after, NO_TOKEN);
    const struct message *ack = take_kind(f, peer, KIND_ACK);
    assert_true(uuid_equal(&ack->correlation, &id));
    return ack->seq;
}

void
unsubscribe_well(struct fixture *f, peer_number peer, const char *channel)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "channel", channel);
    struct uuid id =
        say(f, peer, (struct message){.kind = KIND_UNSUBSCRIBE, .payload = buffer_bytes(&payload)});
    assert_true(uuid_equal(&take_kind(f, peer, KIND_ACK)->correlation, &id));
    buffer_clear(&payload);
}

struct uuid
publish(struct fixture *f, peer_number peer, const char *channel, uint64_t number, uint32_t flags)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_uint(&payload, number);
    struct uuid id = say(f, peer,
                         (struct message){.kind = KIND_PUBLISH,
                                          .flags = flags,
                                          .target = text_of(channel),
                                          .type = text_of("note"),
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    return id;
}

uint64_t
take_event(struct fixture *f, peer_number peer, const char *channel, uint64_t number)
{
    struct value payload;
    const struct message *event = take_kind(f, peer, KIND_EVENT);
    assert_true(text_equal_string(event->target, channel));
    assert_true(value_parse(event->payload, &payload));
    assert_int_equal(payload.type, VALUE_UINT);
    assert_int_equal(payload.as.uint, number);
    return event->seq;
}

void
forget_frames(struct fixture *f, peer_number peer)
{
    struct outbox *outbox = &f->outboxes[peer];
    core_flush(f->core, f->now);
    for (size_t i = 0; i < outbox->count; i++)
        free((void *)(uintptr_t)outbox->frames[i].data);
    outbox->count = outbox->read = outbox->offset = 0;
}
