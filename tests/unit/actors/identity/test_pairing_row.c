/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "actors/identity/pairing_row.h"

static void
codes_are_eight_characters_that_cannot_be_mistaken(void **state)
{
    char code[PAIRING_CODE_SIZE + 1], before[PAIRING_CODE_SIZE + 1] = "";
    bool seen[256] = {false};
    size_t different = 0;
    (void)state;
    for (int i = 0; i < 2000; i++) {
        pairing_code_make(code);
        assert_int_equal(strlen(code), PAIRING_CODE_SIZE);
        assert_int_equal(strspn(code, "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"), PAIRING_CODE_SIZE);
        assert_string_not_equal(code, before);
        memcpy(before, code, sizeof before);
        for (size_t k = 0; k < PAIRING_CODE_SIZE; k++) {
            different += !seen[(unsigned char)code[k]];
            seen[(unsigned char)code[k]] = true;
        }
    }
    assert_int_equal(different, 32);
}

static void
what_people_type_is_read(void **state)
{
    static const struct {
        const char *typed, *code;
    } rows[] = {
        {"ABCD2345", "ABCD2345"},
        {"abcd2345", "ABCD2345"},
        {"abcd-2345", "ABCD2345"},
        {" ab cd 23 45 ", "ABCD2345"},
        {"ABCD234", NULL},
        {"ABCD23456", NULL},
        {"ABCD2340", NULL},
        {"ABCDI345", NULL},
        {"", NULL},
        {"--------", NULL},
        {"ABCD234\xc3\xa4", NULL},
    };
    char code[PAIRING_CODE_SIZE + 1];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(pairing_code_read(text_of(rows[i].typed), code), rows[i].code != NULL);
        if (rows[i].code)
            assert_string_equal(code, rows[i].code);
    }
    assert_false(pairing_code_read((struct text){"ABCD234\0", 8}, code));
}

static void
a_hash_depends_on_key_channel_and_code(void **state)
{
    struct secret_key key, other;
    uint8_t one[PAIRING_HASH_SIZE], two[PAIRING_HASH_SIZE];
    (void)state;
    secret_key_random(&key);
    secret_key_random(&other);
    pairing_code_hash(&key, text_of("telegram"), "ABCD2345", one);
    pairing_code_hash(&key, text_of("telegram"), "ABCD2345", two);
    assert_memory_equal(one, two, sizeof one);
    pairing_code_hash(&other, text_of("telegram"), "ABCD2345", two);
    assert_memory_not_equal(one, two, sizeof one);
    pairing_code_hash(&key, text_of("telegran"), "ABCD2345", two);
    assert_memory_not_equal(one, two, sizeof one);
    pairing_code_hash(&key, text_of("telegram"), "ABCD2346", two);
    assert_memory_not_equal(one, two, sizeof one);
}

static void
names_that_would_say_more_in_a_resource_are_refused(void **state)
{
    static const char *const channels[] = {"telegram", "a.b_c-D9"};
    static const char *const bad_channels[] = {"", "a:b", "a*", "a b", "a/b", "\xc3\xa4"};
    static const char *const senders[] = {"12345", "+49 170", "ana@example.org", "x:y/z",
                                          "\xc3\xa4nn"};
    static const char *const bad_senders[] = {"",   "*",    "a*",    "a?",  "[ab]",
                                              "a]", "a\nb", "a\x7f", "\xff"};
    char longer[SENDER_ID_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
        assert_true(channel_name_is_valid(text_of(channels[i])));
    for (size_t i = 0; i < sizeof bad_channels / sizeof bad_channels[0]; i++)
        assert_false(channel_name_is_valid(text_of(bad_channels[i])));
    for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++)
        assert_true(sender_id_is_valid(text_of(senders[i])));
    for (size_t i = 0; i < sizeof bad_senders / sizeof bad_senders[0]; i++)
        assert_false(sender_id_is_valid(text_of(bad_senders[i])));
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_false(sender_id_is_valid(text_of(longer)));
    assert_false(channel_name_is_valid(text_of(longer)));
}

static void
only_what_waits_can_be_approved_or_locked(void **state)
{
    static const enum pairing_state to[PAIRING_EVENTS] = {PAIRING_APPROVED, PAIRING_LOCKED};
    (void)state;
    for (int from = 0; from < PAIRING_STATES; from++) {
        for (int event = 0; event < PAIRING_EVENTS; event++) {
            struct error error = ERROR_INIT;
            struct pairing pairing = {.state = (enum pairing_state)from};
            enum status status = pairing_step(&pairing, (enum pairing_event)event, &error);
            bool waits = from == PAIRING_PENDING;
            assert_int_equal(status, waits ? STATUS_OK : STATUS_CONFLICT);
            assert_int_equal(pairing.state, waits ? to[event] : (enum pairing_state)from);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_eight_characters_that_cannot_be_mistaken),
        cmocka_unit_test(what_people_type_is_read),
        cmocka_unit_test(a_hash_depends_on_key_channel_and_code),
        cmocka_unit_test(names_that_would_say_more_in_a_resource_are_refused),
        cmocka_unit_test(only_what_waits_can_be_approved_or_locked),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
