/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities that are taken back, and those that only service:identity can say yes to. */
#include "fixture_bus.h"
#include "fixture_tap.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/ask.h"

enum { KASRA = 1, OTHER = 2, MEMORY = 3, IDENTITY = 4 };

struct wanted {
    const char *action, *resource;
    const char *parent_id;
    int64_t uses;
    uint64_t seconds; /* 0: an hour */
};

struct token {
    struct buffer text;
    char id[CAPABILITY_ID_MAX + 1];
};

static struct token
make(const struct fixture *f, const struct river *river, struct wanted wanted)
{
    struct token token = {.id = ""};
    uint64_t life_us = (wanted.seconds ? wanted.seconds : 3600) * 1000000;
    const struct capability_grant grant = {.subject = "agent:kasra",
                                           .action = wanted.action,
                                           .resource = wanted.resource,
                                           .issued_us = f->now.wall_us,
                                           .expires_us = f->now.wall_us + life_us,
                                           .limited = wanted.uses > 0,
                                           .uses = wanted.uses,
                                           .parent_id = wanted.parent_id};
    buffer_init(&token.text);
    assert_int_equal(capability_issue(&token.text, &grant, &river->secret_key, NULL), STATUS_OK);
    struct capability *capability = NULL;
    assert_int_equal(capability_parse(&capability, buffer_text(&token.text), NULL), STATUS_OK);
    strcpy(token.id, capability_id(capability));
    capability_destroy(&capability);
    return token;
}

static struct uuid
send_revocation(struct fixture *f, peer_number peer, const char *const *ids, uint32_t count)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_string(&payload, "capabilities");
    pack_array(&payload, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_map(&payload, 2);
        pack_pair_string(&payload, "id", ids[i]);
        pack_pair_uint(&payload, "expires_us", f->now.wall_us + UINT64_C(3600000000));
    }
    struct uuid id = say(f, peer,
                         (struct message){.kind = KIND_CONTROL,
                                          .type = text_of("capability_revoke"),
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    return id;
}

/* By service:identity, which is told as well. */
static void
revoke(struct fixture *f, const char *id)
{
    send_revocation(f, IDENTITY, &id, 1);
    assert_true(
        text_equal_string(take_kind(f, IDENTITY, KIND_CONTROL)->type, "capabilities_revoked"));
    assert_int_equal(take_kind(f, IDENTITY, KIND_REPLY)->status, STATUS_OK);
}

static void
assert_told(struct fixture *f, peer_number peer, const char *const *ids, uint32_t count)
{
    struct value payload;
    const struct message *control = take_kind(f, peer, KIND_CONTROL);
    assert_true(text_equal_string(control->type, "capabilities_revoked"));
    assert_true(value_parse(control->payload, &payload));
    struct value list = list_in(&payload, "ids"), times = list_in(&payload, "expires_us");
    assert_int_equal(list.as.count, count);
    assert_int_equal(times.as.count, count);
    for (uint32_t i = 0; i < count; i++) {
        bool found = false;
        for (uint32_t j = 0; j < count; j++)
            found = found || text_equal_string(entry_of(&list, i).as.text, ids[j]);
        assert_true(found);
        assert_true(entry_of(&times, i).as.uint > f->now.wall_us);
    }
}

static struct uuid
publish_with(struct fixture *f, peer_number peer, struct text token, const struct uuid *id)
{
    struct message record = {.kind = KIND_PUBLISH,
                             .flags = MESSAGE_CONFIRM,
                             .target = text_of("squad:eng"),
                             .capability = token};
    if (id)
        record.id = *id;
    return say(f, peer, record);
}

static void
assert_error(struct fixture *f, peer_number peer, enum status status, const char *word)
{
    assert_refused(take_kind(f, peer, KIND_ERROR), status, word);
}

/* ---- revocations */

static void
services_are_told_at_once_and_when_they_come(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"cap_a", "cap_b"};
    join_service(f, IDENTITY, "identity", true, 0);
    join_service(f, MEMORY, "memory", true, 0);
    join_greeted(f, KASRA, "agent:kasra");
    send_revocation(f, IDENTITY, ids, 2);
    assert_told(f, MEMORY, ids, 2);
    assert_told(f, IDENTITY, ids, 2);
    assert_int_equal(take_kind(f, IDENTITY, KIND_REPLY)->status, STATUS_OK);
    assert_int_equal(f->capabilities_revoked, 2);
    assert_true(has_nothing(f, KASRA));

    join(f, OTHER, "service:engine", 0);
    greet(f, OTHER); /* the welcome, and right behind it: */
    assert_told(f, OTHER, ids, 2);
    greet(f, MEMORY);
    assert_told(f, MEMORY, ids, 2);
}

