/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tap_trace.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/json.h"

enum {
    NO_PARENT = -1,
    DEPTH_MAX = 64,
    SPAN_TEXT_MAX = 16,
    BAR_MIN = 12,
    BAR_MAX = 40,
    NAME_MAX = 56,
    TIME_COLUMNS = 10,
    STATUS_COLUMNS = 12
};

struct span {
    struct uuid id;
    enum kind kind;
    char *source, *target, *type; /* owned */
    char span[SPAN_TEXT_MAX + 1];
    char made[SPAN_TEXT_MAX + 1]; /* span of the calls that its handler makes; "": none yet */
    uint64_t at_us, end_us;       /* end_us 0: open */
    bool lost;
    enum status status;
    uint64_t chunks;
    uint64_t reached;    /* receivers of a message or event */
    uint64_t reached_us; /* the first of them */
    int parent;
    unsigned depth;
};

struct trace_tree {
    char prefix[2 * TRACE_ID_SIZE + 1];
    char trace[2 * TRACE_ID_SIZE + 1]; /* the one that is followed; "": none yet */
    struct span *spans;
    size_t count;
    size_t capacity;
    uint64_t left_out; /* beyond TRACE_SPANS_MAX */
};

struct trace_tree *
trace_tree_new(const char *prefix)
{
    struct trace_tree *tree = calloc(1, sizeof *tree);
    if (tree)
        snprintf(tree->prefix, sizeof tree->prefix, "%s", prefix);
    return tree;
}

void
trace_tree_destroy(struct trace_tree **tree_p)
{
    struct trace_tree *tree = *tree_p;
    if (!tree)
        return;
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->spans[i].source);
        free(tree->spans[i].target);
        free(tree->spans[i].type);
    }
    free(tree->spans);
    free(tree);
    *tree_p = NULL;
}

/* ---- growing */

static struct span *
find(const struct trace_tree *tree, const struct uuid *id)
{
    for (size_t i = tree->count; i-- > 0;)
        if (uuid_equal(&tree->spans[i].id, id))
            return &tree->spans[i];
    return NULL;
}

static bool
could_have_made(const struct span *parent, const struct tap_entry *entry)
{
    return parent->kind == KIND_REQUEST && text_equal_string(entry->source, parent->target) &&
           (parent->end_us == 0 || parent->end_us >= entry->at_us);
}

static int
parent_of(const struct trace_tree *tree, const struct tap_entry *entry)
{
    int free_parent = NO_PARENT;
    int any_parent = NO_PARENT;
    for (size_t i = 0; i < tree->count; i++) {
        const struct span *span = &tree->spans[i];
        if (!could_have_made(span, entry))
            continue;
        if (entry->span.size > 0 && (text_equal_string(entry->span, span->made) ||
                                     text_equal_string(entry->span, span->span)))
            return (int)i;
        any_parent = (int)i;
        if (!*span->made)
            free_parent = (int)i;
    }
    return free_parent != NO_PARENT ? free_parent : any_parent;
}

static struct span *
grow(struct trace_tree *tree)
{
    if (tree->count == TRACE_SPANS_MAX) {
        tree->left_out++;
        return NULL;
    }
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity ? 2 * tree->capacity : 64;
        struct span *spans = realloc(tree->spans, capacity * sizeof *spans);
        if (!spans)
            return NULL;
        tree->spans = spans;
        tree->capacity = capacity;
    }
    return &tree->spans[tree->count];
}

static void
add_span(struct trace_tree *tree, const struct tap_entry *entry)
{
    int parent = parent_of(tree, entry);
    struct span *span = grow(tree);
    if (!span || find(tree, &entry->id))
        return;
    *span = (struct span){.id = entry->id,
                          .kind = entry->kind,
                          .source = text_copy(entry->source),
                          .target = text_copy(entry->target),
                          .type = text_copy(entry->type),
                          .at_us = entry->at_us,
                          .parent = parent};
    if (!span->source || !span->target || !span->type) {
        free(span->source);
        free(span->target);
        free(span->type);
        return;
    }
    if (entry->span.size <= SPAN_TEXT_MAX)
        snprintf(span->span, sizeof span->span, "%.*s", TEXT_ARGS(entry->span));
    if (parent != NO_PARENT) {
        struct span *above = &tree->spans[parent];
        span->depth = above->depth + 1;
        if (!*above->made)
            snprintf(above->made, sizeof above->made, "%s", span->span);
    }
    /* Nobody answers these. */
    if (entry->kind == KIND_PUBLISH || entry->kind == KIND_EVENT)
        span->end_us = span->at_us;
    span->lost = tap_entry_is_lost(entry);
    tree->count++;
}

