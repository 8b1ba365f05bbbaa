/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "broker/core/mail_op.h"
#include "broker/mail/mail_rows.h"
#include "fixture_mail.h"

static const struct letter LETTER = {.kept_us = 0x0102030405060708,
                                     .expires_us = 99,
                                     .attempts = 3,
                                     .sender = {"agent:x", 7},
                                     .reason = {"why", 3},
                                     .record = {(const uint8_t *)"record", 6}};

static struct bytes
encoded(uint8_t *row)
{
    letter_encode(&LETTER, row);
    return (struct bytes){row, letter_size(&LETTER)};
}

static void
a_letter_comes_back_as_it_was(void **state)
{
    (void)state;
    uint8_t row[64];
    struct letter letter;
    assert_true(letter_decode(encoded(row), &letter));
    assert_int_equal(letter.kept_us, LETTER.kept_us);
    assert_int_equal(letter.expires_us, 99);
    assert_int_equal(letter.attempts, 3);
    assert_true(text_equal_string(letter.sender, "agent:x"));
    assert_true(text_equal_string(letter.reason, "why"));
    assert_int_equal(letter.record.size, 6);
    assert_memory_equal(letter.record.data, "record", 6);
}

static void
the_head_of_a_letter_says_how_large_the_rest_is(void **state)
{
    (void)state;
    uint8_t row[64];
    struct letter letter;
    struct bytes whole = encoded(row);
    struct bytes head = {row, LETTER_FIXED_SIZE + 7};
    assert_true(letter_decode_head(head, whole.size, &letter));
    assert_int_equal(letter.record.size, 6);
    assert_null(letter.record.data);
    head.size--;
    assert_false(letter_decode_head(head, whole.size, &letter));
    assert_false(letter_decode_head(whole, whole.size - 1, &letter));
}

static void
a_letter_that_was_cut_or_changed_is_refused(void **state)
{
    (void)state;
    uint8_t row[64];
    struct letter letter;
    struct bytes whole = encoded(row);
    /* The last byte of the record may go: it has no length of its own. Its last one may not. */
    for (size_t size = 0; size <= whole.size - 6; size++)
        assert_false(letter_decode((struct bytes){row, size}, &letter));
    row[0] = 2;
    assert_false(letter_decode(whole, &letter));
    encoded(row);
    row[21] = 0xff; /* a reason of 65283 bytes */
    assert_false(letter_decode(whole, &letter));
    encoded(row);
    row[23] = 0;
    assert_false(letter_decode(whole, &letter));
    encoded(row);
    row[25] = '\0';
    assert_false(letter_decode(whole, &letter));
}

static void
keys_stand_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    struct mail_key low, high, prefix;
    struct text name;
    uint64_t number, time_us;
    mail_key_number(&low, text_of("agent:a"), 255);
    mail_key_number(&high, text_of("agent:a"), 256);
    mail_key_prefix(&prefix, text_of("agent:a"));
    assert_int_equal(low.size, high.size);
    assert_true(memcmp(low.bytes, high.bytes, low.size) < 0);
    assert_memory_equal(low.bytes, prefix.bytes, prefix.size);
    assert_true(mail_key_read_number(mail_key_bytes(&high), &name, &number));
    assert_true(text_equal_string(name, "agent:a"));
    assert_int_equal(number, 256);
    mail_key_time(&low, 77, text_of("agent:a"), 5);
    assert_true(mail_key_read_time(mail_key_bytes(&low), &time_us, &name, &number));
    assert_int_equal(time_us, 77);
    assert_int_equal(number, 5);
    for (size_t size = 0; size < low.size; size++) {
        struct bytes cut = {low.bytes, size};
        bool fits = mail_key_read_time(cut, &time_us, &name, &number);
        assert_true(!fits || name.size < 7);
    }
    mail_key_count(&low, UINT64_MAX);
    assert_false(mail_key_read_count(mail_key_bytes(&low), &number));
}

static void
figures_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const struct inbox_figures good = {.waiting = 2,
                                       .delayed = 1,
                                       .dead = 3,
                                       .bytes = 100,
                                       .next_number = 9,
                                       .low_number = 7,
                                       .next_dead = 4,
                                       .memory_next = 60,
                                       .memory_count = 50,
                                       .squads = 1};
    struct inbox_figures read;
    uint8_t row[INBOX_ROW_SIZE];
    struct bytes bytes = {row, sizeof row};
    inbox_encode(&good, row);
    assert_true(inbox_decode(bytes, &read));
    assert_memory_equal(&read, &good, sizeof good);

    struct inbox_figures bad[6] = {good, good, good, good, good, good};
    bad[0].waiting = 3;     /* of numbers 7 and 8 */
    bad[1].low_number = 10; /* above the next one */
    bad[2].dead = 4;        /* more than ever died */
    bad[3].memory_count = 51;
    bad[4].memory_next = 49; /* fewer than there are */
    bad[5].next_number = UINT64_MAX;
    for (size_t i = 0; i < 6; i++) {
        inbox_encode(&bad[i], row);
        assert_false(inbox_decode(bytes, &read));
    }
    bytes.size--;
    inbox_encode(&good, row);
    assert_false(inbox_decode(bytes, &read));
}