static void
thousands_are_told_in_several_records(void **state)
{
    struct fixture *f = *state;
    join_service(f, IDENTITY, "identity", true, 0);
    static char names[2500][24];
    for (int i = 0; i < 2500; i++)
        snprintf(names[i], sizeof names[i], "cap_%012d", i);
    for (int i = 0; i < 2500; i += 500) {
        const char *ids[500];
        for (int j = 0; j < 500; j++)
            ids[j] = names[i + j];
        send_revocation(f, IDENTITY, ids, 500);
    }
    join(f, MEMORY, "service:memory", 0);
    greet(f, MEMORY);
    uint32_t told = 0;
    for (int i = 0; i < 3; i++) {
        struct value payload;
        assert_true(value_parse(take_kind(f, MEMORY, KIND_CONTROL)->payload, &payload));
        told += list_in(&payload, "ids").as.count;
    }
    assert_int_equal(told, 2500);
}

static void
a_service_that_does_not_take_the_word_in_is_cut(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"cap_a"};
    join_service(f, IDENTITY, "identity", true, 0);
    join_service(f, MEMORY, "memory", true, 0);
    choke(f, MEMORY);
    send_revocation(f, IDENTITY, ids, 1);
    assert_true(was_cut(f, MEMORY));
    assert_false(was_cut(f, IDENTITY));
}

static void
only_identity_revokes_and_only_in_good_form(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"cap_a"}, *const empty[] = {""};
    join_greeted(f, KASRA, "agent:kasra");
    join_service(f, MEMORY, "memory", true, 0);
    join_service(f, IDENTITY, "identity", true, 0);
    send_revocation(f, KASRA, ids, 1);
    assert_error(f, KASRA, STATUS_FORBIDDEN, "not_identity_service");
    send_revocation(f, MEMORY, ids, 1);
    assert_error(f, MEMORY, STATUS_FORBIDDEN, "not_identity_service");
    send_revocation(f, IDENTITY, empty, 1);
    assert_int_equal(take_kind(f, IDENTITY, KIND_REPLY)->status, STATUS_VALIDATION);
    static const char *const bad[] = {"\xc0", "\x80",
                                      "\x81\xac"
                                      "capabilities\xc0",
                                      "\x81\xac"
                                      "capabilities\x91\x80",
                                      "\x81\xac"
                                      "capabilities\x91\x01"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        say(f, IDENTITY,
            (struct message){.kind = KIND_CONTROL,
                             .type = text_of("capability_revoke"),
                             .payload = {(const uint8_t *)bad[i], strlen(bad[i])}});
        assert_int_equal(take_kind(f, IDENTITY, KIND_REPLY)->status, STATUS_INVALID);
    }
    assert_int_equal(f->capabilities_revoked, 0);
}

