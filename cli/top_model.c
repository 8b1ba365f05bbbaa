/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/tap_ask.h"

enum { PAST = sizeof((struct top_model *)NULL)->past / sizeof(struct top_figures) };

struct top_model *
top_model_new(uint64_t now_us)
{
    struct top_model *model = calloc(1, sizeof *model);
    if (!model)
        return NULL;
    model->now_us = now_us;
    model->since_us = now_us;
    model->operations = calloc(TOP_OPERATIONS_MAX, sizeof *model->operations);
    model->calls = tap_calls_new();
    if (!model->operations || !model->calls)
        top_model_destroy(&model);
    return model;
}

void
top_model_destroy(struct top_model **model_p)
{
    struct top_model *model = *model_p;
    if (!model)
        return;
    tap_calls_destroy(&model->calls);
    free(model->operations);
    free(model);
    *model_p = NULL;
}

/* ---- answers */

static void
copy(char to[static TOP_NAME_MAX], struct text text)
{
    snprintf(to, TOP_NAME_MAX, "%.*s", TEXT_ARGS(text));
}

static void
copy_member(const struct value *map, const char *key, char to[static TOP_NAME_MAX])
{
    struct text text = {"", 0};
    value_find_text(map, key, &text);
    copy(to, text);
}

/* The list `key` of an answer; false: there is none. */
static bool
begin_list(struct bytes payload, const char *key, struct value *whole, struct entries *entries)
{
    struct value list;
    if (!value_parse(payload, whole) || !value_find(whole, key, &list) || list.type != VALUE_ARRAY)
        return false;
    *entries = value_entries(&list);
    return true;
}

void
top_take_directory(struct top_model *model, struct bytes payload)
{
    struct value whole, row;
    struct entries entries;
    if (!begin_list(payload, "services", &whole, &entries))
        return;
    value_find_uint(&whole, "peers", &model->peers);
    model->service_count = 0;
    while (model->service_count < TOP_SERVICES_MAX && entries_next(&entries, &row)) {
        struct top_service *service = &model->services[model->service_count++];
        *service = (struct top_service){.instances = 0};
        copy_member(&row, "service", service->name);
        value_find_uint(&row, "instances", &service->instances);
        value_find_uint(&row, "in_flight", &service->in_flight);
        value_find_uint(&row, "waiting", &service->waiting);
    }
}

static uint64_t
weight(const struct top_inbox *inbox)
{
    return inbox->waiting + inbox->unacked + inbox->dead;
}

static int
compare_inboxes(const void *a, const void *b)
{
    uint64_t left = weight(a);
    uint64_t right = weight(b);
    return left < right ? 1
           : left > right
               ? -1
               : strcmp(((const struct top_inbox *)a)->name, ((const struct top_inbox *)b)->name);
}

void
top_take_inboxes(struct top_model *model, struct bytes payload)
{
    struct value whole, row;
    struct entries entries;
    if (!begin_list(payload, "mailboxes", &whole, &entries))
        return;
    model->inbox_count = 0;
    while (model->inbox_count < TOP_ROWS_MAX && entries_next(&entries, &row)) {
        struct top_inbox *inbox = &model->inboxes[model->inbox_count++];
        *inbox = (struct top_inbox){.waiting = 0};
        copy_member(&row, "agent_id", inbox->name);
        value_find_uint(&row, "waiting", &inbox->waiting);
        value_find_uint(&row, "unacked", &inbox->unacked);
        value_find_uint(&row, "delayed", &inbox->delayed);
        value_find_uint(&row, "dead", &inbox->dead);
        value_find_uint(&row, "bytes", &inbox->bytes);
    }
    qsort(model->inboxes, model->inbox_count, sizeof *model->inboxes, compare_inboxes);
}

/* Who waits for something stands first; services, which are listed above, last. */
static int
compare_peers(const void *a, const void *b)
{
    const struct top_peer *left = a;
    const struct top_peer *right = b;
    bool left_service = strncmp(left->name, "service:", 8) == 0;
    bool right_service = strncmp(right->name, "service:", 8) == 0;
    if (left_service != right_service)
        return left_service ? 1 : -1;
    if (left->online != right->online)
        return left->online ? -1 : 1;
    if (left->in_flight != right->in_flight)
        return left->in_flight < right->in_flight ? 1 : -1;
    return strcmp(left->name, right->name);
}

