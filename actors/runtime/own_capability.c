/* SPDX-License-Identifier: Apache-2.0 */
/* What a service may do in its own name: its host has the home's River key at hand. */
#include <stdio.h>

#include "actors/runtime/context.h"
#include "platform/river_key.h"

enum { GOOD_FOR_US = 60 * 1000 * 1000 };

enum status
context_own_capability(const struct context *context, const char *action, const char *resource,
                       struct buffer *token, struct error *error)
{
    struct river_key river;
    char self[MESSAGE_NAME_MAX + 1];
    if (!context->home) {
        error_set(error, "there is no home whose River key could sign");
        return STATUS_UNAVAILABLE;
    }
    enum status status = river_key_load(context->home, &river, error);
    if (status != STATUS_OK)
        return STATUS_UNAVAILABLE;
    snprintf(self, sizeof self, "service:%s", context->service->contract->service);
    const struct capability_grant grant = {.subject = self,
                                           .action = action,
                                           .resource = resource,
                                           .issued_us = context->now.wall_us,
                                           .expires_us = context->now.wall_us + GOOD_FOR_US};
    status = capability_issue(token, &grant, &river.secret_key, error);
    river_key_clear(&river);
    return status;
}
