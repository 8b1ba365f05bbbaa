/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/access.h"
#include "kernel/identity.h"
#include "tests/unit/broker/core/fixture.h"

enum { KASRA = 1, IDENTITY = 2, OTHER = 3 };

static int
setup(void **state)
{
    int code = fixture_setup(state);
    if (code == 0)
        join_service(*state, IDENTITY, "identity", true, 8);
    return code;
}

/* control from service:identity; the answer is taken. */
static const struct message *
order(struct fixture *f, const char *type, const char *identity, const char *key,
      const char *access)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1u + (key ? 1 : 0) + (access ? 1 : 0));
    pack_pair_string(&payload, "identity", identity);
    if (key)
        pack_pair_string(&payload, "curve_public_key", key);
    if (access)
        pack_pair_string(&payload, "access", access);
    say(f, IDENTITY,
        (struct message){.kind = KIND_CONTROL,
                         .target = text_of("service:bus"),
                         .type = text_of(type),
                         .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    return take_kind(f, IDENTITY, KIND_REPLY);
}

static void
restrict_to(struct fixture *f, const char *access)
{
    assert_int_equal(order(f, "key_access", "agent:kasra", NULL, access)->status, STATUS_OK);
}

/* A request of KASRA; what it got as answer. */
static const struct message *
request(struct fixture *f, const char *target, const char *type, const char *id)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "id", id);
    say(f, KASRA,
        (struct message){.kind = KIND_REQUEST,
                         .target = text_of(target),
                         .type = text_of(type),
                         .ttl_ms = 1000,
                         .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    return has_nothing(f, KASRA) ? NULL : take_kind(f, KASRA, KIND_REPLY);
}

static bool
is_refused(const struct message *answer, const char *word)
{
    struct value payload;
    struct text detail;
    return answer && answer->status == STATUS_FORBIDDEN && value_parse(answer->payload, &payload) &&
           value_find_text(&payload, "detail", &detail) && text_equal_string(detail, word);
}

static void
words_are_read_as_they_are_written(void **state)
{
    enum access access;
    (void)state;
    for (int i = 0; i < ACCESSES; i++) {
        assert_true(access_parse(text_of(access_word((enum access)i)), &access));
        assert_int_equal(access, i);
    }
    assert_false(access_parse(text_of("all"), &access));
    assert_false(access_parse((struct text){NULL, 0}, &access));
}

static void
only_those_with_less_than_full_are_kept(void **state)
{
    static const uint8_t key[16] = {1};
    struct accesses *accesses = accesses_new(key);
    char name[32];
    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "agent:a%d", i);
        assert_int_equal(access_set(accesses, text_of(name), (enum access)(i % ACCESSES)),
                         STATUS_OK);
    }
    assert_int_equal(access_count(accesses), 225);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "agent:a%d", i);
        assert_int_equal(access_of(accesses, text_of(name)), i % ACCESSES);
        access_set(accesses, text_of(name), ACCESS_FULL);
    }
    assert_int_equal(access_count(accesses), 0);
    assert_int_equal(access_of(accesses, text_of("user:anonymous-0123456789abcdef")),
                     ACCESS_ONBOARDING);
    accesses_destroy(&accesses);
}

/* Every kind that a peer may say, by access: what the refusal says, or NULL. */
static void
each_kind_is_allowed_or_refused_by_access(void **state)
{
    static const struct {
        enum kind kind;
        const char *read_only, *onboarding;
    } rows[] = {
        {KIND_READY, "suspended", "not_active"},
        {KIND_REPLY, "suspended", "not_active"},
        {KIND_CHUNK, "suspended", "not_active"},
        {KIND_SEND, "suspended", "not_active"},
        {KIND_PUBLISH, "suspended", "not_active"},
        {KIND_ACK, NULL, "not_active"},
        {KIND_NACK, NULL, "not_active"},
        {KIND_SUBSCRIBE, NULL, "not_active"},
        {KIND_UNSUBSCRIBE, NULL, "not_active"},
        {KIND_CONTROL, NULL, "not_active"},
        {KIND_CANCEL, NULL, NULL},
        {KIND_HEARTBEAT, NULL, NULL},
        {KIND_BYE, NULL, NULL},
    };
    struct fixture *f = *state;
    for (int access = ACCESS_READ_ONLY; access <= ACCESS_ONBOARDING; access++) {
        assert_int_equal(core_access(f->core, text_of("agent:kasra"), (enum access)access),
                         STATUS_OK);
        join_greeted(f, (peer_number)(3 + access), "agent:kasra");
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            peer_number peer = (peer_number)(3 + access);
            const char *word = access == ACCESS_READ_ONLY ? rows[i].read_only : rows[i].onboarding;
            say(f, peer,
                (struct message){.kind = rows[i].kind,
                                 .target = text_of("agent:kasra:x"),
                                 .type = text_of("credit"),
                                 .correlation = f->last_id});
            bool refused = false;
            while (!has_nothing(f, peer)) {
                const struct message *answer = take(f, peer);
                refused =
                    refused || is_refused(answer, "suspended") || is_refused(answer, "not_active");
                if (word && answer->kind == KIND_ERROR)
                    assert_refused(answer, STATUS_FORBIDDEN, word);
            }
            if (refused != (word != NULL))
                fail_msg("%s as %s", kind_word(rows[i].kind), access_word((enum access)access));
        }
        assert_false(was_cut(f, (peer_number)(3 + access)));
    }
}

