/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "kernel/curve.h"

/* The client's key pair of the manual page zmq_curve(7). */
#define PUBLIC_TEXT "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define SECRET_TEXT "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"

static const uint8_t public_bytes[CURVE_KEY_SIZE] = {
    0xBB, 0x88, 0x47, 0x1D, 0x65, 0xE2, 0x65, 0x9B, 0x30, 0xC5, 0x5A, 0x53, 0x21, 0xCE, 0xBB, 0x5A,
    0xAB, 0x2B, 0x70, 0xA3, 0x98, 0x64, 0x5C, 0x26, 0xDC, 0xA2, 0xB2, 0xFC, 0xB4, 0x3F, 0xC5, 0x18};

static void
a_known_key_formats_and_parses(void **state)
{
    char text[CURVE_KEY_TEXT_SIZE];
    uint8_t key[CURVE_KEY_SIZE];
    (void)state;
    curve_key_format(public_bytes, text);
    assert_string_equal(text, PUBLIC_TEXT);
    assert_true(curve_key_parse(PUBLIC_TEXT, key));
    assert_memory_equal(key, public_bytes, sizeof key);
}

/* RFC 32's own vector, four times. */
static void
the_test_vector_of_the_rfc_holds(void **state)
{
    static const uint8_t hello_world[] = {0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B};
    uint8_t key[CURVE_KEY_SIZE];
    (void)state;
    assert_true(curve_key_parse("HelloWorldHelloWorldHelloWorldHelloWorld", key));
    for (size_t i = 0; i < sizeof key; i += 8)
        assert_memory_equal(key + i, hello_world, sizeof hello_world);
}

static void
the_lowest_and_highest_key_survive(void **state)
{
    uint8_t key[CURVE_KEY_SIZE], parsed[CURVE_KEY_SIZE];
    char text[CURVE_KEY_TEXT_SIZE];
    (void)state;
    memset(key, 0xFF, sizeof key);
    curve_key_format(key, text);
    assert_memory_equal(text, "%nSc0", 5);
    assert_true(curve_key_parse(text, parsed));
    assert_memory_equal(key, parsed, sizeof key);
    memset(key, 0, sizeof key);
    curve_key_format(key, text);
    assert_string_equal(text, "0000000000000000000000000000000000000000");
    assert_true(curve_key_parse(text, parsed));
    assert_memory_equal(key, parsed, sizeof key);
}

static void
a_made_pair_belongs_together(void **state)
{
    struct curve_keys keys, others;
    uint8_t public_key[CURVE_KEY_SIZE], secret_key[CURVE_KEY_SIZE], derived[CURVE_KEY_SIZE];
    (void)state;
    curve_keys_make(&keys);
    curve_keys_make(&others);
    assert_true(curve_key_parse(keys.public_key, public_key));
    assert_true(curve_key_parse(keys.secret_key, secret_key));
    assert_int_equal(crypto_scalarmult_base(derived, secret_key), 0);
    assert_memory_equal(derived, public_key, sizeof derived);
    assert_string_not_equal(keys.secret_key, others.secret_key);

    assert_true(curve_key_parse(SECRET_TEXT, secret_key));
    assert_int_equal(crypto_scalarmult_base(derived, secret_key), 0);
    assert_memory_equal(derived, public_bytes, sizeof derived);
}

static void
clearing_leaves_nothing(void **state)
{
    static const struct curve_keys nothing;
    struct curve_keys keys;
    (void)state;
    curve_keys_make(&keys);
    curve_keys_clear(&keys);
    assert_memory_equal(&keys, &nothing, sizeof keys);
}

static void
other_texts_are_refused_and_leave_the_output_alone(void **state)
{
    static const char *const bad[] = {
        "",
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI",
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hIDD",
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI\"",
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{h D",
        "%nSc100000000000000000000000000000000000", /* 2^32 */
        "###############%nSc1%nSc0%nSc0%nSc0%nSc0",
    };
    uint8_t key[CURVE_KEY_SIZE] = {9}, same[CURVE_KEY_SIZE] = {9};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(curve_key_is_valid(bad[i]));
        assert_false(curve_key_parse(bad[i], key));
        assert_memory_equal(key, same, sizeof key);
    }
    assert_false(curve_key_is_valid(NULL));
    assert_true(curve_key_is_valid(PUBLIC_TEXT));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_key_formats_and_parses),
        cmocka_unit_test(the_test_vector_of_the_rfc_holds),
        cmocka_unit_test(the_lowest_and_highest_key_survive),
        cmocka_unit_test(a_made_pair_belongs_together),
        cmocka_unit_test(clearing_leaves_nothing),
        cmocka_unit_test(other_texts_are_refused_and_leave_the_output_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