static void
end_span(struct span *span, const struct tap_entry *entry)
{
    if (span->end_us)
        return;
    span->end_us = entry->at_us > span->at_us ? entry->at_us : span->at_us;
    if (entry->kind == KIND_CANCEL)
        span->status = STATUS_CANCELLED;
    else if (entry->has_status)
        span->status = status_from_code(entry->status);
    /* Within a microsecond of another it still took place. */
    if (span->end_us == 0)
        span->end_us = 1;
}

static bool
belongs(struct trace_tree *tree, const struct tap_entry *entry)
{
    if (!entry->has_trace)
        return false;
    if (*tree->trace)
        return text_equal_string(entry->trace_text, tree->trace);
    size_t size = strlen(tree->prefix);
    if (entry->kind != KIND_REQUEST || entry->trace_text.size < size ||
        memcmp(entry->trace_text.data, tree->prefix, size) != 0 ||
        text_equal_string(entry->type, "health_check"))
        return false;
    snprintf(tree->trace, sizeof tree->trace, "%.*s", TEXT_ARGS(entry->trace_text));
    return true;
}

void
trace_tree_add(struct trace_tree *tree, const struct tap_entry *entry)
{
    struct span *span = NULL;
    switch (entry->kind) {
    case KIND_REPLY:
    case KIND_ERROR:
    case KIND_CANCEL:
        span = find(tree, &entry->correlation);
        if (span)
            end_span(span, entry);
        return;
    case KIND_ACK:
        span = find(tree, &entry->correlation);
        if (span && span->kind == KIND_SEND)
            end_span(span, entry);
        return;
    case KIND_CHUNK:
        span = find(tree, &entry->correlation);
        if (span)
            span->chunks++;
        return;
    case KIND_DELIVER:
    case KIND_EVENT:
        span = find(tree, &entry->id); /* it keeps the id that its sender gave it */
        if (span && span->reached++ == 0)
            span->reached_us = entry->at_us;
        if (span || entry->kind == KIND_DELIVER)
            return;
        if (belongs(tree, entry))
            add_span(tree, entry);
        return;
    case KIND_REQUEST:
    case KIND_SEND:
    case KIND_PUBLISH:
        if (belongs(tree, entry))
            add_span(tree, entry);
        return;
    default:
        return;
    }
}

bool
trace_tree_is_empty(const struct trace_tree *tree)
{
    return tree->count == 0;
}

bool
trace_tree_is_complete(const struct trace_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->spans[i].parent == NO_PARENT && tree->spans[i].end_us == 0)
            return false;
    return tree->count > 0;
}

/* ---- drawing */

struct bounds {
    uint64_t from_us, to_us;
};

static struct bounds
bounds_of(const struct trace_tree *tree)
{
    struct bounds bounds = {UINT64_MAX, 0};
    for (size_t i = 0; i < tree->count; i++) {
        const struct span *span = &tree->spans[i];
        uint64_t end_us = span->end_us ? span->end_us : span->at_us;
        if (span->at_us < bounds.from_us)
            bounds.from_us = span->at_us;
        if (end_us > bounds.to_us)
            bounds.to_us = end_us;
    }
    return bounds;
}

/* What one drawing works with. */
struct drawing {
    const struct trace_tree *tree;
    const struct screen *screen;
    struct bounds bounds;
    size_t name_columns;
    size_t bar_columns;
    struct buffer *out;
};

static const char *
arrow_of(const struct screen *screen, enum kind kind)
{
    switch (kind) {
    case KIND_SEND:
        return screen->utf8 ? "═▶" : "=>";
    case KIND_PUBLISH:
    case KIND_EVENT:
        return screen->utf8 ? "∙▶" : ".>";
    default:
        return screen->utf8 ? "─▶" : "->";
    }
}

static void
add_name(struct buffer *name, const struct drawing *drawing, const struct span *span, bool last,
         const bool *lines)
{
    const struct screen *screen = drawing->screen;
    for (unsigned i = 1; i < span->depth && i < DEPTH_MAX; i++)
        buffer_append_string(name, lines[i] ? (screen->utf8 ? "│  " : "|  ") : "   ");
    if (span->depth > 0)
        buffer_append_string(name, screen->utf8 ? (last ? "└" : "├") : (last ? "`" : "+"));
    else
        buffer_append_format(name, "%s ", span->source);
    buffer_append_format(name, "%s %s", arrow_of(screen, span->kind), span->target);
    if (*span->type)
        buffer_append_format(name, "  %s", span->type);
}

