/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/json.h"

enum {
    WIDTH_DEFAULT = 100,
    WIDTH_MAX = 160,
    NUMBER_COLUMNS = 9,
    MINUTE_SLOTS = 6,
    SECTIONS = 4,
    UNBOUNDED = 1 << 20
};

/* One drawing under way. */
struct page {
    const struct top_model *model;
    const struct screen *screen;
    struct buffer *out;
    size_t width;
    size_t columns; /* of it so far */
};

/* ---- cells */

static void
add_cell(struct page *page, const char *text, size_t columns, enum screen_style style)
{
    if (page->columns >= page->width)
        return;
    size_t left = page->width - page->columns;
    if (columns > left)
        columns = left;
    screen_cell(page->screen, page->out, text_of(text), columns, style);
    page->columns += columns;
}

static void
add_right(struct page *page, const char *text, size_t columns, enum screen_style style)
{
    if (page->columns + columns > page->width)
        return; /* a number that is cut would be another */
    screen_cell_right(page->screen, page->out, text_of(text), columns, style);
    page->columns += columns;
}

static void
add_words(struct page *page, const char *text, enum screen_style style)
{
    add_cell(page, text, screen_columns(text_of(text)), style);
}

static void
end_line(struct page *page)
{
    buffer_append_byte(page->out, '\n');
    page->columns = 0;
}

static void
add_count(struct page *page, double count, enum screen_style style)
{
    char text[32];
    screen_count(count, text, sizeof text);
    add_right(page, text, NUMBER_COLUMNS, count > 0 ? style : STYLE_DIM);
}

static void
add_duration(struct page *page, const struct latency_sum *sum, double share)
{
    char text[32] = "-";
    if (sum->count > 0)
        screen_duration(page->screen, share < 1 ? latency_percentile(sum, share) : sum->max_us,
                        text, sizeof text);
    add_right(page, text, NUMBER_COLUMNS + 1, sum->count ? STYLE_PLAIN : STYLE_DIM);
}

/* A heading: its first column takes what the others leave. */
static void
add_heading(struct page *page, const char *first, size_t first_columns, const char *const *others,
            size_t count, size_t columns)
{
    add_cell(page, first, first_columns, STYLE_REVERSE);
    for (size_t i = 0; i < count; i++)
        add_right(page, others[i], columns, STYLE_REVERSE);
    end_line(page);
}

/* ---- the head */

static void
add_uptime(struct page *page)
{
    char text[48];
    uint64_t seconds = (uint64_t)page->model->now.uptime_seconds;
    if (seconds < 60)
        snprintf(text, sizeof text, "up %u s", (unsigned)seconds);
    else if (seconds < 3600)
        snprintf(text, sizeof text, "up %u min", (unsigned)(seconds / 60));
    else if (seconds < 86400)
        snprintf(text, sizeof text, "up %u h %02u", (unsigned)(seconds / 3600),
                 (unsigned)(seconds / 60 % 60));
    else
        snprintf(text, sizeof text, "up %u d %u h", (unsigned)(seconds / 86400),
                 (unsigned)(seconds / 3600 % 24));
    add_words(page, text, STYLE_PLAIN);
}

static void
add_labelled(struct page *page, const char *label, const char *value, enum screen_style style)
{
    add_words(page, "   ", STYLE_PLAIN);
    add_words(page, value, style);
    add_words(page, " ", STYLE_PLAIN);
    add_words(page, label, STYLE_DIM);
}

static void
add_rate(struct page *page, const char *label, double now, double before, enum screen_style style)
{
    char text[32];
    double rate = top_rate(page->model, now, before);
    screen_count(rate, text, sizeof text);
    add_labelled(page, label, text, rate > 0 ? style : STYLE_DIM);
}

static void
add_seconds(struct page *page, const char *label, double seconds)
{
    char text[32] = "-";
    if (seconds >= 0)
        screen_duration(page->screen, (uint64_t)(seconds * 1e6), text, sizeof text);
    add_labelled(page, label, text, STYLE_BOLD);
}

