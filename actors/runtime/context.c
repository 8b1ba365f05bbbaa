/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/context.h"

#include "kernel/assert.h"

void *
context_state(const struct context *context)
{
    return context->state;
}

struct now
context_now(const struct context *context)
{
    return context->now;
}

struct now
context_clock(const struct context *context)
{
    return clock_now(context->clock);
}

const struct config *
context_config(const struct context *context)
{
    return context->config;
}

const char *
context_home(const struct context *context)
{
    return context->home;
}

const struct logger *
context_logger(const struct context *context)
{
    return context->logger;
}

struct metrics *
context_metrics(const struct context *context)
{
    return context->metrics;
}

struct uuid
context_uuid(struct context *context)
{
    return uuid_next(&context->uuids, context->now.wall_us);
}

struct store *
context_store(const struct context *context)
{
    return context->store;
}

enum status
context_get(struct context *context, store_space space, struct bytes key, struct buffer *out,
            struct error *error)
{
    ASSERT(context->store);
    return overlay_get(context->overlay, context->store, space, key, out, error);
}

enum status
context_scan(struct context *context, store_space space, struct bytes prefix, bool reverse,
             store_row_fn *row, void *row_context, struct error *error)
{
    ASSERT(context->store);
    return overlay_scan(context->overlay, context->store, space, prefix, reverse, row, row_context,
                        error);
}
