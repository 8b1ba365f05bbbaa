/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a tap from a line of JSON. */
#ifndef SOS_TESTS_CLI_FIXTURE_TAP_H
#define SOS_TESTS_CLI_FIXTURE_TAP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/tap_entry.h"
#include "kernel/json.h"

/* Single quotes stand for double ones. The views in *entry lead to *bytes, which the caller
 * clears. */
static inline void
read_entry(const char *quoted, struct buffer *bytes, struct tap_entry *entry)
{
    char json[1024];
    struct value value;
    struct json_parser *parser = json_parser_new();
    size_t size = strlen(quoted);
    assert_true(size < sizeof json);
    for (size_t i = 0; i <= size; i++)
        json[i] = (char)(quoted[i] == '\'' ? '"' : quoted[i]);
    buffer_init(bytes);
    assert_int_equal(json_to_msgpack(parser, text_of(json), bytes, NULL), STATUS_OK);
    json_parser_destroy(&parser);
    assert_true(value_parse(buffer_bytes(bytes), &value));
    assert_true(tap_entry_read(entry, &value));
}

#define ID_1 "'00000000-0000-7000-8000-000000000001'"
#define ID_2 "'00000000-0000-7000-8000-000000000002'"
#define ID_3 "'00000000-0000-7000-8000-000000000003'"
#define ID_4 "'00000000-0000-7000-8000-000000000004'"

#endif