/* The last minute's requests, one column a second. */
static void
add_curve(struct page *page)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const struct top_model *model = page->model;
    double most = 0;
    if (!page->screen->utf8)
        return;
    for (size_t i = 0; i < model->history_count; i++)
        most = fmax(most, model->history[i]);
    size_t room = page->width > page->columns + 4 ? page->width - page->columns - 4 : 0;
    size_t count = model->history_count < room ? model->history_count : room;
    add_words(page, "   ", STYLE_PLAIN);
    for (size_t i = model->history_count - count; i < model->history_count; i++) {
        double share = most > 0 ? model->history[i] / most : 0;
        add_words(page, bars[(int)(share * 7.999)], share > 0 ? STYLE_CYAN : STYLE_DIM);
    }
}

static void
draw_head(struct page *page)
{
    const struct top_model *model = page->model;
    const struct top_figures *now = &model->now;
    const struct top_figures *before = &model->before;
    char text[32];
    add_words(page, "sos top", STYLE_BOLD);
    add_words(page, "   ", STYLE_PLAIN);
    add_uptime(page);
    snprintf(text, sizeof text, "%llu", (unsigned long long)model->peers);
    add_labelled(page, "peers", text, STYLE_BOLD);
    snprintf(text, sizeof text, "%llu", (unsigned long long)model->pending);
    add_labelled(page, "in flight", text, STYLE_BOLD);
    add_seconds(page, "p50", top_percentile(model, 0.5));
    add_seconds(page, "p99", top_percentile(model, 0.99));
    end_line(page);

    screen_count(top_rate(model, now->requests, before->requests), text, sizeof text);
    add_words(page, text, STYLE_BOLD);
    add_words(page, " ", STYLE_PLAIN);
    add_words(page, "requests/s", STYLE_DIM);
    add_rate(page, "records/s", now->records, before->records, STYLE_PLAIN);
    add_rate(page, "mail/s", now->mail, before->mail, STYLE_PLAIN);
    add_rate(page, "events/s", now->events, before->events, STYLE_PLAIN);
    add_curve(page);
    end_line(page);

    add_words(page, "in 10 s:", STYLE_DIM);
    const struct {
        const char *label;
        double count;
    } troubles[] = {
        {"refused", now->refused - before->refused},
        {"dropped", now->dropped - before->dropped},
        {"cut", now->cut - before->cut},
        {"keys refused", now->handshakes - before->handshakes},
        {"left out of taps", now->tap_dropped - before->tap_dropped},
    };
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        screen_count(troubles[i].count > 0 ? troubles[i].count : 0, text, sizeof text);
        add_labelled(page, troubles[i].label, text, troubles[i].count > 0 ? STYLE_RED : STYLE_DIM);
    }
    end_line(page);
}

/* ---- sections: each draws at most `lines` rows under its heading */

typedef void draw_fn(struct page *page, size_t lines);

static void
draw_services(struct page *page, size_t lines)
{
    static const char *const heads[] = {"INST", "ACTIVE", "WAITING", "REQ/S", "ERR/S"};
    static const char *const times[] = {"P50", "P99"};
    const struct top_model *model = page->model;
    double seconds = top_window_seconds(model, 2);
    size_t first = page->width > 87 ? 22 : 15;
    add_cell(page, "SERVICE", first, STYLE_REVERSE);
    for (size_t i = 0; i < 5; i++)
        add_right(page, heads[i], NUMBER_COLUMNS, STYLE_REVERSE);
    for (size_t i = 0; i < 2; i++)
        add_right(page, times[i], NUMBER_COLUMNS + 1, STYLE_REVERSE);
    end_line(page);
    for (size_t i = 0; i < model->service_count && i < lines; i++) {
        const struct top_service *service = &model->services[i];
        struct latency_sum sum = top_service_latency(model, service->name);
        bool down = service->instances == 0;
        add_cell(page, service->name, first, down ? STYLE_RED : STYLE_BOLD);
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)service->instances);
        add_right(page, text, NUMBER_COLUMNS, down ? STYLE_RED : STYLE_PLAIN);
        add_count(page, (double)service->in_flight, STYLE_PLAIN);
        add_count(page, (double)service->waiting, STYLE_YELLOW);
        add_count(page, (double)sum.count / seconds, STYLE_PLAIN);
        add_count(page, (double)sum.errors / seconds, STYLE_RED);
        add_duration(page, &sum, 0.5);
        add_duration(page, &sum, 0.99);
        end_line(page);
    }
}

