/* SPDX-License-Identifier: Apache-2.0 */
/* What a service asks of itself: an ordinary request, from the service to the service, that nobody
 * outside sees. */
#include <stdio.h>

#include "actors/runtime/dispatch_core.h"

bool
routine_is(const struct dispatch *dispatch, const struct uuid *request_id)
{
    return !uuid_is_nil(&dispatch->routine_id) && uuid_equal(&dispatch->routine_id, request_id);
}

void
routine_begin(struct dispatch *dispatch)
{
    struct context *context = &dispatch->context;
    const struct service *service = context->service;
    if (!service->routine || dispatch->stopping || dispatch->failed ||
        context->now.monotonic_us < dispatch->routine_us)
        return;
    dispatch->routine_us = context->now.monotonic_us + (uint64_t)service->routine_ms * 1000;
    if (uuid_is_nil(&dispatch->routine_id))
        dispatch->routine_id = context_uuid(context);

    char self[MESSAGE_NAME_MAX + 1];
    snprintf(self, sizeof self, "service:%s", service->contract->service);
    const struct message message = {.version = MESSAGE_VERSION,
                                    .kind = KIND_REQUEST,
                                    .id = dispatch->routine_id,
                                    .source = text_of(self),
                                    .target = text_of(self),
                                    .type = text_of(service->routine),
                                    .ttl_ms = service->routine_ms};
    dispatch_message(dispatch, &message);
}
