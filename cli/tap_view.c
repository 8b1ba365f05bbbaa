/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tap_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/tap_calls.h"
#include "kernel/json.h"

enum {
    NAME_MIN = 10, /* columns; they grow with what comes, as far as the width allows */
    NAME_MAX = 28,
    WHAT_MIN = 12,
    WHAT_MAX = 30,
    FIXED_COLUMNS = 37,  /* everything but names, what and notes */
    NARROW_COLUMNS = 26, /* the same without hours and sizes */
    NARROW = 100,
    NOTES_COLUMNS = 18, /* that are kept free for them where there is room */
    OK_COLUMNS = 4,     /* and where there is little */
    NOTE_MAX = 64,
    NOTE_MIN = 4, /* what is wrong is said even where it breaks the line */
    TIME_COLUMNS = 12,
    HOURS_COLUMNS = 3, /* of it */
    ARROW_COLUMNS = 4,
    SIZE_COLUMNS = 7,
    TOOK_COLUMNS = 8,
    PAYLOAD_MAX = 4096 /* columns of a payload's JSON that a terminal gets */
};

/* How a kind looks. Answers are drawn from right to left, so that who asked stands at the left in
 * both lines. */
struct look {
    const char *arrow;
    const char *ascii;
    enum screen_style style;
    bool names_kind; /* its word stands before the type */
};

static const struct look looks[KIND_ERROR + 1] = {
    [0] = {"??? ", "???", STYLE_RED, false},
    [KIND_HELLO] = {"──● ", "--o", STYLE_DIM, true},
    [KIND_READY] = {"──● ", "--o", STYLE_DIM, true},
    [KIND_HEARTBEAT] = {"──♥ ", "--h", STYLE_DIM, true},
    [KIND_BYE] = {"──○ ", "--x", STYLE_DIM, true},
    [KIND_REQUEST] = {"───▶", "--->", STYLE_CYAN, false},
    [KIND_REPLY] = {"◀───", "<---", STYLE_GREEN, false},
    [KIND_CHUNK] = {"◁┄┄┄", "<...", STYLE_DIM, false},
    [KIND_CANCEL] = {"──╳ ", "--X", STYLE_YELLOW, true},
    [KIND_SEND] = {"═══▶", "===>", STYLE_MAGENTA, true},
    [KIND_DELIVER] = {"══▶▶", "==>>", STYLE_MAGENTA, true},
    [KIND_ACK] = {"──✓ ", "--v", STYLE_MAGENTA, true},
    [KIND_NACK] = {"──↺ ", "--r", STYLE_YELLOW, true},
    [KIND_PUBLISH] = {"∙∙∙▶", "...>", STYLE_BLUE, true},
    [KIND_EVENT] = {"∙∙▶▶", "..>>", STYLE_BLUE, true},
    [KIND_SUBSCRIBE] = {"──◉ ", "--@", STYLE_BLUE, true},
    [KIND_UNSUBSCRIBE] = {"──◌ ", "--o", STYLE_BLUE, true},
    [KIND_CONTROL] = {"──┄ ", "--.", STYLE_DIM, true},
    [KIND_ERROR] = {"◀──✗", "<--!", STYLE_RED, true},
};

struct tap_view {
    struct tap_view_options options;
    struct tap_calls *calls;
    size_t source_columns, target_columns, what_columns;
    size_t name_max, what_max;
    bool narrow;
    size_t fixed_columns;
    size_t columns_left; /* of the line under way */
    bool headed;
    uint64_t shown;
    uint64_t hidden_checks, hidden_chunks, hidden_credits;
    uint64_t dropped;
};

