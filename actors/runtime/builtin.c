/* SPDX-License-Identifier: Apache-2.0 */
/* What every service answers, also while a commit is under way: health_check and metrics; and
 * takes: store_checkpoint. */
#include "actors/runtime/dispatch_core.h"

static const char *const request_labels[] = {"operation", "status", NULL};
static const char *const operation_label[] = {"operation", NULL};
static const char *const queue_labels[] = {"service", "queue", NULL};

static struct metric *
single(struct metrics *metrics, enum metric_type type, const char *name, const char *help)
{
    struct metric_family *family = metrics_family(metrics, type, name, help, NULL);
    return family ? metric_series(family, NULL) : NULL;
}

enum status
builtin_metrics_open(struct dispatch *dispatch)
{
    struct metrics *metrics = dispatch->context.metrics;
    dispatch->requests_total =
        metrics_family(metrics, METRIC_COUNTER, "sos_actor_requests_total",
                       "Requests that ended, by operation and status", request_labels);
    dispatch->request_seconds =
        metrics_family(metrics, METRIC_HISTOGRAM, "sos_actor_request_duration_seconds",
                       "From a request's arrival to its end", operation_label);
    dispatch->queue_depth = metrics_family(metrics, METRIC_GAUGE, "sos_queue_depth",
                                           "Requests by where they are", queue_labels);
    dispatch->commit_seconds = single(metrics, METRIC_HISTOGRAM, "sos_commit_duration_seconds",
                                      "From a batch's start to its rows on disk");
    dispatch->commit_requests = single(metrics, METRIC_COUNTER, "sos_commit_batch_requests_total",
                                       "Handler runs whose writes went into commits");
    dispatch->uptime_seconds =
        single(metrics, METRIC_GAUGE, "sos_actor_uptime_seconds", "Since the actor started");
    return dispatch->requests_total && dispatch->request_seconds && dispatch->queue_depth
               ? STATUS_OK
               : STATUS_NOMEM;
}

void
builtin_count(struct dispatch *dispatch, const struct request *request, enum status status)
{
    const char *const labels[] = {request->operation->name, status_word(status), NULL};
    const char *const operation[] = {request->operation->name, NULL};
    metric_add(metric_series(dispatch->requests_total, labels), 1);
    uint64_t took_us = dispatch->context.now.monotonic_us - request->arrived_us;
    metric_observe(metric_series(dispatch->request_seconds, operation), (double)took_us / 1e6);
}

/* What never became a request. The type is a peer's word: only one that we know becomes a label. */
void
builtin_count_refused(struct dispatch *dispatch, struct text type, enum status status)
{
    const struct operation *operation =
        contract_operation(dispatch->context.service->contract, type);
    const char *const labels[] = {operation ? operation->name : "unknown", status_word(status),
                                  NULL};
    metric_add(metric_series(dispatch->requests_total, labels), 1);
}

static uint64_t
uptime_s(const struct dispatch *dispatch)
{
    return (dispatch->context.now.monotonic_us - dispatch->started_us) / 1000000;
}

static void
set_depth(struct dispatch *dispatch, const char *queue, size_t depth)
{
    const char *const labels[] = {dispatch->context.service->contract->service, queue, NULL};
    metric_set(metric_series(dispatch->queue_depth, labels), (double)depth);
}

static void
pack_metrics(struct dispatch *dispatch, struct buffer *out)
{
    struct buffer text;
    buffer_init(&text);
    metric_set(dispatch->uptime_seconds, (double)uptime_s(dispatch));
    set_depth(dispatch, "waiting", dispatch->waiting_count);
    set_depth(dispatch, "running", dispatch->request_count - dispatch->waiting_count);
    metrics_print(dispatch->context.metrics, &text);
    pack_map(out, 1);
    pack_pair_text(out, "text", buffer_text(&text));
    if (text.failed)
        out->failed = true;
    buffer_clear(&text);
}

static void
pack_health(struct dispatch *dispatch, struct buffer *out)
{
    struct context *context = &dispatch->context;
    bool degraded = false;
    bool full = false;
    uint32_t count = 0;
    struct buffer checks;
    buffer_init(&checks);
    if (context->store) {
        bool failed = dispatch->store_failed || dispatch->failed;
        full = store_is_full(context->store, 0, NULL);
        pack_pair_string(&checks, "store",
                         failed ? "the last commit failed"
                         : full ? "storage full"
                                : "ok");
        count++;
    }
    if (dispatch->audit.has_trail && dispatch->audit.is_failing) {
        pack_pair_string(&checks, "audit", "the trail cannot be written");
        degraded = true;
        count++;
    }
    if (context->service->health && !dispatch->failed) {
        overlay_begin_step(context->overlay, 0, NULL);
        count += context->service->health(context, &checks, &degraded);
    }
    bool unhealthy = dispatch->failed || dispatch->store_failed || dispatch->stopping;
    pack_map(out, 5);
    pack_pair_string(out, "status", unhealthy ? "unhealthy" : degraded || full ? "degraded" : "ok");
    pack_pair_string(out, "version", SOS_VERSION);
    pack_pair_string(out, "service", context->service->contract->service);
    pack_pair_uint(out, "uptime_seconds", uptime_s(dispatch));
    pack_string(out, "checks");
    pack_map(out, count);
    pack_raw(out, buffer_bytes(&checks));
    if (checks.failed)
        out->failed = true;
    buffer_clear(&checks);
}

bool
builtin_answer(struct dispatch *dispatch, const struct message *message)
{
    static const struct {
        const char *type;
        void (*pack)(struct dispatch *dispatch, struct buffer *out);
    } builtins[] = {{"health_check", pack_health}, {"metrics", pack_metrics}};

    if (text_equal_string(message->type, "store_checkpoint")) {
        checkpoint_take(dispatch, message);
        return true;
    }
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
        if (!text_equal_string(message->type, builtins[i].type))
            continue;
        struct peer_origin origin;
        struct buffer reply;
        struct error error = ERROR_INIT;
        peer_origin_of(&origin, message);
        buffer_init(&reply);
        builtins[i].pack(dispatch, &reply);
        enum status status = STATUS_OK;
        if (reply.failed || reply.size > REPLY_SIZE_MAX) {
            status = reply.failed ? STATUS_NOMEM : STATUS_TOO_LARGE;
            error_set(&error, "%s", status_text(status));
            buffer_clear(&reply);
            error_pack(&reply, status, &error);
        }
        dispatch->port.reply(dispatch->port.context, &origin, status, buffer_bytes(&reply), NULL);
        buffer_clear(&reply);
        return true;
    }
    return false;
}
