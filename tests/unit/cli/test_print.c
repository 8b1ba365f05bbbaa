/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/print.h"

static void
text_of_others_cannot_steer_the_terminal(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out);

    print_clean(text_of("caf\xc3\xa9\n\ttea \x1b[31m \xc2\x9b \x7f \r"), &out);

    assert_true(text_equal_string(buffer_text(&out), "caf\xc3\xa9\n\ttea ?[31m ? ? ?"));
    buffer_clear(&out);
}

static void
json_is_indented_outside_of_its_strings(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out);

    print_indented(text_of("{\"a\":[1,{\"b\":\"x,{\\\"y\"}],\"c\":{},\"d\":[]}"), &out);

    assert_true(text_equal_string(buffer_text(&out), "{\n"
                                                     "  \"a\": [\n"
                                                     "    1,\n"
                                                     "    {\n"
                                                     "      \"b\": \"x,{\\\"y\"\n"
                                                     "    }\n"
                                                     "  ],\n"
                                                     "  \"c\": {},\n"
                                                     "  \"d\": []\n"
                                                     "}"));
    buffer_clear(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_others_cannot_steer_the_terminal),
        cmocka_unit_test(json_is_indented_outside_of_its_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