static void
what_a_revoked_token_gave_ends(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct token speak =
        make(f, &river, (struct wanted){.action = "bus:publish", .resource = "squad:*"});
    struct token hear =
        make(f, &river, (struct wanted){.action = "bus:subscribe", .resource = "squad:*"});
    struct token other =
        make(f, &river, (struct wanted){.action = "bus:subscribe", .resource = "agent:river:*"});
    join_service(f, IDENTITY, "identity", true, 0);
    join_greeted(f, KASRA, "agent:kasra");
    publish_with(f, KASRA, buffer_text(&speak.text), NULL);
    take_kind(f, KASRA, KIND_ACK);
    subscribe(f, KASRA, "squad:*", LIVE_ONLY, buffer_text(&hear.text));
    take_kind(f, KASRA, KIND_ACK);
    subscribe(f, KASRA, "squad:ops", LIVE_ONLY, NO_TOKEN); /* on what it was given */
    take_kind(f, KASRA, KIND_ACK);
    subscribe(f, KASRA, "agent:river:today", LIVE_ONLY, buffer_text(&other.text));
    take_kind(f, KASRA, KIND_ACK);

    revoke(f, hear.id);
    assert_error(f, KASRA, STATUS_SCOPE_DENIED, "capability_revoked");
    assert_error(f, KASRA, STATUS_SCOPE_DENIED, "capability_revoked");
    publish_with(f, KASRA, NO_TOKEN, NULL);
    take_kind(f, KASRA, KIND_ACK); /* and no event before it */
    assert_true(has_nothing(f, KASRA));
    subscribe(f, KASRA, "squad:ops", LIVE_ONLY, NO_TOKEN);
    assert_error(f, KASRA, STATUS_CAPABILITY_MISSING, "missing_capability");
    subscribe(f, KASRA, "squad:ops", LIVE_ONLY, buffer_text(&hear.text));
    assert_error(f, KASRA, STATUS_SCOPE_DENIED, "capability_revoked");
    subscribe(f, KASRA, "agent:river:tomorrow", LIVE_ONLY, NO_TOKEN); /* the others stay */
    take_kind(f, KASRA, KIND_ACK);

    revoke(f, speak.id);
    publish_with(f, KASRA, NO_TOKEN, NULL);
    assert_error(f, KASRA, STATUS_CAPABILITY_MISSING, "missing_capability");
    publish_with(f, KASRA, buffer_text(&speak.text), NULL);
    assert_error(f, KASRA, STATUS_SCOPE_DENIED, "capability_revoked");
    buffer_clear(&speak.text);
    buffer_clear(&hear.text);
    buffer_clear(&other.text);
}

static void
streams_under_a_revoked_token_end(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct token tap = make(f, &river, (struct wanted){.action = "bus:tap", .resource = "bus:*"});
    struct token hear =
        make(f, &river, (struct wanted){.action = "bus:subscribe", .resource = "squad:*"});
    join_service(f, IDENTITY, "identity", true, 0);
    join_greeted(f, KASRA, "agent:kasra");
    bus_ask(f, KASRA, "bus_listen", MESSAGE_STREAM, buffer_text(&hear.text), "agent_id",
            "agent:kasra", "inbox", "none", "channels", "squad:eng,squad:ops", NULL);
    take_kind(f, KASRA, KIND_CHUNK);
    revoke(f, hear.id);
    assert_refused(take_kind(f, KASRA, KIND_REPLY), STATUS_SCOPE_DENIED, "capability_revoked");

    bus_ask(f, KASRA, "tap", MESSAGE_STREAM, buffer_text(&tap.text), NULL);
    take_kind(f, KASRA, KIND_CHUNK);
    revoke(f, tap.id);
    assert_refused(take_kind(f, KASRA, KIND_REPLY), STATUS_SCOPE_DENIED, "capability_revoked");
    assert_int_equal(f->tap->open, 0);
    buffer_clear(&tap.text);
    buffer_clear(&hear.text);
}

/* A session that is heard of stays. */
static void
pass(struct fixture *f, uint64_t ms)
{
    say(f, KASRA, (struct message){.kind = KIND_HEARTBEAT});
    forget_frames(f, KASRA);
    advance_ms(f, ms);
}

static void
what_a_token_gave_ends_when_it_expires(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct token hear = make(
        f, &river, (struct wanted){.action = "bus:subscribe", .resource = "squad:*", .seconds = 2});
    struct token tap =
        make(f, &river, (struct wanted){.action = "bus:tap", .resource = "bus:*", .seconds = 3});
    struct token later = make(
        f, &river, (struct wanted){.action = "bus:subscribe", .resource = "squad:*", .seconds = 5});
    join_greeted(f, KASRA, "agent:kasra");
    subscribe(f, KASRA, "squad:eng", LIVE_ONLY, buffer_text(&hear.text));
    take_kind(f, KASRA, KIND_ACK);
    subscribe(f, KASRA, "squad:ops", LIVE_ONLY, buffer_text(&hear.text));
    take_kind(f, KASRA, KIND_ACK);
    bus_ask(f, KASRA, "tap", MESSAGE_STREAM, buffer_text(&tap.text), NULL);
    take_kind(f, KASRA, KIND_CHUNK);
    subscribe(f, KASRA, "squad:ops", LIVE_ONLY, buffer_text(&later.text)); /* lasts longer */
    forget_frames(f, KASRA);

    pass(f, 1900);
    forget_frames(f, KASRA);
    assert_int_equal(f->tap->open, 1);
    pass(f, 200);
    assert_error(f, KASRA, STATUS_TOKEN_EXPIRED, "token_expired");
    forget_frames(f, KASRA);
    assert_int_equal(f->tap->open, 1);
    pass(f, 1000);
    assert_refused(take_kind(f, KASRA, KIND_REPLY), STATUS_TOKEN_EXPIRED, "token_expired");
    assert_int_equal(f->tap->open, 0);
    pass(f, 1500);
    forget_frames(f, KASRA);
    pass(f, 1000);
    assert_error(f, KASRA, STATUS_TOKEN_EXPIRED, "token_expired");
    pass(f, 1000);
    assert_true(has_nothing(f, KASRA));
    buffer_clear(&hear.text);
    buffer_clear(&tap.text);
    buffer_clear(&later.text);
}