static size_t
within(size_t value, size_t least, size_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* What the width leaves to names and types, three parts to each name and four to the type. */
static void
set_columns(struct tap_view *view)
{
    size_t width = view->options.screen.width > 0 ? (size_t)view->options.screen.width : 200;
    view->narrow = width < NARROW;
    view->fixed_columns = view->narrow ? NARROW_COLUMNS : FIXED_COLUMNS;
    size_t fixed = view->fixed_columns + (view->narrow ? OK_COLUMNS : NOTES_COLUMNS);
    size_t budget = width > fixed ? width - fixed : 0;
    view->name_max = within(budget * 3 / 10, NAME_MIN, NAME_MAX);
    view->what_max = within(budget * 4 / 10, WHAT_MIN, WHAT_MAX);
    view->source_columns = within(16, NAME_MIN, view->name_max);
    view->target_columns = within(16, NAME_MIN, view->name_max);
    view->what_columns = within(16, WHAT_MIN, view->what_max);
}

struct tap_view *
tap_view_new(const struct tap_view_options *options)
{
    struct tap_view *view = calloc(1, sizeof *view);
    if (!view)
        return NULL;
    view->options = *options;
    set_columns(view);
    view->calls = tap_calls_new();
    if (!view->calls)
        tap_view_destroy(&view);
    return view;
}

void
tap_view_destroy(struct tap_view **view_p)
{
    struct tap_view *view = *view_p;
    if (!view)
        return;
    tap_calls_destroy(&view->calls);
    free(view);
    *view_p = NULL;
}

/* ---- what is hidden */

static bool
is_hidden(struct tap_view *view, const struct tap_entry *entry)
{
    if (tap_entry_is_lost(entry) || (entry->has_status && entry->status != STATUS_OK))
        return false;
    uint64_t *counter = NULL;
    if (view->options.checks && text_equal_string(entry->type, "health_check"))
        return false;
    if (text_equal_string(entry->type, "health_check"))
        counter = &view->hidden_checks;
    else if (!view->options.chunks && entry->kind == KIND_CHUNK)
        counter = &view->hidden_chunks;
    else if (!view->options.chunks && entry->kind == KIND_CONTROL &&
             text_equal_string(entry->type, "credit"))
        counter = &view->hidden_credits;
    if (counter)
        (*counter)++;
    return counter != NULL;
}

/* ---- cells */

static void
add_time(const struct tap_view *view, uint64_t at_us, struct buffer *out)
{
    char text[40];
    struct tm when;
    time_t seconds = (time_t)(at_us / 1000000);
    if (at_us == 0 || !localtime_r(&seconds, &when))
        snprintf(text, sizeof text, "--:--:--.---");
    else
        snprintf(text, sizeof text, "%02d:%02d:%02d.%03u", when.tm_hour, when.tm_min, when.tm_sec,
                 (unsigned)(at_us % 1000000 / 1000));
    size_t from = view->narrow ? HOURS_COLUMNS : 0;
    screen_cell(&view->options.screen, out, text_of(text + from), TIME_COLUMNS - from, STYLE_DIM);
    buffer_append_byte(out, ' ');
}

static size_t
grown(size_t columns, struct text text, size_t most)
{
    size_t wanted = screen_columns(text);
    if (wanted > most)
        wanted = most;
    return wanted > columns ? wanted : columns;
}

/* Services look alike everywhere; everybody else keeps a colour of their own. */
static enum screen_style
style_of_name(struct text name)
{
    static const enum screen_style others[] = {STYLE_CYAN, STYLE_MAGENTA, STYLE_YELLOW, STYLE_GREEN,
                                               STYLE_BLUE};
    if (text_starts_with(name, "service:"))
        return STYLE_PLAIN;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 16777619u;
    return others[hash % (sizeof others / sizeof *others)];
}

static bool
is_answer(const struct tap_entry *entry, const struct tap_call *call)
{
    if (entry->kind == KIND_REPLY || entry->kind == KIND_ERROR)
        return true;
    return entry->kind == KIND_CHUNK && !(call && text_equal_string(entry->source, call->source));
}

static void
add_who(struct tap_view *view, const struct tap_entry *entry, const struct tap_call *call,
        bool lost, struct buffer *out)
{
    const struct screen *screen = &view->options.screen;
    const struct look *look = &looks[entry->kind];
    bool answer = is_answer(entry, call);
    struct text left = answer ? entry->target : entry->source;
    struct text right = answer ? entry->source : entry->target;
    enum screen_style style = look->style;
    const char *arrow = screen->utf8 ? look->arrow : look->ascii;
    if (entry->kind == KIND_CHUNK && !answer)
        arrow = screen->utf8 ? "┄┄┄▷" : "...>";
    if (lost || (entry->has_status && entry->status != STATUS_OK))
        style = STYLE_RED;
    if (text_equal_string(entry->verdict, "held"))
        style = STYLE_YELLOW;
    view->source_columns = grown(view->source_columns, left, view->name_max);
    view->target_columns = grown(view->target_columns, right, view->name_max);
    screen_cell(screen, out, left, view->source_columns, lost ? STYLE_RED : style_of_name(left));
    buffer_append_byte(out, ' ');
    screen_cell(screen, out, text_of(arrow), ARROW_COLUMNS, style);
    buffer_append_byte(out, ' ');
    screen_cell(screen, out, right, view->target_columns, lost ? STYLE_RED : style_of_name(right));
    buffer_append_byte(out, ' ');
}

static void
add_what(struct tap_view *view, const struct tap_entry *entry, bool lost, struct buffer *out)
{
    struct buffer what;
    buffer_init(&what);
    const struct look *look = &looks[entry->kind];
    if (entry->kind == 0)
        buffer_append_string(&what, "(unreadable)");
    if (look->names_kind)
        buffer_append_string(&what, kind_word(entry->kind));
    if (look->names_kind && entry->type.size > 0)
        buffer_append_byte(&what, ' ');
    buffer_append_text(&what, entry->type);
    view->what_columns = grown(view->what_columns, buffer_text(&what), view->what_max);
    screen_cell(&view->options.screen, out, buffer_text(&what), view->what_columns,
                lost                          ? STYLE_RED
                : look->style == STYLE_DIM    ? STYLE_DIM
                : entry->kind == KIND_REQUEST ? STYLE_BOLD
                                              : STYLE_PLAIN);
    buffer_append_byte(out, ' ');
    buffer_clear(&what);
}

static enum screen_style
style_of_duration(uint64_t us)
{
    return us < 50000 ? STYLE_DIM : us < 1000000 ? STYLE_PLAIN : STYLE_YELLOW;
}

static void
add_numbers(const struct tap_view *view, const struct tap_entry *entry, bool timed,
            uint64_t took_us, struct buffer *out)
{
    const struct screen *screen = &view->options.screen;
    char text[32] = "";
    if (!view->narrow) {
        screen_size(entry->size, text, sizeof text);
        screen_cell_right(screen, out, text_of(text), SIZE_COLUMNS, STYLE_DIM);
        buffer_append_byte(out, ' ');
        text[0] = '\0';
    }
    if (timed)
        screen_duration(screen, took_us, text, sizeof text);
    screen_cell_right(screen, out, text_of(text), TOOK_COLUMNS, style_of_duration(took_us));
}

/* ---- notes behind the columns */

/* Left out where the line has no room for it, but for what is wrong. */
static void
add_note(struct tap_view *view, struct buffer *out, const char *label, struct text text,
         enum screen_style style)
{
    size_t before = 2 + strlen(label);
    size_t room = view->columns_left > before ? view->columns_left - before : 0;
    size_t columns = screen_columns(text);
    size_t width = columns < NOTE_MAX ? columns : NOTE_MAX;
    if (columns == 0 || (width > room && style != STYLE_RED))
        return;
    if (width > room && room >= NOTE_MIN)
        width = room;
    view->columns_left = room > width ? room - width : 0;
    buffer_append_string(out, "  ");
    screen_begin(&view->options.screen, out, style);
    buffer_append_string(out, label);
    screen_cell(&view->options.screen, out, text, width, STYLE_PLAIN);
    screen_end(&view->options.screen, out, style);
}

static void
add_chunks(struct tap_view *view, const struct tap_call *call, struct buffer *out)
{
    char note[64];
    char size[24];
    screen_size(call->chunk_bytes, size, sizeof size);
    snprintf(note, sizeof note, "%llu chunk%s, %s", (unsigned long long)call->chunks,
             call->chunks == 1 ? "" : "s", size);
    add_note(view, out, "", text_of(note), STYLE_DIM);
}

static void
add_notes(struct tap_view *view, const struct tap_entry *entry, const struct tap_call *ended,
          bool lost, struct buffer *out)
{
    char number[32];
    if (entry->has_status) {
        bool good = entry->status == STATUS_OK;
        add_note(view, out, "", text_of(good ? "ok" : status_word(status_from_code(entry->status))),
                 good ? STYLE_GREEN : STYLE_RED);
    }
    if (lost)
        add_note(view, out, "", entry->verdict, STYLE_RED);
    else if (text_equal_string(entry->verdict, "held"))
        add_note(view, out, "", text_of("held"), STYLE_YELLOW);
    if (ended && ended->chunks > 0)
        add_chunks(view, ended, out);
    if (entry->has_seq && entry->kind != KIND_ACK &&
        (entry->kind != KIND_CONTROL || text_equal_string(entry->type, "credit"))) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)entry->seq);
        add_note(view, out, entry->kind == KIND_CONTROL ? "+" : "#", text_of(number), STYLE_DIM);
    }
    if (entry->attempt > 1) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)entry->attempt);
        add_note(view, out, "attempt ", text_of(number), STYLE_YELLOW);
    }
    add_note(view, out, "payload ", entry->note, STYLE_YELLOW);
    if (entry->kind == KIND_REQUEST && entry->has_trace)
        add_note(view, out, "trace ", (struct text){entry->trace_text.data, 8}, STYLE_DIM);
    add_note(view, out, "for ", entry->principal, STYLE_DIM);
    add_note(view, out, "", entry->capability, STYLE_DIM);
}