static void
who_is_suspended_reads_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, KASRA, "agent:kasra");
    restrict_to(f, "read_only");
    assert_true(is_refused(request(f, "service:memory", "memory_store", "x"), "suspended"));
    assert_true(is_refused(request(f, "service:identity", "identity_suspend", "x"), "suspended"));
    assert_true(is_refused(request(f, "service:unheard", "of", "x"), "suspended"));
    assert_false(is_refused(request(f, "service:memory", "memory_query", "x"), "suspended"));
    assert_false(is_refused(request(f, "service:unheard", "health_check", "x"), "suspended"));
    assert_int_equal(request(f, "service:bus", "health_check", "x")->status, STATUS_OK);
    restrict_to(f, "full");
    assert_false(is_refused(request(f, "service:memory", "memory_store", "x"), "suspended"));
}

static void
who_is_onboarded_says_who_it_is_and_looks_at_itself(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(core_access(f->core, text_of("agent:kasra"), ACCESS_ONBOARDING), STATUS_OK);
    join_greeted(f, KASRA, "agent:kasra");
    assert_null(request(f, "service:identity", "identity_identify", "x")); /* passed on */
    assert_null(request(f, "service:identity", "identity_verify", "x"));
    assert_null(request(f, "service:identity", "identity_get", "agent:kasra"));
    assert_true(
        is_refused(request(f, "service:identity", "identity_get", "agent:other"), "not_active"));
    assert_true(is_refused(request(f, "service:identity", "identity_list", "x"), "not_active"));
    assert_true(
        is_refused(request(f, "service:memory", "identity_get", "agent:kasra"), "not_active"));
    assert_true(is_refused(request(f, "service:bus", "bus_peers", "x"), "not_active"));
    assert_int_equal(request(f, "service:bus", "health_check", "x")->status, STATUS_OK);
}

static void
who_is_not_active_any_more_is_cut(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, KASRA, "agent:kasra");
    restrict_to(f, "onboarding");
    assert_true(was_cut(f, KASRA));
}

static void
no_order_restricts_a_service(void **state)
{
    struct fixture *f = *state;
    assert_refused(order(f, "key_access", "service:tools", NULL, "read_only"), STATUS_FORBIDDEN,
                   "identity_reserved");
}

static void
who_speaks_for_a_suspended_agent_may_no_more_than_it(void **state)
{
    struct fixture *f = *state;
    struct buffer payload;
    join(f, OTHER, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, OTHER);
    restrict_to(f, "read_only");
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "agent_id", "agent:kasra");
    pack_pair_string(&payload, "content", "x");
    for (int i = 0; i < 110; i++) { /* and is not to blame */
        say(f, OTHER,
            (struct message){.kind = KIND_REQUEST,
                             .target = text_of("service:memory"),
                             .type = text_of("memory_store"),
                             .principal = text_of("user:local"),
                             .payload = buffer_bytes(&payload)});
        assert_true(is_refused(take_kind(f, OTHER, KIND_REPLY), "suspended"));
    }
    say(f, OTHER,
        (struct message){.kind = KIND_SEND,
                         .target = text_of("agent:x"),
                         .type = text_of("note"),
                         .principal = text_of("agent:kasra")});
    assert_refused(take_kind(f, OTHER, KIND_ERROR), STATUS_FORBIDDEN, "suspended");
    buffer_clear(&payload);
    assert_false(was_cut(f, OTHER));
}