static void
a_revocation_holds_though_the_disk_did_not_take_it(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct token speak =
        make(f, &river, (struct wanted){.action = "bus:publish", .resource = "squad:*"});
    join_service(f, IDENTITY, "identity", true, 0);
    join_greeted(f, KASRA, "agent:kasra");
    f->revoke_fails = true;
    const char *id = speak.id;
    send_revocation(f, IDENTITY, &id, 1);
    take_kind(f, IDENTITY, KIND_CONTROL);
    assert_int_equal(take_kind(f, IDENTITY, KIND_REPLY)->status, STATUS_STORE_FAILED);
    publish_with(f, KASRA, buffer_text(&speak.text), NULL);
    assert_error(f, KASRA, STATUS_SCOPE_DENIED, "capability_revoked");
    buffer_clear(&speak.text);
}

/* ---- asking */

/* The question, and what must stand in it. */
static struct uuid
take_question(struct fixture *f, const char *action, const char *resource)
{
    struct value payload;
    const struct message *question = take_kind(f, IDENTITY, KIND_REQUEST);
    assert_true(text_equal_string(question->type, "capability_use"));
    assert_true(text_equal_string(question->source, "service:bus"));
    assert_true(value_parse(question->payload, &payload));
    assert_true(text_equal_string(text_in(&payload, "action"), action));
    assert_true(text_equal_string(text_in(&payload, "resource"), resource));
    assert_true(text_in(&payload, "capability").size > 0);
    struct uuid name;
    assert_true(uuid_parse(text_in(&payload, "request_id"), &name));
    return question->id;
}

static void
say_yes(struct fixture *f, const struct uuid *question)
{
    static const uint8_t free_use[] = "\x81\xa9uses_left\xc0";
    say(f, IDENTITY,
        (struct message){.kind = KIND_REPLY,
                         .correlation = *question,
                         .payload = {free_use, sizeof free_use - 1}});
}

