/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "actors/identity/secret_box.h"

static struct bytes
bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void
seal(const struct secret_key *key, const char *label, const char *plain, struct buffer *box)
{
    buffer_init(box);
    secret_box_seal(key, bytes_of(label), bytes_of(plain), box);
    assert_false(box->failed);
}

static bool
opens(const struct secret_key *key, const char *label, const struct buffer *box, const char *plain)
{
    struct buffer out;
    buffer_init(&out);
    bool opened = secret_box_open(key, bytes_of(label), buffer_bytes(box), &out);
    if (opened)
        assert_true(text_equal_string(buffer_text(&out), plain));
    else
        assert_int_equal(out.size, 0);
    secret_buffer_clear(&out);
    return opened;
}

static void
a_box_opens_under_its_key_and_label_alone(void **state)
{
    struct secret_key key, other;
    struct buffer box;
    (void)state;
    secret_key_random(&key);
    secret_key_random(&other);
    seal(&key, "name", "sk-live-1", &box);
    assert_int_equal(box.size, 9 + SECRET_BOX_OVERHEAD);
    assert_true(opens(&key, "name", &box, "sk-live-1"));
    assert_false(opens(&other, "name", &box, "sk-live-1"));
    assert_false(opens(&key, "nam", &box, "sk-live-1"));
    assert_false(opens(&key, "", &box, "sk-live-1"));
    buffer_clear(&box);
}

static void
an_altered_byte_anywhere_does_not_open(void **state)
{
    struct secret_key key;
    struct buffer box;
    (void)state;
    secret_key_random(&key);
    seal(&key, "name", "sk-live-1", &box);
    for (size_t i = 0; i < box.size; i++) {
        box.data[i] ^= 1;
        assert_false(opens(&key, "name", &box, ""));
        box.data[i] ^= 1;
    }
    for (; box.size > 0; box.size--)
        assert_int_equal(opens(&key, "name", &box, "sk-live-1"), box.size == 49);
    buffer_clear(&box);
}

static void
the_same_text_is_never_sealed_the_same(void **state)
{
    struct secret_key key;
    struct buffer one, two;
    (void)state;
    secret_key_random(&key);
    seal(&key, "name", "value", &one);
    seal(&key, "name", "value", &two);
    assert_false(text_equal(buffer_text(&one), buffer_text(&two)));
    assert_null(memmem(one.data, one.size, "value", 5));
    buffer_clear(&one);
    buffer_clear(&two);
}

static void
keys_of_different_purposes_have_nothing_in_common(void **state)
{
    struct secret_key master, values, codes;
    (void)state;
    secret_key_random(&master);
    secret_key_derive(&master, SECRET_FOR_VALUES, &values);
    secret_key_derive(&master, SECRET_FOR_CODES, &codes);
    assert_memory_not_equal(values.bytes, codes.bytes, sizeof values.bytes);
    assert_memory_not_equal(values.bytes, master.bytes, sizeof values.bytes);
}

static void
a_key_file_is_64_hex_digits_and_nothing_else(void **state)
{
    struct secret_key key, read;
    struct buffer text;
    (void)state;
    buffer_init(&text);
    secret_key_random(&key);
    secret_key_format(&key, &text);
    assert_int_equal(text.size, 65);
    assert_true(secret_key_parse(buffer_text(&text), &read));
    assert_memory_equal(key.bytes, read.bytes, sizeof key.bytes);
    text.size--;
    assert_true(secret_key_parse(buffer_text(&text), &read));
    text.size--;
    assert_false(secret_key_parse(buffer_text(&text), &read));
    text.size += 2;
    buffer_append_byte(&text, '\n');
    assert_false(secret_key_parse(buffer_text(&text), &read));
    text.size = 64;
    text.data[10] = 'g';
    assert_false(secret_key_parse(buffer_text(&text), &read));
    assert_false(secret_key_parse((struct text){0}, &read));
    buffer_clear(&text);
}

/* RFC 9106's own vectors have an associated value that libsodium does not take: what is checked is
 * that each input counts. */
static void
a_passphrase_makes_one_key_for_one_salt(void **state)
{
    struct secret_cost cost, other;
    struct secret_key key, same, salted;
    (void)state;
    secret_cost_default(&cost);
    assert_true(secret_cost_is_valid(&cost));
    cost.passes = 1;
    cost.memory = UINT64_C(8) << 20;
    other = cost;
    other.salt[0] ^= 1;
    assert_int_equal(secret_key_from_passphrase(text_of("open sesame"), &cost, &key), STATUS_OK);
    assert_int_equal(secret_key_from_passphrase(text_of("open sesame"), &cost, &same), STATUS_OK);
    assert_int_equal(secret_key_from_passphrase(text_of("open sesame"), &other, &salted),
                     STATUS_OK);
    assert_memory_equal(key.bytes, same.bytes, sizeof key.bytes);
    assert_memory_not_equal(key.bytes, salted.bytes, sizeof key.bytes);
    assert_int_equal(secret_key_from_passphrase(text_of("open sesamE"), &cost, &same), STATUS_OK);
    assert_memory_not_equal(key.bytes, same.bytes, sizeof key.bytes);
}

static void
a_cost_that_no_one_asked_for_is_refused(void **state)
{
    struct secret_cost cost;
    (void)state;
    secret_cost_default(&cost);
    cost.memory = UINT64_C(1) << 40;
    assert_false(secret_cost_is_valid(&cost));
    cost.memory = 1024;
    assert_false(secret_cost_is_valid(&cost));
    secret_cost_default(&cost);
    cost.passes = 0;
    assert_false(secret_cost_is_valid(&cost));
    cost.passes = 1000;
    assert_false(secret_cost_is_valid(&cost));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_box_opens_under_its_key_and_label_alone),
        cmocka_unit_test(an_altered_byte_anywhere_does_not_open),
        cmocka_unit_test(the_same_text_is_never_sealed_the_same),
        cmocka_unit_test(keys_of_different_purposes_have_nothing_in_common),
        cmocka_unit_test(a_key_file_is_64_hex_digits_and_nothing_else),
        cmocka_unit_test(a_passphrase_makes_one_key_for_one_salt),
        cmocka_unit_test(a_cost_that_no_one_asked_for_is_refused),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