struct slow {
    const struct top_operation *operation;
    struct latency_sum sum;
    uint64_t p99_us;
};

static int
compare_slow(const void *a, const void *b)
{
    uint64_t left = ((const struct slow *)a)->p99_us;
    uint64_t right = ((const struct slow *)b)->p99_us;
    return left < right ? 1 : left > right ? -1 : 0;
}

/* What was asked for in the last minute, the slowest first. The caller frees it. */
static struct slow *
slowest(const struct top_model *model, size_t *count)
{
    struct slow *list = calloc(TOP_OPERATIONS_MAX, sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < model->operation_count; i++) {
        struct slow slow = {.operation = &model->operations[i]};
        latency_collect(&slow.operation->latency, model->now_us, MINUTE_SLOTS, &slow.sum);
        slow.p99_us = latency_percentile(&slow.sum, 0.99);
        if (slow.sum.count > 0)
            list[(*count)++] = slow;
    }
    if (list)
        qsort(list, *count, sizeof *list, compare_slow);
    return list;
}

static void
draw_slowest(struct page *page, size_t lines)
{
    const struct top_model *model = page->model;
    size_t count;
    struct slow *list = slowest(model, &count);
    double seconds = top_window_seconds(model, MINUTE_SLOTS);
    size_t first = page->width > 87 ? 44 : 32;
    add_cell(page, "SLOWEST OPERATIONS, last minute", first, STYLE_REVERSE);
    add_right(page, "REQ/S", NUMBER_COLUMNS, STYLE_REVERSE);
    add_right(page, "ERRORS", NUMBER_COLUMNS, STYLE_REVERSE);
    add_right(page, "P50", NUMBER_COLUMNS + 1, STYLE_REVERSE);
    add_right(page, "P99", NUMBER_COLUMNS + 1, STYLE_REVERSE);
    add_right(page, "MAX", NUMBER_COLUMNS + 1, STYLE_REVERSE);
    end_line(page);
    if (count == 0) {
        add_words(page, "nothing was asked for", STYLE_DIM);
        end_line(page);
    }
    for (size_t i = 0; list && i < count && i < lines; i++) {
        char name[2 * TOP_NAME_MAX + 2];
        snprintf(name, sizeof name, "%s %s", list[i].operation->service, list[i].operation->type);
        add_cell(page, name, first, STYLE_PLAIN);
        add_count(page, (double)list[i].sum.count / seconds, STYLE_PLAIN);
        add_count(page, (double)list[i].sum.errors, STYLE_RED);
        add_duration(page, &list[i].sum, 0.5);
        add_duration(page, &list[i].sum, 0.99);
        add_duration(page, &list[i].sum, 1);
        end_line(page);
    }
    free(list);
}

static void
draw_inboxes(struct page *page, size_t lines)
{
    static const char *const heads[] = {"WAITING", "UNACKED", "DELAYED", "DEAD", "SIZE"};
    const struct top_model *model = page->model;
    size_t first = page->width > 87 ? 44 : 32;
    add_heading(page, "INBOXES, fullest first", first, heads, 5, NUMBER_COLUMNS);
    if (model->inbox_count == 0) {
        add_words(page, "none holds anything", STYLE_DIM);
        end_line(page);
    }
    for (size_t i = 0; i < model->inbox_count && i < lines; i++) {
        const struct top_inbox *inbox = &model->inboxes[i];
        char size[24];
        screen_size(inbox->bytes, size, sizeof size);
        add_cell(page, inbox->name, first, STYLE_PLAIN);
        add_count(page, (double)inbox->waiting, STYLE_BOLD);
        add_count(page, (double)inbox->unacked, STYLE_PLAIN);
        add_count(page, (double)inbox->delayed, STYLE_PLAIN);
        add_count(page, (double)inbox->dead, STYLE_RED);
        add_right(page, size, NUMBER_COLUMNS, STYLE_PLAIN);
        end_line(page);
    }
}

