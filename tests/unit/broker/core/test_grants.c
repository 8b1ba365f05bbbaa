/* SPDX-License-Identifier: Apache-2.0 */
/* Who may speak and listen where, and how long a token holds. */
#include "fixture_bus.h"

#include <sodium.h>
#include <stdio.h>

static struct uuid
publish_with(struct fixture *f, peer_number peer, const char *channel, const struct buffer *token)
{
    return say(f, peer,
               (struct message){.kind = KIND_PUBLISH,
                                .flags = MESSAGE_CONFIRM,
                                .target = text_of(channel),
                                .capability = token ? buffer_text(token) : NO_TOKEN});
}

static void
assert_published(struct fixture *f, peer_number peer, const char *channel,
                 const struct buffer *token)
{
    struct uuid id = publish_with(f, peer, channel, token);
    assert_true(uuid_equal(&take_kind(f, peer, KIND_ACK)->correlation, &id));
}

static void
assert_not_published(struct fixture *f, peer_number peer, const char *channel,
                     const struct buffer *token, enum status status, const char *word)
{
    publish_with(f, peer, channel, token);
    assert_refused(take_kind(f, peer, KIND_ERROR), status, word);
}

static void
where_nobody_asks_for_capabilities_everybody_may_speak(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    assert_published(f, 1, "squad:eng", NULL);
    assert_published(f, 1, "agent:river:events", NULL);
    subscribe_well(f, 1, "*", LIVE_ONLY);
}

static void
ones_own_channels_are_free(void **state)
{
    struct fixture *f = *state;
    river_trusted(f, true);
    join_greeted(f, 1, "agent:kasra");
    assert_published(f, 1, "agent:kasra:events", NULL);
    subscribe_well(f, 1, "agent:kasra:events", LIVE_ONLY);
    subscribe_well(f, 1, "agent:kasra:*", LIVE_ONLY);
    assert_not_published(f, 1, "agent:kasra2:events", NULL, STATUS_CAPABILITY_MISSING,
                         "missing_capability");
    const char *const others[] = {"agent:kasra*", "agent:*", "squad:eng", "system:events",
                                  "agent:kasr?:x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        subscribe(f, 1, others[i], LIVE_ONLY, NO_TOKEN);
        assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_CAPABILITY_MISSING,
                       "missing_capability");
    }
}

static void
ones_own_channels_are_free_by_operation_too(void **state)
{
    struct fixture *f = *state;
    river_trusted(f, true);
    join_greeted(f, 1, "agent:kasra");
    bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", "agent:kasra", "channel",
            "agent:kasra:events", NULL);
    assert_int_equal(take_kind(f, 1, KIND_REPLY)->status, STATUS_OK);
    bus_ask(f, 1, "bus_history", 0, NO_TOKEN, "channel", "agent:kasra:events", NULL);
    assert_int_equal(take_kind(f, 1, KIND_REPLY)->status, STATUS_OK);
    bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", "agent:river", "channel",
            "agent:kasra:events", NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_CAPABILITY_MISSING, "missing_capability");
    bus_ask(f, 1, "bus_history", 0, NO_TOKEN, "channel", "agent:river:events", NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_CAPABILITY_MISSING, "missing_capability");
}

static void
a_token_holds_for_the_session_and_for_what_it_covers(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:publish", "squad:e*");
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:kasra");
    assert_not_published(f, 1, "squad:eng", NULL, STATUS_CAPABILITY_MISSING, "missing_capability");
    assert_published(f, 1, "squad:eng", &token);
    assert_published(f, 1, "squad:eng", NULL);
    assert_published(f, 1, "squad:east", NULL);
    assert_not_published(f, 1, "squad:ops", NULL, STATUS_CAPABILITY_MISSING, "missing_capability");
    assert_not_published(f, 1, "squad:ops", &token, STATUS_SCOPE_DENIED, "scope_denied");
    subscribe(f, 1, "squad:eng", LIVE_ONLY, NO_TOKEN);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_CAPABILITY_MISSING, "missing_capability");
    assert_not_published(f, 2, "squad:eng", NULL, STATUS_CAPABILITY_MISSING, "missing_capability");
    greet(f, 1); /* another session */
    assert_not_published(f, 1, "squad:eng", NULL, STATUS_CAPABILITY_MISSING, "missing_capability");
    buffer_clear(&token);
}

