/* SPDX-License-Identifier: Apache-2.0 */
/* What receivers say of messages, as records. */
#include "broker/core/mail.h"
#include "broker/core/mail_state.h"
#include "fixture_mail.h"

static const char kasra[] = "agent:kasra";
static const char river[] = "agent:river";

/* 1 sends, 2 has what it sent. */
static void
deliver_some(struct fixture *f, struct uuid *ids, size_t count)
{
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_listen(f, 2, river, 64, 60000);
    for (size_t i = 0; i < count; i++) {
        ids[i] = mail_put(f, 1, river, "x");
        take_delivery(f, 2, &ids[i], 1);
    }
}

static struct uuid
say_ids(struct fixture *f, peer_number peer, const struct uuid *ids, uint32_t count, unsigned flags)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_array(&payload, count);
    for (uint32_t i = 0; i < count; i++)
        pack_bin(&payload, ids[i].bytes, sizeof ids[i].bytes);
    struct uuid id =
        say(f, peer,
            (struct message){.kind = KIND_ACK, .flags = flags, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    return id;
}

static uint64_t
acked(struct fixture *f, peer_number peer, const struct uuid *id)
{
    const struct message *ack = take_kind(f, peer, KIND_ACK);
    assert_true(uuid_equal(&ack->correlation, id));
    return ack->seq;
}

static void
an_ack_is_silent_unless_it_asks_for_more(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[2];
    deliver_some(f, ids, 2);
    mail_ack(f, 2, &ids[0], false);
    mail_settle(f);
    assert_true(has_nothing(f, 2));

    struct uuid id = mail_ack(f, 2, &ids[1], true);
    assert_true(has_nothing(f, 2)); /* not before it is on disk */
    mail_settle(f);
    assert_int_equal(acked(f, 2, &id), 1);
    assert_int_equal(mail_rows(f, river), 0);
    assert_int_equal(f->core->mail->entries.count, 0);
    assert_true(count_of(f, "sos_mail_acked_total ") == 2);
}

static void
many_are_confirmed_when_the_last_is_on_disk(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[6];
    deliver_some(f, ids, 5);
    ids[5] = uuid_next(&f->ids, f->now.wall_us);
    struct uuid id = say_ids(f, 2, ids, 6, MESSAGE_CONFIRM);
    mail_answer(f, 4);
    assert_true(has_nothing(f, 2));
    mail_answer(f, 1);
    assert_int_equal(acked(f, 2, &id), 5);
    assert_int_equal(f->core->mail->tickets.count, 0);
    assert_true(count_of(f, "sos_mail_unknown_total ") == 1);
}

static void
nothing_to_end_is_confirmed_at_once(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    struct uuid unknown = uuid_next(&f->ids, f->now.wall_us);
    struct uuid id = mail_ack(f, 2, &unknown, true);
    assert_int_equal(acked(f, 2, &id), 0);
    id = say_ids(f, 2, NULL, 0, MESSAGE_CONFIRM);
    assert_int_equal(acked(f, 2, &id), 0);
}

static void
a_second_ack_waits_for_what_the_first_began(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    mail_ack(f, 2, &ids[0], false);
    struct uuid second = mail_ack(f, 2, &ids[0], true);
    struct uuid third = mail_ack(f, 2, &ids[0], true);
    assert_int_equal(acked(f, 2, &third), 0);
    mail_settle(f);
    assert_int_equal(acked(f, 2, &second), 1);
    assert_int_equal(f->mail->asked[MAIL_REMOVE], 1);
}

static void
strangers_end_nothing(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    join_greeted(f, 3, "agent:mallory");
    mail_listen(f, 3, "agent:mallory", 4, 1000);
    for (peer_number peer = 1; peer <= 3; peer += 2) {
        struct uuid id = mail_ack(f, peer, &ids[0], true);
        assert_int_equal(acked(f, peer, &id), 0);
        mail_nack(f, peer, &ids[0], -1, true);
    }
    mail_settle(f);
    assert_int_equal(f->mail->asked[MAIL_REMOVE] + f->mail->asked[MAIL_KILL], 0);
    assert_int_equal(mail_rows(f, river), 1);
    assert_false(was_cut(f, 3));
}

static void
messages_with_the_same_id_end_one_by_one(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    join_greeted(f, 3, "agent:mallory");
    say(f, 3, (struct message){.kind = KIND_SEND, .id = ids[0], .target = text_of(river)});
    mail_settle(f);
    assert_true(text_equal_string(take_delivery(f, 2, &ids[0], 1)->source, "agent:mallory"));
    struct uuid id = mail_ack(f, 2, &ids[0], true);
    mail_settle(f);
    assert_int_equal(acked(f, 2, &id), 1);
    assert_int_equal(mail_rows(f, river), 1);
    assert_true(f->mail->rows[0].gone); /* the older one */
    id = mail_ack(f, 2, &ids[0], true);
    mail_settle(f);
    assert_int_equal(acked(f, 2, &id), 1);
    assert_int_equal(mail_rows(f, river), 0);
}

static void
a_broken_disk_is_told_and_the_end_is_written_later(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[2];
    deliver_some(f, ids, 2);
    f->mail->fails[MAIL_REMOVE] = STATUS_STORE_FAILED;
    struct uuid id = say_ids(f, 2, ids, 2, MESSAGE_CONFIRM);
    mail_settle(f);
    const struct message *error = take_kind(f, 2, KIND_ERROR);
    assert_true(uuid_equal(&error->correlation, &id));
    assert_refused(error, STATUS_STORE_FAILED, "storage_failed");
    mail_pass(f, 3500);
    assert_true(f->mail->asked[MAIL_REMOVE] > 6);
    assert_true(has_nothing(f, 2)); /* handled is handled: it does not come again */

    /* Said again, it is asked again at once. */
    f->mail->fails[MAIL_REMOVE] = STATUS_OK;
    id = mail_ack(f, 2, &ids[0], true);
    mail_answer(f, SIZE_MAX);
    assert_int_equal(acked(f, 2, &id), 1);
    mail_pass(f, 1100);
    assert_int_equal(mail_rows(f, river), 0);
    assert_int_equal(f->core->mail->entries.count, 0);
}

static void
what_cannot_be_ended_counts_against_the_bound(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    for (size_t i = 0; i < 100; i++)
        mail_send(f, 1, river, "x");
    mail_settle(f);
    mail_listen(f, 2, river, 4, 60000);
    f->mail->fails[MAIL_REMOVE] = STATUS_STORE_FAILED;
    size_t delivered = 0;
    for (size_t i = 0; i < 100; i++) {
        while (!has_nothing(f, 2)) {
            struct uuid id = take_kind(f, 2, KIND_DELIVER)->id;
            mail_ack(f, 2, &id, false);
            mail_settle(f);
            delivered++;
        }
    }
    assert_true(delivered >= 4 * MAIL_HELD_WINDOWS && delivered <= 4 * MAIL_HELD_WINDOWS + 4);
    f->mail->fails[MAIL_REMOVE] = STATUS_OK;
    for (size_t i = 0; i < 40; i++) {
        while (!has_nothing(f, 2)) {
            struct uuid id = take_kind(f, 2, KIND_DELIVER)->id;
            mail_ack(f, 2, &id, false);
        }
        mail_pass(f, 100);
    }
    assert_int_equal(mail_rows(f, river), 0);
}

static void
a_dead_letter_that_cannot_be_written_is_written_later(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    f->mail->fails[MAIL_KILL] = STATUS_STORE_FAILED;
    mail_nack(f, 2, &ids[0], -1, true);
    mail_pass(f, 2500);
    assert_true(has_nothing(f, 2));
    assert_int_equal(mail_dead_rows(f, river), 0);
    f->mail->fails[MAIL_KILL] = STATUS_OK;
    mail_pass(f, 1100);
    assert_int_equal(mail_dead_rows(f, river), 1);
    assert_string_equal(mail_row_of(f, river, &ids[0])->reason, "it is poison");
    assert_int_equal(mail_row_of(f, river, &ids[0])->attempts, 1);
}

static void
a_long_reason_is_cut_and_cleaned(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    char reason[600];
    memset(reason, 'x', sizeof reason);
    memcpy(reason, "a\nb", 3);
    memcpy(reason + MAIL_REASON_MAX - 1, "\xc3\xa9", 2); /* the cut would go through it */
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_bool(&payload, "dead", true);
    pack_pair_text(&payload, "reason", (struct text){reason, sizeof reason});
    say(f, 2,
        (struct message){
            .kind = KIND_NACK, .correlation = ids[0], .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    struct text kept = f->mail->questions[f->mail->answered]->text;
    assert_int_equal(kept.size, MAIL_REASON_MAX - 1);
    assert_true(text_is_utf8(kept) && text_starts_with(kept, "a b"));
}

static void
a_nack_is_confirmed(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    struct uuid id = say(
        f, 2, (struct message){.kind = KIND_NACK, .flags = MESSAGE_CONFIRM, .correlation = ids[0]});
    assert_int_equal(acked(f, 2, &id), 1);
    assert_int_equal(mail_row_of(f, river, &ids[0])->attempts, 0);
    mail_settle(f);
    assert_int_equal(mail_row_of(f, river, &ids[0])->attempts, 1);
}

static void
what_is_not_out_is_not_extended(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    mail_nack(f, 2, &ids[0], -1, false);
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_string(&payload, "ids");
    pack_array(&payload, 1);
    pack_bin(&payload, ids[0].bytes, sizeof ids[0].bytes);
    pack_pair_uint(&payload, "ms", 1000);
    struct uuid id = say(f, 2,
                         (struct message){.kind = KIND_CONTROL,
                                          .flags = MESSAGE_CONFIRM,
                                          .type = text_of("extend"),
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    assert_int_equal(acked(f, 2, &id), 0);
}

static void
receipts_of_another_form_are_refused(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    struct buffer payload;
    buffer_init(&payload);
    for (int form = 0; form < 12; form++) {
        enum kind kind = form < 4 ? KIND_ACK : form < 9 ? KIND_NACK : KIND_CONTROL;
        buffer_reset(&payload);
        if (form == 1) {
            pack_map(&payload, 0);
        } else if (form == 2) {
            pack_array(&payload, 1);
            pack_string(&payload, "0123456789abcdef");
        } else if (form == 3) {
            pack_array(&payload, 257);
            for (int i = 0; i < 257; i++)
                pack_bin(&payload, ids[0].bytes, sizeof ids[0].bytes);
        } else if (form == 5) {
            pack_array(&payload, 0);
        } else if (form >= 6 && form != 10) {
            pack_map(&payload, 2);
            pack_string(&payload, "ids");
            pack_array(&payload, 1);
            pack_bin(&payload, ids[0].bytes, form == 9 ? 15 : sizeof ids[0].bytes);
            if (form == 6)
                pack_pair_uint(&payload, "delay_ms", 3600001);
            else if (form == 7)
                pack_pair_uint(&payload, "reason", 3600000);
            else if (form == 8)
                pack_pair_uint(&payload, "dead", 1);
            else
                pack_pair_uint(&payload, "ms", form == 11 ? 0 : 1000);
        }
        say(f, 2,
            (struct message){
                .kind = kind, .type = text_of("extend"), .payload = buffer_bytes(&payload)});
        assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_INVALID, "invalid_request");
    }
    buffer_clear(&payload);
    assert_int_equal(f->mail->asked[MAIL_REMOVE] + f->mail->asked[MAIL_TRIED], 0);
}

static void
a_confirmation_for_a_session_that_went_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    mail_ack(f, 2, &ids[0], true);
    core_disconnected(f->core, 2, f->now);
    mail_settle(f);
    assert_int_equal(f->core->mail->tickets.count, 0);
    assert_int_equal(f->core->mail->inboxes.count, 0);
    assert_int_equal(mail_rows(f, river), 0);
}

static void
answers_of_an_earlier_life_mean_nothing(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[1];
    deliver_some(f, ids, 1);
    static const enum mail_op_type types[] = {MAIL_APPEND,   MAIL_ARRIVED,   MAIL_READ,
                                              MAIL_READ_ONE, MAIL_REMOVE,    MAIL_TRIED,
                                              MAIL_KILL,     MAIL_DEAD_READ, MAIL_FIGURES};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (uint64_t tag = 0; tag < 6; tag++) {
            struct text none = {NULL, 0};
            struct mail_op *op =
                mail_op_new(types[i], text_of(river), none, none, (struct bytes){NULL, 0});
            op->tag = tag == 5 ? MAIL_TICKET_TAG | 99 : 1000 + tag;
            op->seq = tag;
            op->id = ids[0];
            core_mail_done(f->core, &op, f->now);
            assert_null(op);
        }
    }
    mail_settle(f);
    assert_true(has_nothing(f, 2));
    assert_int_equal(f->core->mail->entries.count, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_mail_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_ack_is_silent_unless_it_asks_for_more),
        TEST(many_are_confirmed_when_the_last_is_on_disk),
        TEST(nothing_to_end_is_confirmed_at_once),
        TEST(a_second_ack_waits_for_what_the_first_began),
        TEST(strangers_end_nothing),
        TEST(messages_with_the_same_id_end_one_by_one),
        TEST(a_broken_disk_is_told_and_the_end_is_written_later),
        TEST(what_cannot_be_ended_counts_against_the_bound),
        TEST(a_dead_letter_that_cannot_be_written_is_written_later),
        TEST(a_long_reason_is_cut_and_cleaned),
        TEST(a_nack_is_confirmed),
        TEST(what_is_not_out_is_not_extended),
        TEST(receipts_of_another_form_are_refused),
        TEST(a_confirmation_for_a_session_that_went_is_not_told),
        TEST(answers_of_an_earlier_life_mean_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