static void
add_payload(const struct tap_view *view, const struct tap_entry *entry, struct buffer *out)
{
    struct buffer json;
    if (!view->options.payload || !entry->has_payload)
        return;
    buffer_init(&json);
    if (msgpack_to_json(entry->payload.raw, &json, NULL) == STATUS_OK) {
        struct text text = buffer_text(&json);
        bool cut = view->options.screen.terminal && text.size > PAYLOAD_MAX;
        buffer_append_string(out, "             ");
        screen_cell(&view->options.screen, out, text, cut ? PAYLOAD_MAX : 0, STYLE_DIM);
        buffer_append_byte(out, '\n');
    }
    buffer_clear(&json);
}

/* ---- lines */

static void
add_head(struct tap_view *view, struct buffer *out)
{
    const struct screen *screen = &view->options.screen;
    if (view->headed || !screen->terminal)
        return;
    view->headed = true;
    screen_cell(screen, out, text_of("TIME"), TIME_COLUMNS + 1 - (view->narrow ? HOURS_COLUMNS : 0),
                STYLE_DIM);
    screen_cell(screen, out, text_of("FROM"), view->source_columns + 1, STYLE_DIM);
    screen_cell(screen, out, text_of(""), ARROW_COLUMNS + 1, STYLE_DIM);
    screen_cell(screen, out, text_of("TO"), view->target_columns + 1, STYLE_DIM);
    screen_cell(screen, out, text_of("WHAT"), view->what_columns + 1, STYLE_DIM);
    if (!view->narrow)
        screen_cell_right(screen, out, text_of("SIZE "), SIZE_COLUMNS + 1, STYLE_DIM);
    screen_cell_right(screen, out, text_of("TOOK"), TOOK_COLUMNS, STYLE_DIM);
    buffer_append_byte(out, '\n');
}