void
top_take_peers(struct top_model *model, struct bytes payload)
{
    struct value whole, row;
    struct entries entries;
    if (!begin_list(payload, "peers", &whole, &entries))
        return;
    model->peer_count = 0;
    while (model->peer_count < TOP_ROWS_MAX && entries_next(&entries, &row)) {
        struct top_peer *peer = &model->peer_rows[model->peer_count++];
        *peer = (struct top_peer){.sessions = 0};
        copy_member(&row, "identity", peer->name);
        value_find_uint(&row, "sessions", &peer->sessions);
        value_find_uint(&row, "in_flight", &peer->in_flight);
        value_find_uint(&row, "subscriptions", &peer->subscriptions);
        value_find_bool(&row, "online", &peer->online);
    }
    qsort(model->peer_rows, model->peer_count, sizeof *model->peer_rows, compare_peers);
}

/* ---- metrics */

struct sample {
    struct text name;
    struct text labels; /* between the braces */
    double value;
};

static bool
read_sample(struct text line, struct sample *sample)
{
    char number[64];
    const char *end = line.data + line.size;
    const char *at = line.data;
    if (line.size == 0 || *at == '#')
        return false;
    while (at < end && *at != '{' && *at != ' ')
        at++;
    sample->name = (struct text){line.data, (size_t)(at - line.data)};
    sample->labels = (struct text){at, 0};
    if (at < end && *at == '{') {
        const char *close = memchr(at, '}', (size_t)(end - at));
        if (!close)
            return false;
        sample->labels = (struct text){at + 1, (size_t)(close - at - 1)};
        at = close + 1;
    }
    snprintf(number, sizeof number, "%.*s", (int)(end - at), at);
    sample->value = strtod(number, NULL);
    return isfinite(sample->value);
}

static bool
is_named(const struct sample *sample, const char *name)
{
    return text_equal_string(sample->name, name);
}

static void
add_bucket(struct top_figures *figures, const struct sample *sample)
{
    char bound[32];
    if (figures->bound_count == TOP_BOUNDS_MAX || !text_starts_with(sample->labels, "le=\""))
        return;
    snprintf(bound, sizeof bound, "%.*s", (int)sample->labels.size - 4, sample->labels.data + 4);
    figures->bounds[figures->bound_count] = strtod(bound, NULL); /* "+Inf" is one too */
    figures->counts[figures->bound_count++] = sample->value;
}

/* A gauge as a number to show: what cannot be one is cut. */
static uint64_t
whole(double value)
{
    const double most = 1e15;
    if (!(value > 0))
        return 0;
    return (uint64_t)(value < most ? value : most);
}

static void
add_sample(struct top_model *model, struct top_figures *figures, const struct sample *sample)
{
    const struct {
        const char *name;
        double *figure;
    } sums[] = {
        {"sos_bus_records_total", &figures->records},
        {"sos_mail_accepted_total", &figures->mail},
        {"sos_bus_published_total", &figures->events},
        {"sos_bus_refused_total", &figures->refused},
        {"sos_bus_dropped_total", &figures->dropped},
        {"sos_bus_cut_total", &figures->cut},
        {"sos_bus_tap_dropped_total", &figures->tap_dropped},
        {"sos_bus_handshakes_refused_total", &figures->handshakes},
        {"sos_uptime_seconds", &figures->uptime_seconds},
    };
    if (is_named(sample, "sos_bus_records_total") &&
        text_equal_string(sample->labels, "kind=\"request\""))
        figures->requests = sample->value;
    else if (is_named(sample, "sos_bus_request_seconds_bucket"))
        add_bucket(figures, sample);
    else if (is_named(sample, "sos_bus_pending"))
        model->pending = whole(sample->value);
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        if (is_named(sample, sums[i].name))
            *sums[i].figure += sample->value;
}

static void
remember(struct top_model *model, const struct top_figures *figures)
{
    if (model->now.at_us && figures->uptime_seconds >= model->now.uptime_seconds) {
        if (model->past_count == PAST) {
            memmove(model->past, model->past + 1, (PAST - 1) * sizeof *model->past);
            model->past_count--;
        }
        model->past[model->past_count++] = model->now;
        double seconds = (double)(figures->at_us - model->now.at_us) / 1e6;
        if (model->history_count == TOP_HISTORY) {
            memmove(model->history, model->history + 1, (TOP_HISTORY - 1) * sizeof *model->history);
            model->history_count--;
        }
        if (seconds > 0)
            model->history[model->history_count++] =
                (figures->requests - model->now.requests) / seconds;
    } else {
        model->past_count = 0; /* another broker began to count anew */
        model->history_count = 0;
    }
    model->now = *figures;
    model->before = model->past_count ? model->past[0] : *figures;
}

