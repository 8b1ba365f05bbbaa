/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What the table prints, as text that the caller frees. */
static char *
printed(const struct table *table, const struct screen *screen)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    bool good = table_print(table, screen);
    fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    assert_true(good);
    char *text = calloc(1, 4096);
    assert_non_null(text);
    rewind(file);
    assert_true(fread(text, 1, 4095, file) < 4095);
    fclose(file);
    return text;
}

static void
expect(struct table *table, const struct screen *screen, const char *expected)
{
    char *text = printed(table, screen);
    assert_string_equal(text, expected);
    free(text);
    table_destroy(&table);
}

static struct table *
make(const char *first, const char *second, const char *third)
{
    static const char *const headings[] = {"NAME", ">COUNT", "WHY", NULL};
    struct table *table = table_new(headings);
    assert_non_null(table);
    table_add(table, text_of(first));
    table_add(table, text_of(second));
    table_add(table, text_of(third));
    return table;
}

static void
columns_are_as_wide_as_their_widest_cell(void **state)
{
    const struct screen screen = {.utf8 = true};
    struct table *table = make("a", "5", "because");
    (void)state;
    table_add(table, text_of("grün und gelb"));
    table_add_format(table, "%d", 12345678);
    table_add(table, text_of(""));
    expect(table, &screen,
           "NAME              COUNT  WHY\n"
           "a                     5  because\n"
           "grün und gelb  12345678  \n");
}

static void
the_last_column_is_cut_to_the_terminal(void **state)
{
    const struct screen screen = {.terminal = true, .utf8 = true, .width = 30};
    (void)state;
    expect(make("a", "5", "a reason that is longer than the line"), &screen,
           "NAME  COUNT  WHY\n"
           "a         5  a reason that is…\n");
}

static void
what_steers_a_terminal_is_not_passed_on(void **state)
{
    const struct screen screen = {.utf8 = true};
    (void)state;
    expect(make("a\033[31m", "1\n2", "x\ty"), &screen,
           "NAME    COUNT  WHY\n"
           "a?[31m    1 2  x y\n");
}

static void
a_table_without_rows_prints_nothing(void **state)
{
    static const char *const headings[] = {"NAME", NULL};
    const struct screen screen = {.utf8 = true};
    (void)state;
    expect(table_new(headings), &screen, "");
}

static void
headings_that_are_empty_are_left_out(void **state)
{
    static const char *const headings[] = {"", "", NULL};
    const struct screen screen = {.utf8 = true};
    struct table *table = table_new(headings);
    (void)state;
    assert_non_null(table);
    table_add(table, text_of("reason"));
    table_add(table, text_of("poison"));
    expect(table, &screen, "reason  poison\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(the_last_column_is_cut_to_the_terminal),
        cmocka_unit_test(what_steers_a_terminal_is_not_passed_on),
        cmocka_unit_test(a_table_without_rows_prints_nothing),
        cmocka_unit_test(headings_that_are_empty_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