static void
who_is_revoked_may_nothing_by_whomever(void **state)
{
    struct fixture *f = *state;
    struct buffer payload;
    join(f, OTHER, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, OTHER);
    order(f, "key_revoke", "agent:kasra", NULL, NULL);
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "agent_id", "agent:kasra");
    pack_pair_string(&payload, "query", "x");
    say(f, OTHER,
        (struct message){.kind = KIND_REQUEST,
                         .target = text_of("service:memory"),
                         .type = text_of("memory_query"),
                         .principal = text_of("user:local"),
                         .payload = buffer_bytes(&payload)});
    assert_true(is_refused(take_kind(f, OTHER, KIND_REPLY), "not_active"));
    buffer_clear(&payload);
}

static void
less_holds_even_if_it_could_not_be_written_and_more_does_not(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, KASRA, "agent:kasra");
    f->access_fails = true;
    assert_int_equal(order(f, "key_access", "agent:kasra", NULL, "read_only")->status,
                     STATUS_STORE_FAILED);
    assert_true(is_refused(request(f, "service:memory", "memory_store", "x"), "suspended"));
    assert_int_equal(order(f, "key_access", "agent:kasra", NULL, "full")->status,
                     STATUS_STORE_FAILED);
    assert_true(is_refused(request(f, "service:memory", "memory_store", "x"), "suspended"));
}

static void
orders_that_make_no_sense_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(order(f, "key_access", "agent:kasra", NULL, "none")->status, STATUS_INVALID);
    assert_int_equal(order(f, "key_access", "agent:kasra", NULL, NULL)->status, STATUS_INVALID);
    assert_int_equal(order(f, "key_access", "kasra", NULL, "full")->status, STATUS_VALIDATION);
    assert_int_equal(order(f, "key_add", "agent:kasra", "k", "everything")->status, STATUS_INVALID);
    assert_int_equal(order(f, "key_add", "user:anonymous-1", "k", "full")->status,
                     STATUS_FORBIDDEN);
    assert_int_equal(order(f, "key_forget", "agent:kasra", NULL, NULL)->status, STATUS_INVALID);
    assert_int_equal(f->keys_added + f->keys_revoked + f->keys_forgotten, 0);
}

static void
one_key_of_several_is_revoked_alone(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, KASRA, "agent:kasra");
    core_key(f->core, KASRA, text_of("old"));
    join_greeted(f, OTHER, "agent:kasra");
    core_key(f->core, OTHER, text_of("new"));
    order(f, "key_revoke", "agent:kasra", "old", NULL);
    assert_true(was_cut(f, KASRA));
    assert_false(was_cut(f, OTHER));
    order(f, "key_revoke", "agent:kasra", NULL, NULL);
    assert_true(was_cut(f, OTHER));
}

static void
who_is_forgotten_is_cut_and_unknown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(core_access(f->core, text_of("agent:kasra"), ACCESS_ONBOARDING), STATUS_OK);
    join_greeted(f, KASRA, "agent:kasra");
    assert_int_equal(order(f, "key_forget", "agent:kasra", "k", NULL)->status, STATUS_OK);
    assert_int_equal(f->keys_forgotten, 1);
    assert_true(was_cut(f, KASRA));
}

static void
there_are_only_so_many_strangers_at_once(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    char name[IDENTITY_ANONYMOUS_SIZE];
    for (unsigned i = 0; i < ANONYMOUS_MAX; i++) {
        snprintf(name, sizeof name, IDENTITY_ANONYMOUS "%016x", i);
        assert_int_equal(core_connected(f->core, 100 + i, text_of(name), 0, f->now, &error),
                         STATUS_OK);
    }
    assert_int_equal(core_connected(f->core, 500, text_of(name), 0, f->now, &error), STATUS_BUSY);
    assert_int_equal(core_connected(f->core, 501, text_of("agent:ana"), 0, f->now, &error),
                     STATUS_OK);
    core_disconnected(f->core, 100, f->now);
    assert_int_equal(core_connected(f->core, 502, text_of(name), 0, f->now, &error), STATUS_OK);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read_as_they_are_written),
        cmocka_unit_test(only_those_with_less_than_full_are_kept),
        TEST(each_kind_is_allowed_or_refused_by_access),
        TEST(who_is_suspended_reads_and_nothing_else),
        TEST(who_is_onboarded_says_who_it_is_and_looks_at_itself),
        TEST(who_is_not_active_any_more_is_cut),
        TEST(no_order_restricts_a_service),
        TEST(who_speaks_for_a_suspended_agent_may_no_more_than_it),
        TEST(who_is_revoked_may_nothing_by_whomever),
        TEST(less_holds_even_if_it_could_not_be_written_and_more_does_not),
        TEST(orders_that_make_no_sense_are_refused),
        TEST(one_key_of_several_is_revoked_alone),
        TEST(who_is_forgotten_is_cut_and_unknown),
        TEST(there_are_only_so_many_strangers_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
