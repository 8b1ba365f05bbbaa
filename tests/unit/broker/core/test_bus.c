/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

/* ---- health, metrics, directory */

static struct uuid
ask_bus(struct fixture *f, peer_number peer, const char *type)
{
    return say(f, peer,
               (struct message){
                   .kind = KIND_REQUEST, .target = text_of("service:bus"), .type = text_of(type)});
}

static void
anyone_may_ask_for_the_health(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    advance_ms(f, 500);
    struct uuid id = ask_bus(f, 1, "health_check");
    const struct message *reply = take_kind(f, 1, KIND_REPLY);
    assert_true(uuid_equal(&reply->correlation, &id));
    struct value health, checks;
    struct text status, service;
    double uptime = 0;
    assert_true(value_parse(reply->payload, &health));
    assert_true(value_find_text(&health, "status", &status));
    assert_true(value_find_text(&health, "service", &service));
    assert_true(value_find_double(&health, "uptime_seconds", &uptime));
    assert_true(value_find(&health, "checks", &checks));
    assert_true(text_equal_string(status, "ok"));
    assert_true(text_equal_string(service, "bus"));
    assert_true(uptime == 0.5);
}

static void
metrics_and_directory_are_for_services_and_the_operator(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join(f, 2, "user:operator", CORE_OPERATOR);
    greet(f, 2);
    ask_bus(f, 1, "metrics");
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_FORBIDDEN, "forbidden");
    ask_bus(f, 1, "directory");
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_FORBIDDEN, "forbidden");

    ask_bus(f, 2, "metrics");
    struct value payload, services;
    struct text text;
    assert_true(value_parse(take_kind(f, 2, KIND_REPLY)->payload, &payload));
    assert_true(value_find_text(&payload, "text", &text));
    assert_non_null(memmem(text.data, text.size, "sos_bus_peers 2", 15));

    join_service(f, 3, "memory", true, 0);
    ask(f, 1, "memory", 0, 0);
    ask_bus(f, 3, "directory");
    uint64_t peers, in_flight;
    take_kind(f, 3, KIND_REQUEST);
    assert_true(value_parse(take_kind(f, 3, KIND_REPLY)->payload, &payload));
    assert_true(value_find_uint(&payload, "peers", &peers));
    assert_int_equal(peers, 3);
    assert_true(value_find(&payload, "services", &services));
    struct entries entries = value_entries(&services);
    struct value service;
    assert_true(entries_next(&entries, &service));
    assert_true(value_find_uint(&service, "in_flight", &in_flight));
    assert_int_equal(in_flight, 1);
}

static void
an_operation_that_the_bus_does_not_have_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    ask_bus(f, 1, "reboot");
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_INVALID, "type_unknown");
}

/* ---- keys */

static void
change_keys(struct fixture *f, peer_number peer, const char *type, const char *identity,
            const char *key)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "identity", identity);
    pack_pair_string(&payload, "curve_public_key", key);
    say(f, peer,
        (struct message){.kind = KIND_CONTROL,
                         .target = text_of("service:bus"),
                         .type = text_of(type),
                         .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

static void
only_the_identity_service_changes_keys(void **state)
{
    struct fixture *f = *state;
    join_service(f, 1, "memory", true, 0);
    change_keys(f, 1, "key_add", "agent:mallory", "x");
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_FORBIDDEN, "not_identity_service");
    change_keys(f, 1, "key_revoke", "agent:kasra", "");
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_FORBIDDEN, "not_identity_service");
    change_keys(f, 1, "key_list", "", "");
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_FORBIDDEN, "not_identity_service");
    assert_int_equal(f->keys_added + f->keys_revoked, 0);
}

static void
the_identity_service_adds_keys_but_none_of_services(void **state)
{
    struct fixture *f = *state;
    join_service(f, 1, "identity", true, 0);
    change_keys(f, 1, "key_add", "agent:new", "x");
    assert_int_equal(take_kind(f, 1, KIND_REPLY)->status, STATUS_OK);
    assert_int_equal(f->keys_added, 1);

    change_keys(f, 1, "key_add", "agent:other", "taken");
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_ALREADY_EXISTS, "key_exists");
    const char *const reserved[] = {"service:memory", "system:root", "user:operator"};
    for (size_t i = 0; i < 3; i++) {
        change_keys(f, 1, "key_add", reserved[i], "x");
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_FORBIDDEN, "identity_reserved");
    }
    change_keys(f, 1, "key_add", "not an identity", "x");
    assert_true(take_kind(f, 1, KIND_REPLY)->status != STATUS_OK);
    assert_int_equal(f->keys_added, 1);
}

