/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "kernel/capability.h"
#include "kernel/json.h"
#include "kernel/pack.h"

/* One that is kept: the line, and behind it what is shown. */
struct kept {
    uint64_t at_us;
    uint64_t order; /* as they came: lines of one trail and one moment stay in place */
    const char *trail;
    struct buffer line;
};

struct audit_lines {
    struct audit_filter filter;
    struct json_parser *parser;
    struct buffer packed; /* its memory is kept */
    struct kept *kept;    /* a heap: the oldest first */
    size_t count, max, capacity;
    uint64_t order;
    size_t left_off;
};

struct audit_lines *
audit_lines_new(const struct audit_filter *filter, size_t max)
{
    struct audit_lines *lines = calloc(1, sizeof *lines);
    if (!lines)
        return NULL;
    lines->filter = *filter;
    lines->max = max;
    lines->parser = json_parser_new();
    buffer_init(&lines->packed);
    if (!lines->parser)
        audit_lines_destroy(&lines);
    return lines;
}

void
audit_lines_destroy(struct audit_lines **lines_p)
{
    struct audit_lines *lines = *lines_p;
    if (!lines)
        return;
    for (size_t i = 0; i < lines->count; i++)
        buffer_clear(&lines->kept[i].line);
    free(lines->kept);
    buffer_clear(&lines->packed);
    json_parser_destroy(&lines->parser);
    free(lines);
    *lines_p = NULL;
}

/* ---- what is wanted */

static struct text
member(const struct value *map, const char *name)
{
    struct text text = {"", 0};
    (void)value_find_text(map, name, &text);
    return text;
}

static bool
matches(const char *glob, struct text text)
{
    return !glob || glob_match(text_of(glob), text);
}

static bool
is_wanted(const struct audit_filter *filter, const char *trail, const struct value *map,
          uint64_t at_us)
{
    return at_us >= filter->since_us && (!filter->until_us || at_us <= filter->until_us) &&
           matches(filter->trail, text_of(trail)) && matches(filter->event, member(map, "event")) &&
           matches(filter->actor, member(map, "actor")) &&
           matches(filter->outcome, member(map, "outcome")) &&
           matches(filter->resource, member(map, "resource"));
}

/* ---- keeping the newest */

static bool
is_older(const struct kept *a, const struct kept *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void
swap(struct kept *a, struct kept *b)
{
    struct kept kept = *a;
    *a = *b;
    *b = kept;
}

static void
sift_up(struct audit_lines *lines, size_t at)
{
    for (; at > 0 && is_older(&lines->kept[at], &lines->kept[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&lines->kept[at], &lines->kept[(at - 1) / 2]);
}

static void
sift_down(struct audit_lines *lines)
{
    size_t at = 0;
    for (;;) {
        size_t oldest = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < lines->count; child++)
            if (is_older(&lines->kept[child], &lines->kept[oldest]))
                oldest = child;
        if (oldest == at)
            return;
        swap(&lines->kept[at], &lines->kept[oldest]);
        at = oldest;
    }
}

static struct kept
take_oldest(struct audit_lines *lines)
{
    struct kept oldest = lines->kept[0];
    lines->kept[0] = lines->kept[--lines->count];
    sift_down(lines);
    return oldest;
}

static bool
make_room(struct audit_lines *lines)
{
    if (lines->count < lines->capacity)
        return true;
    size_t capacity = lines->capacity ? 2 * lines->capacity : 64;
    struct kept *kept = realloc(lines->kept, capacity * sizeof *kept);
    if (!kept)
        return false;
    lines->kept = kept;
    lines->capacity = capacity;
    return true;
}

static enum status
keep(struct audit_lines *lines, const char *trail, struct text line, uint64_t at_us)
{
    struct kept kept = {.at_us = at_us, .order = lines->order++, .trail = trail};
    if (lines->count >= lines->max) {
        lines->left_off++;
        if (lines->max == 0 || is_older(&kept, &lines->kept[0]))
            return STATUS_OK;
        struct kept oldest = take_oldest(lines);
        buffer_clear(&oldest.line);
    }
    buffer_append_text(&kept.line, line);
    if (kept.line.failed || !make_room(lines)) {
        buffer_clear(&kept.line);
        return STATUS_NOMEM;
    }
    lines->kept[lines->count++] = kept;
    sift_up(lines, lines->count - 1);
    return STATUS_OK;
}

/* False: no JSON object. *map is valid until the next line. */
static bool
parse(struct audit_lines *lines, struct text line, struct value *map, uint64_t *at_us)
{
    buffer_reset(&lines->packed);
    if (json_to_msgpack(lines->parser, line, &lines->packed, NULL) != STATUS_OK ||
        !value_parse(buffer_bytes(&lines->packed), map) || map->type != VALUE_MAP)
        return false;
    if (!timestamp_parse(member(map, "ts"), at_us))
        *at_us = 0;
    return true;
}

enum status
audit_lines_add(struct audit_lines *lines, const char *trail, struct text line)
{
    struct value map;
    uint64_t at_us;
    if (!parse(lines, line, &map, &at_us) || !is_wanted(&lines->filter, trail, &map, at_us))
        return STATUS_OK;
    return keep(lines, trail, line, at_us);
}

size_t
audit_lines_left_off(const struct audit_lines *lines)
{
    return lines->left_off;
}

/* ---- printing */

static void
add_part(struct buffer *out, struct text text, int width)
{
    size_t before = out->size;
    print_clean(text, out);
    for (size_t i = out->size - before; width > 0 && i < (size_t)width; i++)
        buffer_append_byte(out, ' ');
}

/* time  trail  event  actor  outcome  resource  detail */
static void
add_line(struct audit_lines *lines, const struct kept *kept, struct buffer *out)
{
    static const struct {
        const char *name;
        int width;
    } parts[] = {{"event", 22},  {"actor", 22},   {"outcome", 4},
                 {"subject", 0}, {"resource", 0}, {"detail", 0}};
    struct value map;
    uint64_t at_us;
    if (!parse(lines, buffer_text(&kept->line), &map, &at_us))
        return;
    add_part(out, member(&map, "ts"), 27);
    buffer_append_string(out, "  ");
    add_part(out, text_of(kept->trail), 10);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct text text = member(&map, parts[i].name);
        if (text.size == 0 && parts[i].width == 0)
            continue;
        buffer_append_string(out, "  ");
        add_part(out, text, parts[i].width);
    }
    buffer_append_byte(out, '\n');
}

bool
audit_lines_print(struct audit_lines *lines, bool json)
{
    struct buffer out;
    buffer_init(&out);
    bool written = true;
    while (lines->count > 0) {
        struct kept kept = take_oldest(lines);
        buffer_reset(&out);
        if (json) {
            buffer_append_text(&out, buffer_text(&kept.line));
            buffer_append_byte(&out, '\n');
        } else {
            add_line(lines, &kept, &out);
        }
        buffer_clear(&kept.line);
        written = written && !out.failed && fwrite(out.data, 1, out.size, stdout) == out.size;
    }
    buffer_clear(&out);
    return fflush(stdout) == 0 && written;
}
