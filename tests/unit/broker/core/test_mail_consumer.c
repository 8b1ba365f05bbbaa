/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers that are no sessions: streams that take, and those who only watch. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/mail.h"
#include "broker/core/mail_state.h"
#include "broker/core/peers.h"
#include "fixture_mail.h"

static const char kasra[] = "agent:kasra";
static const char river[] = "agent:river";

struct stream {
    struct consumer *consumer;
    struct uuid ids[64];
    uint32_t attempts[64];
    size_t count;
    enum core_sent answer;
};

static enum core_sent
deliver_to(struct core *core, void *context, const struct message *message)
{
    struct stream *stream = context;
    (void)core;
    assert_int_equal(message->kind, KIND_DELIVER);
    if (stream->answer != CORE_SENT)
        return stream->answer;
    assert_true(stream->count < 64);
    stream->attempts[stream->count] = message->attempt;
    stream->ids[stream->count++] = message->id;
    return CORE_SENT;
}

static enum status
consume(struct fixture *f, struct stream *stream, peer_number peer, uint32_t window, bool watch,
        struct error *error)
{
    struct consumer_options options = {.inbox = text_of(river),
                                       .window = window,
                                       .ack_ms = 5000,
                                       .watch = watch,
                                       .peer = peers_find(f->core, peer),
                                       .deliver = deliver_to,
                                       .context = stream};
    *stream = (struct stream){.count = 0};
    return mail_consume(f->core, &options, &stream->consumer, error);
}

static void
watchers_get_copies_and_take_nothing(void **state)
{
    struct fixture *f = *state;
    struct stream watcher;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_put(f, 1, river, "before");
    assert_int_equal(consume(f, &watcher, 2, 0, true, NULL), STATUS_OK);
    mail_settle(f);
    struct uuid id = mail_put(f, 1, river, "x");
    assert_int_equal(watcher.count, 1);
    assert_true(uuid_equal(&watcher.ids[0], &id));
    assert_int_equal(f->core->mail->entries.count, 0);
    assert_int_equal(f->mail->asked[MAIL_READ] + f->mail->asked[MAIL_READ_ONE], 0);
    assert_int_equal(mail_rows(f, river), 2);

    /* Nobody waits for one that does not keep up. */
    watcher.answer = CORE_FULL;
    mail_put(f, 1, river, "x");
    watcher.answer = CORE_SENT;
    mail_put(f, 1, river, "x");
    assert_int_equal(watcher.count, 2);
    mail_release(f->core, &watcher.consumer, false);
    assert_int_equal(f->core->mail->inboxes.count, 0);
}

static void
watchers_see_mail_to_squads_as_well(void **state)
{
    struct fixture *f = *state;
    struct stream watcher;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    snprintf(f->mail->members[0].squad, 64, "squad:all");
    snprintf(f->mail->members[0].name, 64, "%s", river);
    f->mail->member_count = 1;
    consume(f, &watcher, 2, 0, true, NULL);
    for (int carry = 0; carry < 2; carry++) {
        f->mail->arrivals_carry = carry;
        struct uuid id = mail_send(f, 1, "squad:all", "x");
        mail_settle(f);
        assert_int_equal(watcher.count, carry + 1);
        assert_true(uuid_equal(&watcher.ids[carry], &id));
        assert_int_equal(f->mail->asked[MAIL_READ_ONE], 1);
    }
    mail_release(f->core, &watcher.consumer, false);
}

static void
a_stream_takes_when_it_has_room(void **state)
{
    struct fixture *f = *state;
    struct stream stream;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    consume(f, &stream, 2, 8, false, NULL);
    assert_int_equal(stream.count, 0);
    mail_settle(f);
    stream.answer = CORE_FULL;
    struct uuid ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = mail_put(f, 1, river, "x");
    mail_pass(f, 1000);
    stream.answer = CORE_SENT;
    mail_pass(f, 1000);
    assert_int_equal(stream.count, 0); /* it says itself when it has room */
    mail_resume(f->core, stream.consumer);
    mail_settle(f);
    assert_int_equal(stream.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(uuid_equal(&stream.ids[i], &ids[i]));
    mail_release(f->core, &stream.consumer, false);
    mail_settle(f);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 0);
}