void
top_take_metrics(struct top_model *model, struct bytes payload, uint64_t now_us)
{
    struct value whole;
    struct text text;
    struct top_figures figures = {.at_us = now_us};
    if (!value_parse(payload, &whole) || !value_find_text(&whole, "text", &text))
        return;
    model->now_us = now_us;
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        struct text line = {text.data, end ? (size_t)(end - text.data) : text.size};
        struct sample sample;
        if (read_sample(line, &sample))
            add_sample(model, &figures, &sample);
        size_t used = line.size + (end != NULL);
        text = (struct text){text.data + used, text.size - used};
    }
    remember(model, &figures);
}

double
top_rate(const struct top_model *model, double now, double before)
{
    double seconds = (double)(model->now.at_us - model->before.at_us) / 1e6;
    return seconds > 0 && now >= before ? (now - before) / seconds : 0;
}

double
top_percentile(const struct top_model *model, double share)
{
    const struct top_figures *now = &model->now;
    const struct top_figures *before = &model->before;
    size_t count = now->bound_count;
    if (count == 0 || before->bound_count != count)
        return -1;
    double all = now->counts[count - 1] - before->counts[count - 1];
    if (!(all > 0))
        return -1;
    double low = 0;
    double below = 0;
    for (size_t i = 0; i < count; i++) {
        double seen = now->counts[i] - before->counts[i];
        if (seen >= all * share) {
            if (!isfinite(now->bounds[i]))
                return low;
            double within = seen > below ? (all * share - below) / (seen - below) : 1;
            return low + (now->bounds[i] - low) * within;
        }
        low = now->bounds[i];
        below = seen;
    }
    return low;
}

/* ---- the tap */

/* Beyond TOP_OPERATIONS_MAX all share the last one. */
static struct top_operation *
operation_of(struct top_model *model, const char *service, const char *type)
{
    for (size_t i = 0; i < model->operation_count; i++) {
        struct top_operation *operation = &model->operations[i];
        if (strcmp(operation->type, type) == 0 && strcmp(operation->service, service) == 0)
            return operation;
    }
    if (model->operation_count == TOP_OPERATIONS_MAX)
        return &model->operations[TOP_OPERATIONS_MAX - 1];
    bool last = model->operation_count == TOP_OPERATIONS_MAX - 1;
    struct top_operation *operation = &model->operations[model->operation_count++];
    copy(operation->service, text_of(last ? "others" : service));
    copy(operation->type, text_of(last ? "others" : type));
    return operation;
}

struct taking {
    struct top_model *model;
    uint64_t now_us;
};

/* What the gateway and this command ask once a second would be all there is to see. */
static bool
is_upkeep(const struct tap_entry *entry)
{
    static const char *const types[] = {"health_check", "directory", "metrics", "bus_mailboxes",
                                        "bus_peers"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (text_equal_string(entry->type, types[i]))
            return true;
    return false;
}

static bool
take_record(void *context, const struct value *record)
{
    struct taking *taking = context;
    struct top_model *model = taking->model;
    struct tap_entry entry;
    struct tap_call call;
    if (!tap_entry_read(&entry, record))
        return true;
    if (entry.kind == KIND_REQUEST && !is_upkeep(&entry))
        tap_calls_begin(model->calls, &entry);
    if (entry.kind != KIND_REPLY || !tap_calls_end(model->calls, &entry, &call))
        return true;
    const char *service = strncmp(call.target, "service:", 8) == 0 ? call.target + 8 : call.target;
    struct top_operation *operation = operation_of(model, service, call.type);
    uint64_t took_us = entry.at_us > call.at_us ? entry.at_us - call.at_us : 0;
    latency_add(&operation->latency, taking->now_us, took_us, entry.status != STATUS_OK);
    return true;
}

void
top_take_tap(struct top_model *model, struct bytes payload, uint64_t now_us)
{
    struct taking taking = {model, now_us};
    uint64_t dropped = 0;
    model->now_us = now_us;
    tap_chunk_read(payload, &dropped, take_record, &taking);
    model->tap_dropped += dropped;
}

struct latency_sum
top_service_latency(const struct top_model *model, const char *service)
{
    struct latency_sum sum = {.count = 0};
    for (size_t i = 0; i < model->operation_count; i++)
        if (strcmp(model->operations[i].service, service) == 0)
            latency_collect(&model->operations[i].latency, model->now_us, 2, &sum);
    return sum;
}

double
top_window_seconds(const struct top_model *model, unsigned slots)
{
    uint64_t covered = model->now_us % LATENCY_SLOT_US + (slots - 1) * (uint64_t)LATENCY_SLOT_US;
    uint64_t lived = model->now_us - model->since_us;
    uint64_t us = covered < lived ? covered : lived;
    return us > 0 ? (double)us / 1e6 : 1e-6;
}
