/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/runtime/overlay.h"

/* ---- overlay against a plain model: random writes, savepoints and scans */

enum { KEYS = 40, ROUNDS = 3000 };

static uint32_t
random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static struct bytes
key_of(unsigned number, char text[static 8])
{
    snprintf(text, 8, "%c%02u", number % 2 ? 'a' : 'b', number);
    return (struct bytes){(const uint8_t *)text, 3};
}

struct listing {
    char text[4096];
};

static enum status
list_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    (void)error;
    struct listing *listing = context;
    size_t used = strlen(listing->text);
    snprintf(listing->text + used, sizeof listing->text - used, "%.*s=%.*s ", (int)key.size,
             (const char *)key.data, (int)value.size, (const char *)value.data);
    return STATUS_OK;
}

static void
expect_listing(struct overlay *overlay, struct store *store, int (*model)[KEYS], const char *prefix,
               bool reverse)
{
    struct listing found = {""}, expected = {""};
    char text[8], value[16];
    for (int half = 0; half < 2; half++)
        for (unsigned i = 0; i < KEYS; i++) {
            unsigned number = reverse ? KEYS - 1 - i : i;
            bool in_a = number % 2;
            struct bytes key = key_of(number, text);
            if (in_a != (reverse ? half == 1 : half == 0) || (*model)[number] < 0 ||
                (prefix[0] && text[0] != prefix[0]))
                continue;
            snprintf(value, sizeof value, "%d", (*model)[number]);
            list_row(&expected, key, (struct bytes){(const uint8_t *)value, strlen(value)}, NULL);
        }
    assert_int_equal(overlay_scan(overlay, store, 1,
                                  (struct bytes){(const uint8_t *)prefix, strlen(prefix)}, reverse,
                                  list_row, &found, NULL),
                     STATUS_OK);
    assert_string_equal(found.text, expected.text);
}

static void
reads_through_the_overlay_match_a_plain_model(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct overlay *overlay = overlay_new();
    int model[KEYS], saved[KEYS];
    char text[8], value[16];
    uint32_t seed = 42;
    size_t savepoint = 0;
    assert_int_equal(store_open_memory(&store, 1), STATUS_OK);
    for (unsigned i = 0; i < KEYS; i++)
        model[i] = -1;
    memcpy(saved, model, sizeof saved);

    for (int round = 0; round < ROUNDS; round++) {
        unsigned number = random_next(&seed) % KEYS;
        struct bytes key = key_of(number, text);
        snprintf(value, sizeof value, "%d", round);
        switch (random_next(&seed) % 16) {
        case 0: /* a new savepoint */
            savepoint = overlay_count(overlay);
            memcpy(saved, model, sizeof saved);
            break;
        case 1: /* back to it */
            overlay_truncate(overlay, savepoint);
            memcpy(model, saved, sizeof saved);
            break;
        case 2: /* store it */
            if (round % 8 == 0) {
                assert_int_equal(store_commit(store, overlay_batch(overlay), NULL), STATUS_OK);
                overlay_reset(overlay);
                savepoint = 0;
                memcpy(saved, model, sizeof saved);
            }
            break;
        case 3:
        case 4:
        case 5:
            overlay_write(overlay, STORE_DELETE, 1, key, (struct bytes){0});
            model[number] = -1;
            break;
        case 6: /* another space, same keys */
            overlay_write(overlay, STORE_PUT, 2, key, (struct bytes){0});
            break;
        default:
            overlay_write(overlay, STORE_PUT, 1, key,
                          (struct bytes){(const uint8_t *)value, strlen(value)});
            model[number] = round;
        }
        if (round % 10 != 0)
            continue;
        expect_listing(overlay, store, &model, "", false);
        expect_listing(overlay, store, &model, "", true);
        expect_listing(overlay, store, &model, "a", false);
        for (unsigned i = 0; i < KEYS; i++) {
            struct buffer out;
            buffer_init(&out);
            enum status status = overlay_get(overlay, store, 1, key_of(i, text), &out, NULL);
            assert_int_equal(status, model[i] < 0 ? STATUS_NOT_FOUND : STATUS_OK);
            buffer_clear(&out);
        }
    }
    overlay_destroy(&overlay);
    store_close(&store);
}

static void
a_step_knows_whose_uncommitted_writes_it_has_read(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct overlay *overlay = overlay_new();
    struct step_set first = {{0}}, second = {{0}}, third = {{0}};
    char text[8];
    assert_int_equal(store_open_memory(&store, 1), STATUS_OK);
    overlay_begin_step(overlay, 0, &first);
    overlay_write(overlay, STORE_PUT, 1, key_of(1, text), (struct bytes){0});
    overlay_begin_step(overlay, 200, &second);
    overlay_write(overlay, STORE_PUT, 1, key_of(2, text), (struct bytes){0});
    overlay_find(overlay, 1, key_of(2, text));
    overlay_find(overlay, 1, key_of(3, text));
    assert_false(step_set_has(&second, 0));
    assert_false(step_set_has(&second, 200));
    overlay_find(overlay, 1, key_of(1, text));
    assert_true(step_set_has(&second, 0));

    struct listing listing = {""};
    overlay_begin_step(overlay, 201, &third);
    overlay_scan(overlay, store, 1, (struct bytes){(const uint8_t *)"b", 1}, false, list_row,
                 &listing, NULL);

    assert_true(step_set_has(&third, 200));
    assert_false(step_set_has(&third, 0));
    overlay_destroy(&overlay);
    store_close(&store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_through_the_overlay_match_a_plain_model),
        cmocka_unit_test(a_step_knows_whose_uncommitted_writes_it_has_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