static void
a_lost_stream_is_charged_like_a_session(void **state)
{
    struct fixture *f = *state;
    struct stream stream, next;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    join_greeted(f, 3, river);
    consume(f, &stream, 2, 8, false, NULL);
    mail_settle(f);
    for (size_t i = 0; i < 2; i++)
        mail_put(f, 1, river, "x");
    consume(f, &next, 3, 8, false, NULL);
    mail_release(f->core, &stream.consumer, true);
    mail_settle(f);
    assert_int_equal(next.count, 1);
    assert_true(uuid_equal(&next.ids[0], &stream.ids[1]));
    mail_pass(f, 950);
    assert_int_equal(next.count, 1);
    mail_pass(f, 100);
    assert_int_equal(next.count, 2);
    assert_true(uuid_equal(&next.ids[1], &stream.ids[0]));
    assert_int_equal(next.attempts[1], 2);
    mail_release(f->core, &next.consumer, false);
}

static void
a_stream_outlives_its_peer_until_it_is_released(void **state)
{
    struct fixture *f = *state;
    struct stream stream;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    consume(f, &stream, 2, 8, false, NULL);
    mail_settle(f);
    core_disconnected(f->core, 2, f->now);
    mail_put(f, 1, river, "x");
    assert_int_equal(stream.count, 0);
    mail_release(f->core, &stream.consumer, true);
    assert_null(stream.consumer);
    assert_int_equal(f->core->mail->inboxes.count, 0);
}

static void
what_a_session_held_does_not_go_to_its_own_streams(void **state)
{
    struct fixture *f = *state;
    struct stream stream;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_listen(f, 2, river, 8, 60000);
    for (size_t i = 0; i < 3; i++)
        mail_put(f, 1, river, "x");
    consume(f, &stream, 2, 8, false, NULL);
    mail_settle(f);
    size_t reads = f->mail->asked[MAIL_READ_ONE];
    core_disconnected(f->core, 2, f->now);
    mail_settle(f);
    assert_int_equal(stream.count, 0);
    assert_int_equal(f->mail->asked[MAIL_READ_ONE], reads);
    mail_release(f->core, &stream.consumer, true);
    mail_settle(f);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 1);
}

static void
those_who_take_from_one_inbox_are_bounded(void **state)
{
    struct fixture *f = *state;
    static struct stream streams[MAIL_CONSUMERS_MAX + 1];
    struct error error = ERROR_INIT;
    join_greeted(f, 2, river);
    for (size_t i = 0; i < MAIL_CONSUMERS_MAX; i++)
        assert_int_equal(consume(f, &streams[i], 2, 1024, i % 2, NULL), STATUS_OK);
    assert_int_equal(consume(f, &streams[MAIL_CONSUMERS_MAX], 2, 1, false, &error),
                     STATUS_QUOTA_EXCEEDED);
    assert_string_equal(error.word, "too_many_consumers");
    for (size_t i = 0; i < MAIL_CONSUMERS_MAX; i++)
        mail_release(f->core, &streams[i].consumer, false);
    assert_int_equal(f->core->mail->inboxes.count, 0);
}

static void
what_a_stream_holds_is_let_go_when_the_broker_ends(void **state)
{
    struct fixture *f = *state;
    static struct stream streams[2];
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    consume(f, &streams[0], 2, 4, false, NULL);
    consume(f, &streams[1], 2, 0, true, NULL);
    mail_settle(f);
    for (size_t i = 0; i < 6; i++)
        mail_put(f, 1, river, "x");
    assert_int_equal(streams[0].count, 4);
    mail_crash(f); /* and nothing is leaked */
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_mail_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(watchers_get_copies_and_take_nothing),
        TEST(watchers_see_mail_to_squads_as_well),
        TEST(a_stream_takes_when_it_has_room),
        TEST(a_lost_stream_is_charged_like_a_session),
        TEST(a_stream_outlives_its_peer_until_it_is_released),
        TEST(what_a_session_held_does_not_go_to_its_own_streams),
        TEST(those_who_take_from_one_inbox_are_bounded),
        TEST(what_a_stream_holds_is_let_go_when_the_broker_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