static bool
is_last_child(const struct trace_tree *tree, size_t place)
{
    for (size_t i = place + 1; i < tree->count; i++)
        if (tree->spans[i].parent == tree->spans[place].parent)
            return false;
    return true;
}

typedef void visit_fn(void *context, size_t place, bool last, const bool *lines);

/* Depth first; children stand in the order in which they began. */
static void
walk(const struct trace_tree *tree, int parent, bool *lines, unsigned depth, visit_fn *visit,
     void *context)
{
    for (size_t i = parent < 0 ? 0 : (size_t)parent + 1; i < tree->count; i++) {
        if (tree->spans[i].parent != parent)
            continue;
        bool last = is_last_child(tree, i);
        visit(context, i, last, lines);
        if (depth + 1 < DEPTH_MAX) {
            lines[depth] = !last;
            walk(tree, (int)i, lines, depth + 1, visit, context);
        }
    }
}

static void
measure(void *context, size_t place, bool last, const bool *lines)
{
    struct drawing *drawing = context;
    struct buffer name;
    buffer_init(&name);
    add_name(&name, drawing, &drawing->tree->spans[place], last, lines);
    size_t columns = screen_columns(buffer_text(&name));
    if (columns > drawing->name_columns)
        drawing->name_columns = columns < NAME_MAX ? columns : NAME_MAX;
    buffer_clear(&name);
}

static size_t
share(const struct drawing *drawing, uint64_t us)
{
    uint64_t whole = drawing->bounds.to_us - drawing->bounds.from_us;
    return whole ? (size_t)(us * drawing->bar_columns / whole) : 0;
}

static enum screen_style
style_of(const struct span *span)
{
    if (span->lost || (span->end_us && span->status != STATUS_OK))
        return STYLE_RED;
    return span->end_us ? STYLE_CYAN : STYLE_YELLOW;
}

/* Where in the whole time the call was under way. */
static void
add_bar(const struct drawing *drawing, const struct span *span)
{
    const struct screen *screen = drawing->screen;
    size_t from = share(drawing, span->at_us - drawing->bounds.from_us);
    uint64_t end_us = span->end_us ? span->end_us : drawing->bounds.to_us;
    size_t to = share(drawing, end_us - drawing->bounds.from_us);
    if (from >= drawing->bar_columns)
        from = drawing->bar_columns - 1;
    if (to <= from)
        to = from + 1;
    buffer_append_byte(drawing->out, ' ');
    for (size_t i = 0; i < from; i++)
        buffer_append_string(drawing->out, screen->utf8 ? "·" : ".");
    screen_begin(screen, drawing->out, style_of(span));
    for (size_t i = from; i < to; i++)
        buffer_append_string(drawing->out, screen->utf8 ? "█" : "#");
    screen_end(screen, drawing->out, style_of(span));
    for (size_t i = to; i < drawing->bar_columns; i++)
        buffer_append_string(drawing->out, screen->utf8 ? "·" : ".");
    buffer_append_byte(drawing->out, ' ');
}

static const char *
word_of(const struct span *span)
{
    if (!span->end_us)
        return span->lost ? "refused" : "no answer";
    if (span->kind == KIND_SEND && span->status == STATUS_OK)
        return "on disk";
    return span->status == STATUS_OK ? "ok" : status_word(span->status);
}

static void
draw_span(void *context, size_t place, bool last, const bool *lines)
{
    struct drawing *drawing = context;
    const struct span *span = &drawing->tree->spans[place];
    const struct screen *screen = drawing->screen;
    char text[48] = "";
    struct buffer name;
    buffer_init(&name);
    add_name(&name, drawing, span, last, lines);
    screen_cell(screen, drawing->out, buffer_text(&name), drawing->name_columns,
                span->depth == 0 ? STYLE_BOLD : STYLE_PLAIN);
    buffer_clear(&name);
    char offset[40];
    screen_duration(screen, span->at_us - drawing->bounds.from_us, offset, sizeof offset);
    snprintf(text, sizeof text, "+%s", offset);
    screen_cell_right(screen, drawing->out, text_of(text), TIME_COLUMNS, STYLE_DIM);
    text[0] = '\0';
    if (span->end_us > span->at_us || (span->end_us && span->kind == KIND_REQUEST))
        screen_duration(screen, span->end_us - span->at_us, text, sizeof text);
    screen_cell_right(screen, drawing->out, text_of(text), TIME_COLUMNS, STYLE_PLAIN);
    add_bar(drawing, span);
    bool good = span->end_us && span->status == STATUS_OK && !span->lost;
    screen_cell(screen, drawing->out, text_of(word_of(span)), 0, good ? STYLE_GREEN : STYLE_RED);
    if (span->chunks > 0)
        buffer_append_format(drawing->out, "  %llu chunks", (unsigned long long)span->chunks);
    if (span->reached > 0) {
        screen_duration(screen, span->reached_us > span->at_us ? span->reached_us - span->at_us : 0,
                        text, sizeof text);
        buffer_append_format(drawing->out, "  reached %llu after %s",
                             (unsigned long long)span->reached, text);
    }
    buffer_append_byte(drawing->out, '\n');
}