static void
draw_peers(struct page *page, size_t lines)
{
    static const char *const heads[] = {"SESSIONS", "WAITS FOR", "CHANNELS"};
    const struct top_model *model = page->model;
    size_t first = page->width > 87 ? 44 : 32;
    add_heading(page, "PEERS", first, heads, 3, NUMBER_COLUMNS + 1);
    for (size_t i = 0; i < model->peer_count && i < lines; i++) {
        const struct top_peer *peer = &model->peer_rows[i];
        char sessions[24] = "away";
        if (peer->online)
            snprintf(sessions, sizeof sessions, "%llu", (unsigned long long)peer->sessions);
        add_cell(page, peer->name, first, peer->online ? STYLE_PLAIN : STYLE_DIM);
        add_right(page, sessions, NUMBER_COLUMNS + 1, peer->online ? STYLE_PLAIN : STYLE_DIM);
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)peer->in_flight);
        add_right(page, text, NUMBER_COLUMNS + 1, peer->in_flight ? STYLE_BOLD : STYLE_DIM);
        snprintf(text, sizeof text, "%llu", (unsigned long long)peer->subscriptions);
        add_right(page, text, NUMBER_COLUMNS + 1, peer->subscriptions ? STYLE_PLAIN : STYLE_DIM);
        end_line(page);
    }
}

/* ---- the page */

struct section {
    draw_fn *draw;
    size_t wanted; /* rows under its heading */
    size_t given;
};

/* Rows go around one by one, so that every section has some and none has more than it wants. */
static void
share_rows(struct section sections[static SECTIONS], size_t rows)
{
    bool given = true;
    while (rows > 0 && given) {
        given = false;
        for (size_t i = 0; i < SECTIONS && rows > 0; i++) {
            if (sections[i].given < sections[i].wanted) {
                sections[i].given++;
                rows--;
                given = true;
            }
        }
    }
}

static size_t
at_least_one(size_t count)
{
    return count ? count : 1;
}

void
top_draw(const struct top_model *model, const struct screen *screen, const char *hint,
         struct buffer *out)
{
    size_t width = screen->width > 0 ? (size_t)screen->width : WIDTH_DEFAULT;
    size_t height = screen->height > 0 ? (size_t)screen->height : UNBOUNDED;
    struct page page = {.model = model,
                        .screen = screen,
                        .out = out,
                        .width = width < WIDTH_MAX ? width : WIDTH_MAX};
    struct section sections[SECTIONS] = {
        {draw_services, model->service_count, 0},
        {draw_slowest, at_least_one(model->operation_count), 0},
        {draw_inboxes, at_least_one(model->inbox_count), 0},
        {draw_peers, at_least_one(model->peer_count), 0},
    };
    const size_t fixed = 3 + 2 * SECTIONS + (hint != NULL); /* the head, gaps and headings */
    draw_head(&page);
    share_rows(sections, height > fixed ? height - fixed : 0);
    for (size_t i = 0; i < SECTIONS; i++) {
        if (height <= fixed && sections[i].given == 0)
            continue;
        end_line(&page);
        sections[i].draw(&page, sections[i].given);
    }
    if (hint) {
        add_words(&page, hint, STYLE_DIM);
        end_line(&page);
    }
}

/* ---- JSON */

static void
add_member(struct buffer *out, const char *key, const char *value)
{
    buffer_append_format(out, "\"%s\":", key);
    json_append_text(out, text_of(value));
}

static void
add_figure(struct buffer *out, const char *key, double value)
{
    buffer_append_format(out, ",\"%s\":%.6g", key, isfinite(value) ? value : 0);
}

static void
add_seconds_member(struct buffer *out, const char *key, double seconds)
{
    if (seconds < 0)
        buffer_append_format(out, ",\"%s\":null", key);
    else
        add_figure(out, key, seconds * 1e3);
}

static void
add_latency(struct buffer *out, const struct latency_sum *sum, double seconds)
{
    add_figure(out, "requests_per_second", (double)sum->count / seconds);
    add_figure(out, "errors_per_second", (double)sum->errors / seconds);
    add_seconds_member(out, "p50_ms", sum->count ? (double)latency_percentile(sum, 0.5) / 1e6 : -1);
    add_seconds_member(out, "p99_ms",
                       sum->count ? (double)latency_percentile(sum, 0.99) / 1e6 : -1);
    add_seconds_member(out, "max_ms", sum->count ? (double)sum->max_us / 1e6 : -1);
}