/* Keeps book of calls; also of what is hidden. *ended: what this reply answers. */
static bool
follow(struct tap_view *view, const struct tap_entry *entry, struct tap_call *ended)
{
    if (entry->kind == KIND_REQUEST || entry->kind == KIND_SEND) {
        tap_calls_begin(view->calls, entry);
        return false;
    }
    if (entry->kind == KIND_CHUNK) {
        struct tap_call *call = tap_calls_find(view->calls, entry);
        if (call) {
            call->chunks++;
            call->chunk_bytes += entry->size;
        }
        return false;
    }
    bool ends = entry->kind == KIND_REPLY || entry->kind == KIND_ERROR ||
                (entry->kind == KIND_ACK && entry->out);
    return ends && tap_calls_end(view->calls, entry, ended);
}

void
tap_view_line(struct tap_view *view, const struct tap_entry *entry, struct buffer *out)
{
    struct tap_call ended;
    bool is_end = follow(view, entry, &ended);
    if (is_hidden(view, entry))
        return;
    size_t from = out->size;
    bool lost = tap_entry_is_lost(entry);
    add_head(view, out);
    add_time(view, entry->at_us, out);
    add_who(view, entry, tap_calls_find(view->calls, entry), lost, out);
    add_what(view, entry, lost, out);
    add_numbers(view, entry, is_end && entry->at_us >= ended.at_us,
                is_end ? entry->at_us - ended.at_us : 0, out);
    size_t used =
        view->fixed_columns + view->source_columns + view->target_columns + view->what_columns;
    size_t width = view->options.screen.width > 0 ? (size_t)view->options.screen.width : SIZE_MAX;
    view->columns_left = width > used ? width - used : 0;
    add_notes(view, entry, is_end ? &ended : NULL, lost, out);
    while (out->size > from && out->data[out->size - 1] == ' ')
        out->size--;
    buffer_append_byte(out, '\n');
    add_payload(view, entry, out);
    view->shown++;
}

