/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings of strangers: each line is read, shown as a line and put into a trace's tree. */
#include <stdint.h>
#include <stdlib.h>

#include "cli/recording.h"
#include "cli/tap_trace.h"
#include "cli/tap_view.h"
#include "kernel/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
show(struct tap_view *view, struct trace_tree *tree, const struct recorded *recorded,
     struct buffer *out)
{
    struct tap_entry entry;
    struct value payload;
    if (recorded->payload.size > 0)
        ASSERT(value_parse(recorded->payload, &payload));
    if (recorded->type != RECORDED_RECORD || !tap_entry_read(&entry, &recorded->value))
        return;
    size_t before = out->size;
    tap_view_line(view, &entry, out);
    ASSERT(out->failed || !memchr(out->data + before, '\033', out->size - before));
    trace_tree_add(tree, &entry);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tap_view_options options = {
        .screen = {.width = 100, .utf8 = true}, .checks = true, .chunks = true, .payload = true};
    static struct tap_view *view; /* its book of calls is large: one for all inputs */
    struct json_parser *parser = json_parser_new();
    if (!view)
        view = tap_view_new(&options);
    struct trace_tree *tree = trace_tree_new("");
    struct buffer bytes, out;
    buffer_init(&bytes);
    buffer_init(&out);
    buffer_append_byte(&out, ' ');
    const char *at = (const char *)data;
    const char *end = at + size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct text line = {at, (size_t)((stop ? stop : end) - at)};
        struct recorded recorded;
        if (recording_parse(parser, line, &bytes, &recorded, NULL) == STATUS_OK)
            show(view, tree, &recorded, &out);
        at = stop ? stop + 1 : end;
    }
    trace_tree_draw(tree, &options.screen, 0, &out);
    trace_tree_json(tree, 0, &out);
    buffer_clear(&bytes);
    buffer_clear(&out);
    trace_tree_destroy(&tree);
    json_parser_destroy(&parser);
    return 0;
}
