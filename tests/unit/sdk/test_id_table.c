/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "sdk/c/id_table.h"

enum { IDS = 2000 };

struct model {
    struct uuid id;
    int value;
    bool there;
};

/* A long run of random puts and takes agrees with a plain list. */
static void
a_table_agrees_with_a_list(void **state)
{
    (void)state;
    struct model *models = calloc(IDS, sizeof *models);
    struct uuid_source source = {0};
    struct id_table table;
    unsigned seed = 12345;
    size_t count = 0;
    id_table_init(&table);
    for (size_t i = 0; i < IDS; i++)
        models[i].id = uuid_next(&source, 1000 + i);

    for (int step = 0; step < 50000; step++) {
        seed = seed * 1103515245u + 12345u;
        struct model *model = &models[(seed >> 8) % IDS];
        if (model->there) {
            assert_ptr_equal(id_table_take(&table, &model->id), &model->value);
            count--;
        } else {
            assert_null(id_table_take(&table, &model->id));
            assert_true(id_table_put(&table, &model->id, &model->value));
            count++;
        }
        model->there = !model->there;
        assert_int_equal(table.count, count);
    }
    for (size_t i = 0; i < IDS; i++)
        assert_ptr_equal(id_table_get(&table, &models[i].id),
                         models[i].there ? &models[i].value : NULL);
    id_table_clear(&table);
    free(models);
}

static void
an_empty_table_has_nothing(void **state)
{
    (void)state;
    struct id_table table;
    struct uuid id = {{1}};
    id_table_init(&table);

    assert_null(id_table_get(&table, &id));
    assert_null(id_table_take(&table, &id));

    id_table_clear(&table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_agrees_with_a_list),
        cmocka_unit_test(an_empty_table_has_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