static void
members_that_are_out_of_order_or_twice_are_refused(void **state)
{
    (void)state;
    struct text members[3] = {{"a", 1}, {"ab", 2}, {"b", 1}};
    uint8_t row[32];
    struct bytes bytes = {row, squad_row_size(members, 3)};
    size_t count;
    squad_row_encode(members, 3, row);
    assert_true(squad_row_is_fit(bytes, &count));
    assert_int_equal(count, 3);
    for (size_t size = 0; size < bytes.size; size++)
        assert_false(squad_row_is_fit((struct bytes){row, size}, &count));
    members[2] = members[1];
    bytes.size = squad_row_size(members, 3);
    squad_row_encode(members, 3, row);
    assert_false(squad_row_is_fit(bytes, &count));
    members[2] = (struct text){"aa", 2};
    squad_row_encode(members, 3, row);
    assert_false(squad_row_is_fit(bytes, &count));
    squad_row_encode(members, 0, row);
    assert_false(squad_row_is_fit((struct bytes){row, squad_row_size(members, 0)}, &count));
}

static void
known_ids_come_in_whole_pieces(void **state)
{
    (void)state;
    uint8_t row[KNOWN_FIXED_SIZE + 2 * MAIL_ID_SIZE] = {0};
    struct known_row known;
    known_encode(5, row);
    assert_true(known_decode((struct bytes){row, sizeof row}, &known));
    assert_int_equal(known.count, 2);
    assert_int_equal(known.accepted_us, 5);
    assert_false(known_decode((struct bytes){row, sizeof row - 1}, &known));
    assert_false(known_decode((struct bytes){row, KNOWN_FIXED_SIZE}, &known));
}

/* ---- a row in the store that nobody can read */

static void
put_row(struct fixture *f, enum mail_space space, struct bytes key, const char *value)
{
    struct store_batch *batch = store_batch_new();
    assert_int_equal(store_batch_add(batch, STORE_PUT, (store_space)space, key, bytes_of(value)),
                     STATUS_OK);
    assert_int_equal(store_commit(f->store, batch, NULL), STATUS_OK);
    store_batch_destroy(&batch);
}

static void
a_bad_row_is_named_at_opening(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum mail_space space;
        const char *key;
        const char *named;
    } bad[] = {{MAIL_SPACE_INBOX, "agent:bad", "inbox agent:bad"},
               {MAIL_SPACE_SENDER, "agent:bad", "sender agent:bad"},
               {MAIL_SPACE_KNOWN, "12345678", "known ids"},
               {MAIL_SPACE_DELAYED, "x", "0x12"},
               {MAIL_SPACE_EXPIRY, "x", "0x12"},
               {MAIL_SPACE_OWN, "floor", "floor"},
               {MAIL_SPACE_OWN, "secret", "secret"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mailbox *mailbox = NULL;
        store_close(&f->store);
        assert_int_equal(store_open_memory(&f->store, MAILBOX_SCHEMA), STATUS_OK);
        put_row(f, bad[i].space, bytes_of(bad[i].key), "?");
        f->error = ERROR_INIT;
        assert_int_not_equal(mailbox_open(&mailbox, f->store, &f->limits, f->now, &f->error),
                             STATUS_OK);
        assert_null(mailbox);
        assert_non_null(strstr(f->error.message, bad[i].named));
    }
}

static void
a_bad_message_is_named_and_stops_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct mail_key key;
    sent(f, "agent:a", "agent:x", 1, "one");
    sent(f, "agent:b", "agent:x", 2, "two");
    mail_key_number(&key, text_of("agent:a"), 1);
    put_row(f, MAIL_SPACE_MESSAGE, mail_key_bytes(&key), "?");

    static const enum mail_op_type types[] = {MAIL_READ_ONE, MAIL_REMOVE, MAIL_TRIED, MAIL_KILL};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(ask(f, numbered(types[i], "agent:a", 1)), STATUS_STORE_FAILED);
        assert_string_equal(f->error.word, "storage_failed");
        assert_non_null(strstr(f->error.message, "agent:a 1"));
    }
    assert_int_equal(ask(f, question(MAIL_READ, "agent:a")), STATUS_STORE_FAILED);
    assert_string_equal(inbox_text(f, "agent:b"), "1:two");
    assert_int_equal(sent(f, "agent:a", "agent:x", 3, "three"), 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_comes_back_as_it_was),
        cmocka_unit_test(the_head_of_a_letter_says_how_large_the_rest_is),
        cmocka_unit_test(a_letter_that_was_cut_or_changed_is_refused),
        cmocka_unit_test(keys_stand_in_the_order_of_their_numbers),
        cmocka_unit_test(figures_that_cannot_be_are_refused),
        cmocka_unit_test(members_that_are_out_of_order_or_twice_are_refused),
        cmocka_unit_test(known_ids_come_in_whole_pieces),
        TEST(a_bad_row_is_named_at_opening),
        TEST(a_bad_message_is_named_and_stops_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
