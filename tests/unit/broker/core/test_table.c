/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "broker/core/list.h"
#include "broker/core/table.h"

enum { ITEMS = 5000 };

struct item {
    struct table_node node;
    uint32_t key;
};

static struct item items[ITEMS];

static struct bytes
key_of(const uint32_t *key)
{
    return (struct bytes){(const uint8_t *)key, sizeof *key};
}

static struct item *
find(const struct table *table, uint32_t key)
{
    struct table_node *node = table_first(table, table_hash(table, key_of(&key)));
    for (; node; node = table_next(node)) {
        struct item *item = CONTAINER_OF(node, struct item, node);
        if (item->key == key)
            return item;
    }
    return NULL;
}

static void
what_is_inserted_is_found_until_it_is_removed(void **state)
{
    (void)state;
    struct table table;
    const uint8_t key[TABLE_KEY_SIZE] = {1};
    assert_true(table_init(&table, key));
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i] = (struct item){.key = i};
        table_insert(&table, &items[i].node, table_hash(&table, key_of(&i)));
    }
    for (uint32_t i = 0; i < ITEMS; i += 2)
        table_remove(&table, &items[i].node);
    assert_int_equal(table.count, ITEMS / 2);
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_ptr_equal(find(&table, i), i % 2 ? &items[i] : NULL);
    table_clear(&table);
}

static void
nodes_of_one_hash_are_all_walked(void **state)
{
    (void)state;
    struct table table;
    const uint8_t key[TABLE_KEY_SIZE] = {1};
    assert_true(table_init(&table, key));
    for (uint32_t i = 0; i < 3; i++)
        table_insert(&table, &items[i].node, i == 1 ? 64 : 0); /* the same slot */
    size_t walked = 0;
    for (struct table_node *node = table_first(&table, 0); node; node = table_next(node))
        walked++;
    assert_int_equal(walked, 2);
    table_clear(&table);
}

static void
the_secret_decides_the_hash(void **state)
{
    (void)state;
    struct table one, two;
    const uint8_t first[TABLE_KEY_SIZE] = {1}, second[TABLE_KEY_SIZE] = {2};
    uint32_t key = 7;
    assert_true(table_init(&one, first));
    assert_true(table_init(&two, second));
    assert_true(table_hash(&one, key_of(&key)) != table_hash(&two, key_of(&key)));
    table_clear(&one);
    table_clear(&two);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_inserted_is_found_until_it_is_removed),
        cmocka_unit_test(nodes_of_one_hash_are_all_walked),
        cmocka_unit_test(the_secret_decides_the_hash),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