static void
a_grant_ends_with_its_token(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:publish", "squad:*");
    join_greeted(f, 1, "agent:kasra");
    assert_published(f, 1, "squad:eng", &token);
    f->now.wall_us += UINT64_C(3600000000) - 1;
    assert_published(f, 1, "squad:eng", NULL);
    assert_published(f, 1, "squad:eng", &token);
    f->now.wall_us += 1;
    assert_not_published(f, 1, "squad:eng", NULL, STATUS_CAPABILITY_MISSING, "missing_capability");
    assert_not_published(f, 1, "squad:eng", &token, STATUS_TOKEN_EXPIRED, "token_expired");
    buffer_clear(&token);
}

static void
tokens_of_others_forged_and_foreign_ones_give_nothing(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true), stranger;
    crypto_sign_keypair(stranger.public_key.bytes, stranger.secret_key.bytes);
    struct buffer others = river_token(f, &river, "agent:river", "bus:publish", "squad:*");
    struct buffer forged = river_token(f, &stranger, "agent:kasra", "bus:publish", "squad:*");
    join_greeted(f, 1, "agent:kasra");
    assert_not_published(f, 1, "squad:eng", &others, STATUS_SCOPE_DENIED,
                         "capability_subject_mismatch");
    assert_not_published(f, 1, "squad:eng", &forged, STATUS_TOKEN_INVALID, "token_invalid");
    assert_not_published(f, 1, "squad:eng", NULL, STATUS_CAPABILITY_MISSING, "missing_capability");
    buffer_clear(&others);
    buffer_clear(&forged);
}

static void
a_token_of_a_service_that_nobody_looked_at_gives_nothing_either(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, false), stranger;
    crypto_sign_keypair(stranger.public_key.bytes, stranger.secret_key.bytes);
    struct buffer forged = river_token(f, &stranger, "service:tools", "bus:publish", "squad:*");
    (void)river;
    join_greeted(f, 1, "service:tools");
    assert_published(f, 1, "squad:eng", &forged); /* passed on where none is needed */
    assert_published(f, 1, "squad:eng", NULL);
    buffer_clear(&forged);
}

static void
a_pattern_has_to_be_covered_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    static const struct {
        const char *token, *pattern;
        bool allowed;
    } rows[] = {
        {"squad:*", "squad:*", true},         {"squad:*", "squad:e*", true},
        {"squad:e*", "squad:*", false},       {"squad:?", "squad:*", false},
        {"squad:?*", "squad:*", false},       {"squad:[!x]", "squad:*", false},
        {"squad:??", "squad:e?", true},       {"*", "agent:*:events", true},
        {"*:events", "agent:*:events", true}, {"squad:*s*", "squad:[se]", false},
        {"squad:e*", "squad:[ef]*", false},   {"squad:[ab]", "squad:[ab]", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer token = river_token(f, &river, "agent:kasra", "bus:subscribe", rows[i].token);
        join_greeted(f, 1, "agent:kasra");
        subscribe(f, 1, rows[i].pattern, LIVE_ONLY, buffer_text(&token));
        const struct message *answer = take(f, 1);
        if ((answer->kind == KIND_ACK) != rows[i].allowed)
            fail_msg("%s for %s", rows[i].token, rows[i].pattern);
        if (!rows[i].allowed)
            assert_refused(answer, STATUS_SCOPE_DENIED, "scope_denied");
        bus_ask(f, 1, "bus_channels", 0, buffer_text(&token), "pattern", rows[i].pattern, NULL);
        assert_int_equal(take_kind(f, 1, KIND_REPLY)->status,
                         rows[i].allowed ? STATUS_OK : STATUS_SCOPE_DENIED);
        core_disconnected(f->core, 1, f->now);
        f->now.monotonic_us += 1000000;
        buffer_clear(&token);
    }
}

static void
a_grant_for_a_channel_is_none_for_a_pattern_over_it(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:subscribe", "squad:?");
    join_greeted(f, 1, "agent:kasra");
    subscribe(f, 1, "squad:a", LIVE_ONLY, buffer_text(&token));
    take_kind(f, 1, KIND_ACK);
    subscribe(f, 1, "squad:b", LIVE_ONLY, NO_TOKEN);
    take_kind(f, 1, KIND_ACK);
    subscribe(f, 1, "squad:*", LIVE_ONLY, NO_TOKEN);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_CAPABILITY_MISSING, "missing_capability");
    buffer_clear(&token);
}