static size_t
bar_columns(const struct drawing *drawing)
{
    size_t others = drawing->name_columns + 2 * TIME_COLUMNS + 2 + STATUS_COLUMNS;
    size_t width = drawing->screen->width ? (size_t)drawing->screen->width : 120;
    size_t left = width > others ? width - others : 0;
    return left < BAR_MIN ? BAR_MIN : left > BAR_MAX ? BAR_MAX : left;
}

void
trace_tree_draw(const struct trace_tree *tree, const struct screen *screen, uint64_t dropped,
                struct buffer *out)
{
    struct drawing drawing = {
        .tree = tree, .screen = screen, .bounds = bounds_of(tree), .out = out};
    bool lines[DEPTH_MAX + 1] = {false};
    char took[40];
    if (tree->count == 0)
        return;
    walk(tree, NO_PARENT, lines, 0, measure, &drawing);
    drawing.bar_columns = bar_columns(&drawing);
    screen_duration(screen, drawing.bounds.to_us - drawing.bounds.from_us, took, sizeof took);
    screen_begin(screen, out, STYLE_BOLD);
    buffer_append_format(out, "trace %s", tree->trace);
    screen_end(screen, out, STYLE_BOLD);
    buffer_append_format(out, "  %s, %zu call%s%s\n\n", took, tree->count,
                         tree->count == 1 ? "" : "s",
                         trace_tree_is_complete(tree) ? "" : ", not answered yet");
    walk(tree, NO_PARENT, lines, 0, draw_span, &drawing);
    if (dropped + tree->left_out > 0)
        buffer_append_format(out, "\n%llu records were left out: the tree may have gaps\n",
                             (unsigned long long)(dropped + tree->left_out));
}

/* ---- JSON */

struct json_list {
    const struct trace_tree *tree;
    struct bounds bounds;
    struct buffer *out;
    bool any;
};

static void
add_text(struct buffer *out, const char *key, const char *value)
{
    buffer_append_format(out, ",\"%s\":", key);
    json_append_text(out, text_of(value));
}

static void
add_id(struct buffer *out, const char *key, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    add_text(out, key, text);
}

static void
write_span(void *context, size_t place, bool last, const bool *lines)
{
    (void)last, (void)lines;
    struct json_list *list = context;
    const struct span *span = &list->tree->spans[place];
    buffer_append_format(list->out, "%s{\"depth\":%u", list->any ? "," : "", span->depth);
    list->any = true;
    add_id(list->out, "id", &span->id);
    if (span->parent != NO_PARENT)
        add_id(list->out, "parent", &list->tree->spans[span->parent].id);
    add_text(list->out, "kind", kind_word(span->kind));
    add_text(list->out, "source", span->source);
    add_text(list->out, "target", span->target);
    add_text(list->out, "type", span->type);
    add_text(list->out, "span", span->span);
    buffer_append_format(list->out, ",\"offset_us\":%llu",
                         (unsigned long long)(span->at_us - list->bounds.from_us));
    if (span->end_us)
        buffer_append_format(list->out, ",\"duration_us\":%llu",
                             (unsigned long long)(span->end_us - span->at_us));
    add_text(list->out, "status", word_of(span));
    buffer_append_format(list->out, ",\"chunks\":%llu,\"reached\":%llu}",
                         (unsigned long long)span->chunks, (unsigned long long)span->reached);
}

void
trace_tree_json(const struct trace_tree *tree, uint64_t dropped, struct buffer *out)
{
    struct json_list list = {.tree = tree, .bounds = bounds_of(tree), .out = out};
    bool lines[DEPTH_MAX + 1] = {false};
    buffer_append_format(out, "{\"trace\":\"%s\",\"complete\":%s,\"dropped\":%llu", tree->trace,
                         trace_tree_is_complete(tree) ? "true" : "false",
                         (unsigned long long)(dropped + tree->left_out));
    if (tree->count > 0)
        buffer_append_format(out, ",\"duration_us\":%llu",
                             (unsigned long long)(list.bounds.to_us - list.bounds.from_us));
    buffer_append_string(out, ",\"spans\":[");
    walk(tree, NO_PARENT, lines, 0, write_span, &list);
    buffer_append_string(out, "]}\n");
}
