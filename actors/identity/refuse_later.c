/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/refuse_later.h"

#include <stdlib.h>

struct refusal {
    enum status status;
    struct error error;
};

static enum status
refuse(struct context *context, struct request *request, const struct event *event,
       struct outcome *outcome, struct error *error)
{
    (void)context;
    (void)event;
    (void)outcome;
    const struct refusal *refusal = request_progress(request);
    *error = refusal->error;
    return refusal->status;
}

enum status
refuse_later(struct request *request, struct outcome *outcome, enum status status,
             const struct error *error)
{
    struct refusal *refusal = malloc(sizeof *refusal);
    if (!refusal)
        return STATUS_NOMEM;
    *refusal = (struct refusal){status, *error};
    request_set_progress(request, refusal, free);
    outcome_timer(outcome, 0, 0, refuse);
    return STATUS_PENDING;
}
