/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/figures.h"

/* The port's text as a string; the buffer owns it. */
static const char *
print(struct figures *figures, enum door door, const char *foreign, struct buffer *out)
{
    const struct http_figures http = {0};
    buffer_init(out);
    figures_print(figures, door, &http, 3, 2, 5000000, text_of(foreign), out);
    buffer_append_byte(out, 0);
    assert_false(out->failed);
    return (const char *)out->data;
}

static size_t
count_of(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part))) {
        count++;
        text += strlen(part);
    }
    return count;
}

static void
a_service_s_own_families_follow_the_port_s(void **state)
{
    (void)state;
    struct figures *figures = figures_new(0);
    struct buffer out;
    const char *text = print(figures, DOOR_MEMORY,
                             "# HELP sos_embeddings_total Embeddings\n"
                             "# TYPE sos_embeddings_total counter\n"
                             "sos_embeddings_total{backend=\"local\"} 7\n",
                             &out);
    assert_non_null(strstr(text, "sos_requests_total{service=\"memory\",status=\"success\"} 0\n"));
    assert_non_null(strstr(text, "sos_embeddings_total{backend=\"local\"} 7\n"));
    buffer_clear(&out);
    figures_destroy(&figures);
}

static void
a_family_of_both_stands_in_one_piece(void **state)
{
    (void)state;
    struct figures *figures = figures_new(0);
    struct buffer out;
    const char *text = print(figures, DOOR_MEMORY,
                             "# HELP sos_queue_depth Requests\n"
                             "# TYPE sos_queue_depth gauge\n"
                             "sos_queue_depth{service=\"memory\",queue=\"waiting\"} 4\n"
                             "# HELP sos_other Other\n"
                             "# TYPE sos_other gauge\n"
                             "sos_other 1\n",
                             &out);
    assert_int_equal(count_of(text, "# TYPE sos_queue_depth "), 1);
    assert_non_null(strstr(text, "sos_queue_depth{service=\"memory\",queue=\"http_calls\"} 3.0\n"
                                 "sos_queue_depth{service=\"memory\",queue=\"waiting\"} 4\n"));
    assert_non_null(strstr(text, "sos_other 1\n"));
    buffer_clear(&out);
    figures_destroy(&figures);
}

static void
of_any_other_family_the_gateway_s_figures_count(void **state)
{
    (void)state;
    struct figures *figures = figures_new(0);
    struct buffer out;
    const char *text = print(figures, DOORS,
                             "# HELP sos_uptime_seconds Since start\n"
                             "# TYPE sos_uptime_seconds gauge\n"
                             "sos_uptime_seconds 99\n",
                             &out);
    assert_int_equal(count_of(text, "\nsos_uptime_seconds "), 1);
    assert_null(strstr(text, "sos_uptime_seconds 99"));
    buffer_clear(&out);
    figures_destroy(&figures);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_s_own_families_follow_the_port_s),
        cmocka_unit_test(a_family_of_both_stands_in_one_piece),
        cmocka_unit_test(of_any_other_family_the_gateway_s_figures_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