static void
say_no(struct fixture *f, const struct uuid *question, enum status status, const char *word)
{
    struct error error = ERROR_INIT;
    struct buffer payload;
    buffer_init(&payload);
    error_set_word(&error, word, "no");
    error_pack(&payload, status, &error);
    say(f, IDENTITY,
        (struct message){.kind = KIND_REPLY,
                         .correlation = *question,
                         .status = (uint32_t)status,
                         .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

struct asking {
    struct river river;
    struct token token;
};

static struct asking
begin(struct fixture *f, struct wanted wanted)
{
    struct asking asking = {.river = river_trusted(f, true)};
    asking.token = make(f, &asking.river, wanted);
    join_service(f, IDENTITY, "identity", true, 0);
    join_greeted(f, KASRA, "agent:kasra");
    return asking;
}

static const struct wanted counted = {.action = "bus:publish", .resource = "squad:*", .uses = 2};
static const struct wanted delegated = {
    .action = "bus:publish", .resource = "squad:*", .parent_id = "cap_parent"};

static void
each_counted_publish_waits_for_identity(void **state)
{
    struct fixture *f = *state;
    struct asking asking = begin(f, counted);
    for (int i = 0; i < 2; i++) {
        struct uuid id = publish_with(f, KASRA, buffer_text(&asking.token.text), NULL);
        assert_true(has_nothing(f, KASRA));
        struct uuid question = take_question(f, "bus:publish", "squad:eng");
        say_yes(f, &question);
        assert_true(uuid_equal(&take_kind(f, KASRA, KIND_ACK)->correlation, &id));
    }
    publish_with(f, KASRA, buffer_text(&asking.token.text), NULL);
    struct uuid question = take_question(f, "bus:publish", "squad:eng");
    say_no(f, &question, STATUS_SCOPE_DENIED, "capability_used_up");
    assert_error(f, KASRA, STATUS_SCOPE_DENIED, "capability_used_up");
    publish_with(f, KASRA, NO_TOKEN, NULL); /* nothing was given for the session */
    assert_error(f, KASRA, STATUS_CAPABILITY_MISSING, "missing_capability");
    buffer_clear(&asking.token.text);
}

static struct uuid
name_asked(struct fixture *f)
{
    struct value payload;
    struct uuid name;
    assert_true(value_parse(take_kind(f, IDENTITY, KIND_REQUEST)->payload, &payload));
    assert_true(uuid_parse(text_in(&payload, "request_id"), &name));
    return name;
}

static void
a_record_that_is_sent_twice_is_two_uses(void **state)
{
    struct fixture *f = *state;
    struct asking asking = begin(f, counted);
    const struct uuid same = {{7, 7, 7}};
    publish_with(f, KASRA, buffer_text(&asking.token.text), &same);
    struct uuid first = name_asked(f), question = f->received.id;
    publish_with(f, KASRA, buffer_text(&asking.token.text), &same);
    struct uuid second = name_asked(f);
    assert_false(uuid_equal(&first, &second));
    say_yes(f, &question);
    take_kind(f, KASRA, KIND_ACK);
    publish_with(f, KASRA, buffer_text(&asking.token.text), &same);
    struct uuid third = name_asked(f);
    assert_false(uuid_equal(&first, &third));
    buffer_clear(&asking.token.text);
}

static void
a_delegated_token_is_asked_for_once_a_session(void **state)
{
    struct fixture *f = *state;
    struct asking asking = begin(f, delegated);
    publish_with(f, KASRA, buffer_text(&asking.token.text), NULL);
    struct uuid question = take_question(f, "bus:publish", "squad:eng");
    say_yes(f, &question);
    take_kind(f, KASRA, KIND_ACK);
    publish_with(f, KASRA, NO_TOKEN, NULL);
    take_kind(f, KASRA, KIND_ACK);
    publish_with(f, KASRA, buffer_text(&asking.token.text), NULL);
    take_kind(f, KASRA, KIND_ACK);
    assert_true(has_nothing(f, IDENTITY));

    revoke(f, "cap_parent");
    publish_with(f, KASRA, NO_TOKEN, NULL);
    assert_error(f, KASRA, STATUS_CAPABILITY_MISSING, "missing_capability");
    publish_with(f, KASRA, buffer_text(&asking.token.text), NULL);
    assert_error(f, KASRA, STATUS_SCOPE_DENIED, "capability_revoked");
    buffer_clear(&asking.token.text);
}

static void
operations_of_the_bus_and_taps_wait_too(void **state)
{
    struct fixture *f = *state;
    struct asking asking = begin(f, counted);
    bus_ask(f, KASRA, "bus_publish", 0, buffer_text(&asking.token.text), "from", "agent:kasra",
            "channel", "squad:eng", NULL);
    struct uuid question = take_question(f, "bus:publish", "squad:eng");
    assert_true(has_nothing(f, KASRA));
    say_yes(f, &question);
    bus_take_reply(f, KASRA);

    struct token tap =
        make(f, &asking.river,
             (struct wanted){.action = "bus:tap", .resource = "bus:*", .parent_id = "cap_parent"});
    bus_ask(f, KASRA, "tap", MESSAGE_STREAM, buffer_text(&tap.text), NULL);
    question = take_question(f, "bus:tap", "bus:tap");
    assert_int_equal(audited(f, "tap.", ""), 0);
    say_yes(f, &question);
    take_kind(f, KASRA, KIND_CHUNK);
    assert_int_equal(audited(f, "tap.started", tap.id), 1);
    buffer_clear(&tap.text);
    buffer_clear(&asking.token.text);
}

static void
a_cancelled_request_does_not_begin_with_the_yes(void **state)
{
    struct fixture *f = *state;
    struct asking asking = begin(
        f, (struct wanted){.action = "bus:tap", .resource = "bus:*", .parent_id = "cap_parent"});
    struct uuid id =
        bus_ask(f, KASRA, "tap", MESSAGE_STREAM, buffer_text(&asking.token.text), NULL);
    struct uuid question = take_question(f, "bus:tap", "bus:tap");
    say(f, KASRA, (struct message){.kind = KIND_CANCEL, .correlation = id});
    say_yes(f, &question);
    assert_int_equal(f->tap->open, 0);
    assert_true(has_nothing(f, KASRA));
    buffer_clear(&asking.token.text);
}

static void
without_identity_nothing_is_let_through(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct token token = make(f, &river, counted);
    join_greeted(f, KASRA, "agent:kasra");
    publish_with(f, KASRA, buffer_text(&token.text), NULL);
    assert_error(f, KASRA, STATUS_UNAVAILABLE, "service_unavailable");

    join_service(f, IDENTITY, "identity", true, 0);
    publish_with(f, KASRA, buffer_text(&token.text), NULL);
    struct uuid question = take_question(f, "bus:publish", "squad:eng");
    advance_ms(f, ASK_MS - 1);
    forget_frames(f, IDENTITY);
    assert_true(has_nothing(f, KASRA) || !was_cut(f, KASRA));
    forget_frames(f, KASRA);
    advance_ms(f, 1);
    assert_error(f, KASRA, STATUS_UNAVAILABLE, "service_unavailable");
    forget_frames(f, KASRA);
    say_yes(f, &question); /* too late */
    core_flush(f->core, f->now);
    assert_true(has_nothing(f, KASRA));
    buffer_clear(&token.text);
}

static void
nobody_else_answers_for_identity(void **state)
{
    struct fixture *f = *state;
    struct asking asking = begin(f, counted);
    join_service(f, MEMORY, "memory", true, 0);
    publish_with(f, KASRA, buffer_text(&asking.token.text), NULL);
    struct uuid question = take_question(f, "bus:publish", "squad:eng");
    answer(f, MEMORY, &question, "");
    answer(f, KASRA, &question, "");
    assert_error(f, KASRA, STATUS_NOT_FOUND, "request_unknown");
    assert_true(has_nothing(f, KASRA));
    say_yes(f, &question);
    take_kind(f, KASRA, KIND_ACK);
    buffer_clear(&asking.token.text);
}

static void
only_so_many_wait_for_one_peer(void **state)
{
    struct fixture *f = *state;
    struct asking asking = begin(f, counted);
    for (int i = 0; i < ASKS_PEER_MAX; i++)
        publish_with(f, KASRA, buffer_text(&asking.token.text), NULL);
    assert_true(has_nothing(f, KASRA));
    publish_with(f, KASRA, buffer_text(&asking.token.text), NULL);
    assert_error(f, KASRA, STATUS_BUSY, "service_busy");
    core_disconnected(f->core, KASRA, f->now); /* takes all of them along */
    join_greeted(f, OTHER, "agent:kasra");
    publish_with(f, OTHER, buffer_text(&asking.token.text), NULL);
    assert_true(has_nothing(f, OTHER));
    buffer_clear(&asking.token.text);
}

/* ---- whose fault it is */

static void
those_who_speak_through_the_gateway_cannot_have_it_cut(void **state)
{
    struct fixture *f = *state;
    river_trusted(f, true);
    join(f, 1, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 1);
    for (int i = 0; i < 150; i++) {
        say(f, 1,
            (struct message){.kind = KIND_REQUEST,
                             .target = text_of("service:bus"),
                             .type = text_of("bus_peers"),
                             .principal = text_of("user:anybody")});
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_CAPABILITY_MISSING,
                       "missing_capability");
    }
    assert_false(was_cut(f, 1));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(services_are_told_at_once_and_when_they_come),
        TEST(thousands_are_told_in_several_records),
        TEST(a_service_that_does_not_take_the_word_in_is_cut),
        TEST(only_identity_revokes_and_only_in_good_form),
        TEST(what_a_revoked_token_gave_ends),
        TEST(streams_under_a_revoked_token_end),
        TEST(what_a_token_gave_ends_when_it_expires),
        TEST(a_revocation_holds_though_the_disk_did_not_take_it),
        TEST(each_counted_publish_waits_for_identity),
        TEST(a_record_that_is_sent_twice_is_two_uses),
        TEST(a_delegated_token_is_asked_for_once_a_session),
        TEST(operations_of_the_bus_and_taps_wait_too),
        TEST(a_cancelled_request_does_not_begin_with_the_yes),
        TEST(without_identity_nothing_is_let_through),
        TEST(nobody_else_answers_for_identity),
        TEST(only_so_many_wait_for_one_peer),
        TEST(those_who_speak_through_the_gateway_cannot_have_it_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