static void
list_keys(struct fixture *f, peer_number peer, const char *after, uint64_t limit)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "after", after);
    pack_pair_uint(&payload, "limit", limit);
    say(f, peer,
        (struct message){
            .kind = KIND_CONTROL, .type = text_of("key_list"), .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

/* The next reply's list of one key; whether more follow. */
static bool
take_keys(struct fixture *f, peer_number peer)
{
    struct value payload, keys;
    bool more = false;
    const struct message *reply = take_kind(f, peer, KIND_REPLY);
    assert_int_equal(reply->status, STATUS_OK);
    assert_true(value_parse(reply->payload, &payload));
    assert_true(value_find(&payload, "keys", &keys));
    assert_int_equal(keys.type, VALUE_ARRAY);
    assert_int_equal(keys.as.count, 1);
    assert_true(value_find_bool(&payload, "more", &more));
    return more;
}

static void
keys_are_listed_page_by_page(void **state)
{
    struct fixture *f = *state;
    join_service(f, 1, "identity", true, 0);
    say(f, 1, (struct message){.kind = KIND_CONTROL, .type = text_of("key_list")});
    assert_true(take_keys(f, 1));
    assert_string_equal(f->listed_after, "");
    assert_int_equal(f->listed_limit, 500);

    list_keys(f, 1, "some key", 20);
    assert_false(take_keys(f, 1));
    assert_string_equal(f->listed_after, "some key");
    assert_int_equal(f->listed_limit, 20);

    list_keys(f, 1, "unknown", 20);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_NOT_FOUND, "key_unknown");
}

static void
pages_of_keys_have_a_greatest_size(void **state)
{
    struct fixture *f = *state;
    join_service(f, 1, "identity", true, 0);
    const uint64_t wrong[] = {0, 501, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        list_keys(f, 1, "", wrong[i]);
        assert_int_equal(take_kind(f, 1, KIND_REPLY)->status, STATUS_INVALID);
    }
    say(f, 1,
        (struct message){.kind = KIND_CONTROL,
                         .type = text_of("key_list"),
                         .payload = {(const uint8_t *)"\x81\xa5"
                                                      "after\x07",
                                     8}});
    assert_int_equal(take_kind(f, 1, KIND_REPLY)->status, STATUS_INVALID);
    assert_int_equal(f->listed_limit, 0);
}

static void
revoking_a_key_cuts_the_live_sessions_of_its_identity(void **state)
{
    struct fixture *f = *state;
    join_service(f, 1, "identity", true, 0);
    join_greeted(f, 2, "agent:kasra");
    join_greeted(f, 3, "agent:kasra");
    join_greeted(f, 4, "agent:river");
    change_keys(f, 1, "key_revoke", "agent:kasra", "");
    struct value payload;
    uint64_t revoked = 0;
    assert_true(value_parse(take_kind(f, 1, KIND_REPLY)->payload, &payload));
    assert_true(value_find_uint(&payload, "revoked", &revoked));
    assert_int_equal(revoked, 1);
    assert_true(was_cut(f, 2));
    assert_true(was_cut(f, 3));
    assert_false(was_cut(f, 4));
}

static void
an_unknown_control_record_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    say(f, 1, (struct message){.kind = KIND_CONTROL, .type = text_of("shutdown")});
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "control_unknown");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(anyone_may_ask_for_the_health),
        TEST(metrics_and_directory_are_for_services_and_the_operator),
        TEST(an_operation_that_the_bus_does_not_have_is_refused),
        TEST(only_the_identity_service_changes_keys),
        TEST(the_identity_service_adds_keys_but_none_of_services),
        TEST(keys_are_listed_page_by_page),
        TEST(pages_of_keys_have_a_greatest_size),
        TEST(revoking_a_key_cuts_the_live_sessions_of_its_identity),
        TEST(an_unknown_control_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
