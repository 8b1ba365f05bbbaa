/* SPDX-License-Identifier: Apache-2.0 */
/* Services are told that another policy is in force. */
#include "fixture_bus.h"

enum { KASRA = 1, ENGINE = 2, MEMORY = 3, IDENTITY = 4 };

static void
say_changed(struct fixture *f, peer_number peer, const char *key, const char *edition)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_string(&payload, key, edition);
    say(f, peer,
        (struct message){.kind = KIND_CONTROL,
                         .type = text_of("policy_changed"),
                         .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

static void
assert_told(struct fixture *f, peer_number peer)
{
    struct value payload;
    struct text edition;
    const struct message *control = take_kind(f, peer, KIND_CONTROL);
    assert_true(text_equal_string(control->type, "policy_changed"));
    assert_true(value_parse(control->payload, &payload));
    assert_true(value_find_text(&payload, "edition", &edition));
    assert_true(text_equal_string(edition, "kids"));
}

static void
every_service_in_a_session_is_told(void **state)
{
    struct fixture *f = *state;
    join_service(f, IDENTITY, "identity", true, 0);
    join_service(f, MEMORY, "memory", true, 0);
    join(f, ENGINE, "service:engine", 0); /* has not said hello */
    join_greeted(f, KASRA, "agent:kasra");
    say_changed(f, IDENTITY, "edition", "kids");
    assert_told(f, MEMORY);
    assert_told(f, IDENTITY);
    assert_int_equal(take_kind(f, IDENTITY, KIND_REPLY)->status, STATUS_OK);
    assert_true(has_nothing(f, KASRA));
    assert_true(has_nothing(f, ENGINE));
}

static void
only_identity_says_so_and_only_in_good_form(void **state)
{
    struct fixture *f = *state;
    join_service(f, IDENTITY, "identity", true, 0);
    join_service(f, MEMORY, "memory", true, 0);
    join_greeted(f, KASRA, "agent:kasra");
    say_changed(f, KASRA, "edition", "kids");
    say_changed(f, MEMORY, "edition", "kids");
    take_kind(f, MEMORY, KIND_ERROR);
    say_changed(f, IDENTITY, "name", "kids");
    assert_int_equal(take_kind(f, IDENTITY, KIND_REPLY)->status, STATUS_INVALID);
    assert_true(has_nothing(f, MEMORY));
    assert_true(has_nothing(f, IDENTITY));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_service_in_a_session_is_told),
        TEST(only_identity_says_so_and_only_in_good_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
