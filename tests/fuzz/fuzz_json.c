/* SPDX-License-Identifier: Apache-2.0 */
/* JSON -> msgpack -> JSON -> msgpack: the second msgpack is the first, whatever the text; and
 * any bytes taken as msgpack become JSON that can be read, or are refused. */
#include <stdlib.h>

#include "kernel/json.h"
#include "kernel/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition)
        abort();
}

static void
round_trip(struct json_parser *parser, struct text json)
{
    struct buffer first = {0}, text = {0}, second = {0}, canonical = {0}, again = {0};
    struct error error = ERROR_INIT;
    enum status status = json_to_msgpack(parser, json, &first, &error);
    require(status == STATUS_OK || (status == STATUS_INVALID && error.message[0] != '\0'));
    if (status == STATUS_OK) {
        require(msgpack_to_json(buffer_bytes(&first), &text, NULL) == STATUS_OK);
        require(json_to_msgpack(parser, buffer_text(&text), &second, NULL) == STATUS_OK);
        require(text_equal(buffer_text(&first), buffer_text(&second)));
        require(json_canonical(buffer_bytes(&first), &canonical, NULL) == STATUS_OK);
        buffer_reset(&second);
        require(json_to_msgpack(parser, buffer_text(&canonical), &second, NULL) == STATUS_OK);
        require(json_canonical(buffer_bytes(&second), &again, NULL) == STATUS_OK);
        require(text_equal(buffer_text(&canonical), buffer_text(&again)));
    }
    buffer_clear(&first);
    buffer_clear(&text);
    buffer_clear(&second);
    buffer_clear(&canonical);
    buffer_clear(&again);
}

/* Duplicate keys and deep nesting are legal in msgpack and refused in JSON. */
static void
print_any(struct json_parser *parser, struct bytes bytes)
{
    struct buffer text = {0}, packed = {0};
    struct error error = ERROR_INIT;
    struct value value;
    bool whole = value_parse(bytes, &value);
    require((msgpack_to_json(bytes, &text, NULL) == STATUS_OK) == whole);
    if (whole && json_to_msgpack(parser, buffer_text(&text), &packed, &error) != STATUS_OK)
        require(strstr(error.message, "duplicate") || strstr(error.message, "deeper"));
    (void)json_canonical(bytes, &packed, NULL);
    buffer_clear(&text);
    buffer_clear(&packed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_parser *parser = json_parser_new();
    require(parser != NULL);
    round_trip(parser, (struct text){(const char *)data, size});
    print_any(parser, (struct bytes){data, size});
    json_parser_destroy(&parser);
    return 0;
}