static void
new_tokens_are_limited_by_the_second_known_ones_are_not(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    join_greeted(f, 1, "agent:kasra");
    struct buffer tokens[8];
    for (size_t i = 0; i < 8; i++) {
        char resource[32];
        snprintf(resource, sizeof resource, "squad:%zu", i);
        tokens[i] = river_token(f, &river, "agent:kasra", "bus:publish", resource);
    }
    char channel[32];
    for (size_t i = 0; i < 5; i++) {
        snprintf(channel, sizeof channel, "squad:%zu", i);
        assert_published(f, 1, channel, &tokens[i]);
    }
    assert_not_published(f, 1, "squad:5", &tokens[5], STATUS_RATE_LIMITED, "rate_limited");
    bus_ask(f, 1, "bus_publish", 0, buffer_text(&tokens[5]), "from", "agent:kasra", "channel",
            "squad:5", NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_RATE_LIMITED, "rate_limited");
    for (int i = 0; i < 20; i++)
        assert_published(f, 1, "squad:4", &tokens[4]); /* no later one took its place */
    bus_ask(f, 1, "bus_publish", 0, buffer_text(&tokens[4]), "from", "agent:kasra", "channel",
            "squad:4", NULL);
    bus_take_reply(f, 1);
    f->now.monotonic_us += 1000000;
    assert_published(f, 1, "squad:5", &tokens[5]);
    for (size_t i = 0; i < 8; i++)
        buffer_clear(&tokens[i]);
}

static void
who_acts_for_others_shows_as_many_tokens_as_it_has_callers(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    join(f, 1, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 1);
    for (int i = 0; i < 20; i++) {
        struct buffer token = river_token(f, &river, "agent:kasra", "bus:publish", "squad:*");
        say(f, 1,
            (struct message){.kind = KIND_PUBLISH,
                             .flags = MESSAGE_CONFIRM,
                             .target = text_of("squad:eng"),
                             .principal = text_of("agent:kasra"),
                             .capability = buffer_text(&token)});
        take_kind(f, 1, KIND_ACK);
        buffer_clear(&token);
    }
    /* What was given to one caller is nobody else's, nor its own for the next call. */
    const char *const principals[] = {"agent:kasra", "agent:river", NULL};
    for (size_t i = 0; i < 3; i++) {
        say(f, 1,
            (struct message){.kind = KIND_PUBLISH,
                             .target = text_of("squad:eng"),
                             .principal = text_of(principals[i])});
        assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_CAPABILITY_MISSING,
                       "missing_capability");
    }
    say(f, 1,
        (struct message){.kind = KIND_PUBLISH,
                         .target = text_of("agent:kasra:events"),
                         .principal = text_of("agent:kasra")});
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_CAPABILITY_MISSING, "missing_capability");
}

static void
of_many_grants_the_first_to_expire_gives_way(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    join_greeted(f, 1, "agent:kasra");
    char name[32];
    for (int i = 0; i < 65; i++) {
        snprintf(name, sizeof name, "squad:%d", i);
        uint64_t earlier_us = i == 40 ? 1000000 : 0;
        f->now.wall_us -= earlier_us;
        struct buffer token = river_token(f, &river, "agent:kasra", "bus:publish", name);
        f->now.wall_us += earlier_us;
        assert_published(f, 1, name, &token);
        buffer_clear(&token);
        f->now.wall_us += 1000;
        f->now.monotonic_us += 1000000;
    }
    for (int i = 0; i < 65; i++) {
        snprintf(name, sizeof name, "squad:%d", i);
        if (i == 40)
            assert_not_published(f, 1, name, NULL, STATUS_CAPABILITY_MISSING, "missing_capability");
        else
            assert_published(f, 1, name, NULL);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(where_nobody_asks_for_capabilities_everybody_may_speak),
        TEST(ones_own_channels_are_free),
        TEST(ones_own_channels_are_free_by_operation_too),
        TEST(a_token_holds_for_the_session_and_for_what_it_covers),
        TEST(a_grant_ends_with_its_token),
        TEST(tokens_of_others_forged_and_foreign_ones_give_nothing),
        TEST(a_token_of_a_service_that_nobody_looked_at_gives_nothing_either),
        TEST(a_pattern_has_to_be_covered_as_a_whole),
        TEST(a_grant_for_a_channel_is_none_for_a_pattern_over_it),
        TEST(new_tokens_are_limited_by_the_second_known_ones_are_not),
        TEST(who_acts_for_others_shows_as_many_tokens_as_it_has_callers),
        TEST(of_many_grants_the_first_to_expire_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