void
tap_view_dropped(struct tap_view *view, uint64_t dropped, struct buffer *out)
{
    char line[128];
    view->dropped += dropped;
    snprintf(line, sizeof line, "%s %llu record%s left out here: this reader does not keep up %s",
             view->options.screen.utf8 ? "┄┄┄" : "...", (unsigned long long)dropped,
             dropped == 1 ? " was" : "s were", view->options.screen.utf8 ? "┄┄┄" : "...");
    screen_cell(&view->options.screen, out, text_of(line), 0, STYLE_RED);
    buffer_append_byte(out, '\n');
}

static void
add_count(struct buffer *out, const char *before, uint64_t count, const char *what)
{
    if (count > 0)
        buffer_append_format(out, "%s%llu %s%s", before, (unsigned long long)count, what,
                             count == 1 ? "" : "s");
}

void
tap_view_sum(const struct tap_view *view, struct buffer *out)
{
    buffer_append_format(out, "%llu record%s", (unsigned long long)view->shown,
                         view->shown == 1 ? "" : "s");
    if (view->hidden_checks + view->hidden_chunks + view->hidden_credits > 0) {
        struct buffer hidden;
        buffer_init(&hidden);
        add_count(&hidden, ", ", view->hidden_checks, "health check record");
        add_count(&hidden, ", ", view->hidden_chunks, "chunk");
        add_count(&hidden, ", ", view->hidden_credits, "credit");
        buffer_append_string(out, "; hidden: ");
        if (hidden.size > 2)
            buffer_append(out, hidden.data + 2, hidden.size - 2);
        buffer_append_string(out, " (--all shows them)");
        buffer_clear(&hidden);
    }
    if (view->dropped > 0)
        buffer_append_format(out, "; %llu left out, as they could not be taken",
                             (unsigned long long)view->dropped);
    buffer_append_byte(out, '\n');
}
