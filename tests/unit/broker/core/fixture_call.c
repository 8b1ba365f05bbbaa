/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_call.h"

#include "fixture_mail.h"

struct call
call_new(void)
{
    struct call call = {.count = 0};
    buffer_init(&call.map);
    return call;
}

void
call_text(struct call *call, const char *key, const char *value)
{
    pack_pair_string(&call->map, key, value);
    call->count++;
}

void
call_number(struct call *call, const char *key, uint64_t value)
{
    pack_pair_uint(&call->map, key, value);
    call->count++;
}

void
call_true(struct call *call, const char *key)
{
    pack_pair_bool(&call->map, key, true);
    call->count++;
}

void
call_id(struct call *call, const char *key, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    call_text(call, key, text);
}

void
call_texts(struct call *call, const char *key, const char *const *texts, uint32_t count)
{
    pack_string(&call->map, key);
    pack_array(&call->map, count);
    for (uint32_t i = 0; i < count; i++)
        pack_string(&call->map, texts[i]);
    call->count++;
}

struct call
call_inbox(const char *inbox, uint64_t limit)
{
    struct call call = call_new();
    call_text(&call, "agent_id", inbox);
    call_number(&call, "limit", limit);
    return call;
}

struct call
call_receipt(const char *inbox, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    const char *const texts[] = {text, "unknown"};
    struct call call = call_new();
    call_text(&call, "agent_id", inbox);
    call_texts(&call, "ids", texts, 2);
    return call;
}

struct uuid
call_make(struct fixture *f, peer_number peer, const char *type, struct call *call)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, call->count);
    pack_raw(&payload, buffer_bytes(&call->map));
    struct uuid id = say(f, peer,
                         (struct message){.kind = KIND_REQUEST,
                                          .target = text_of("service:bus"),
                                          .type = text_of(type),
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    buffer_clear(&call->map);
    return id;
}

struct value
call_reply(struct fixture *f, peer_number peer, const struct uuid *id)
{
    struct value map;
    const struct message *reply = take_kind(f, peer, KIND_REPLY);
    assert_true(uuid_equal(&reply->correlation, id));
    assert_int_equal(reply->status, STATUS_OK);
    assert_true(value_parse(reply->payload, &map));
    return map;
}

struct value
call_result(struct fixture *f, peer_number peer, const char *type, struct call *call)
{
    struct uuid id = call_make(f, peer, type, call);
    mail_settle(f);
    return call_reply(f, peer, &id);
}

void
call_fails(struct fixture *f, peer_number peer, const char *type, struct call *call,
           enum status status, const char *word)
{
    call_make(f, peer, type, call);
    mail_settle(f);
    assert_refused(take_kind(f, peer, KIND_REPLY), status, word);
}

bool
text_is(const struct value *map, const char *key, const char *text)
{
    struct text found;
    return value_find_text(map, key, &found) && text_equal_string(found, text);
}

bool
id_is(const struct value *map, const char *key, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    return text_is(map, key, text);
}

struct uuid
id_in(const struct value *map, const char *key)
{
    struct uuid id;
    assert_true(uuid_parse(text_in(map, key), &id));
    return id;
}

uint32_t
length_in(const struct value *map, const char *key)
{
    return list_in(map, key).as.count;
}

struct value
item_in(const struct value *map, const char *key, uint32_t index)
{
    struct value list = list_in(map, key);
    return entry_of(&list, index);
}