static void
json_services(const struct top_model *model, struct buffer *out)
{
    for (size_t i = 0; i < model->service_count; i++) {
        const struct top_service *service = &model->services[i];
        struct latency_sum sum = top_service_latency(model, service->name);
        buffer_append_string(out, i ? ",{" : "{");
        add_member(out, "service", service->name);
        add_figure(out, "instances", (double)service->instances);
        add_figure(out, "in_flight", (double)service->in_flight);
        add_figure(out, "waiting", (double)service->waiting);
        add_latency(out, &sum, top_window_seconds(model, 2));
        buffer_append_byte(out, '}');
    }
}

static void
json_operations(const struct top_model *model, struct buffer *out)
{
    size_t count;
    struct slow *list = slowest(model, &count);
    for (size_t i = 0; list && i < count; i++) {
        buffer_append_string(out, i ? ",{" : "{");
        add_member(out, "service", list[i].operation->service);
        buffer_append_byte(out, ',');
        add_member(out, "type", list[i].operation->type);
        add_latency(out, &list[i].sum, top_window_seconds(model, MINUTE_SLOTS));
        buffer_append_byte(out, '}');
    }
    free(list);
}

static void
json_inboxes(const struct top_model *model, struct buffer *out)
{
    for (size_t i = 0; i < model->inbox_count; i++) {
        const struct top_inbox *inbox = &model->inboxes[i];
        buffer_append_string(out, i ? ",{" : "{");
        add_member(out, "agent_id", inbox->name);
        add_figure(out, "waiting", (double)inbox->waiting);
        add_figure(out, "unacked", (double)inbox->unacked);
        add_figure(out, "delayed", (double)inbox->delayed);
        add_figure(out, "dead", (double)inbox->dead);
        add_figure(out, "bytes", (double)inbox->bytes);
        buffer_append_byte(out, '}');
    }
}

static void
json_peers(const struct top_model *model, struct buffer *out)
{
    for (size_t i = 0; i < model->peer_count; i++) {
        const struct top_peer *peer = &model->peer_rows[i];
        buffer_append_string(out, i ? ",{" : "{");
        add_member(out, "identity", peer->name);
        buffer_append_format(out, ",\"online\":%s", peer->online ? "true" : "false");
        add_figure(out, "sessions", (double)peer->sessions);
        add_figure(out, "in_flight", (double)peer->in_flight);
        add_figure(out, "subscriptions", (double)peer->subscriptions);
        buffer_append_byte(out, '}');
    }
}

void
top_json(const struct top_model *model, struct buffer *out)
{
    const struct top_figures *now = &model->now;
    const struct top_figures *before = &model->before;
    buffer_append_format(out, "{\"uptime_seconds\":%.3f", now->uptime_seconds);
    add_figure(out, "peers", (double)model->peers);
    add_figure(out, "in_flight", (double)model->pending);
    add_figure(out, "requests_per_second", top_rate(model, now->requests, before->requests));
    add_figure(out, "records_per_second", top_rate(model, now->records, before->records));
    add_figure(out, "mail_per_second", top_rate(model, now->mail, before->mail));
    add_figure(out, "events_per_second", top_rate(model, now->events, before->events));
    add_seconds_member(out, "p50_ms", top_percentile(model, 0.5));
    add_seconds_member(out, "p99_ms", top_percentile(model, 0.99));
    add_figure(out, "refused_total", now->refused);
    add_figure(out, "dropped_total", now->dropped);
    add_figure(out, "cut_total", now->cut);
    add_figure(out, "tap_dropped_total", now->tap_dropped);
    buffer_append_string(out, ",\"services\":[");
    json_services(model, out);
    buffer_append_string(out, "],\"operations\":[");
    json_operations(model, out);
    buffer_append_string(out, "],\"inboxes\":[");
    json_inboxes(model, out);
    buffer_append_string(out, "],\"peer_list\":[");
    json_peers(model, out);
    buffer_append_string(out, "]}\n");
}
