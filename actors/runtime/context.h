/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/context.h - what a handler reads through: state, store, overlay, time, settings.
 *
 * One per actor, owned by dispatch. */
#ifndef SOS_RUNTIME_CONTEXT_H
#define SOS_RUNTIME_CONTEXT_H

#include "actors/runtime/overlay.h"
#include "actors/runtime/service.h"
#include "kernel/authorise.h"

struct context {
    const struct service *service;
    void *state;
    struct store *store; /* NULL: the service has none */
    struct overlay *overlay;
    struct now now;
    const struct clock *clock;
    const char *home; /* borrowed; may be NULL */
    bool has_trail;   /* audit entries reach a file */
    const struct config *config;
    const struct logger *logger;
    struct metrics *metrics;
    struct uuid_source uuids;
    struct authoriser *authoriser;
};

#endif
