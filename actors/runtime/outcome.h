/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/outcome.h - the effects of one step: what a handler recorded, until dispatch keeps
 * or drops them. The recording functions stand in service.h. */
#ifndef SOS_RUNTIME_OUTCOME_H
#define SOS_RUNTIME_OUTCOME_H

#include "actors/runtime/audit.h"
#include "actors/runtime/context.h"
#include "actors/runtime/request.h"

struct outcome {
    struct context *context;
    struct request *request; /* NULL: the service's tick */
    bool may_write;          /* not while a commit is under way */
    size_t savepoint;        /* writes of the batch before this step */
    size_t chunk_savepoint;
    struct buffer reply;
    struct continuations effects;
    size_t effect_count;
    struct audit_notes notes;
    size_t note_count;
    enum status status; /* of the first thing that could not be recorded */
    struct error error;
};

enum {
    OUTCOME_EFFECTS_MAX = 64 /* of one step */
};

void outcome_init(struct outcome *outcome, struct context *context, struct request *request,
                  bool may_write);

/* The handler's result with what went wrong while it was recorded: a result that is not OK or
 * PENDING stays, otherwise the recording's failure counts. */
enum status outcome_settle(struct outcome *outcome, enum status status, struct error *error);

/* The first failure counts: what follows is often its consequence. */
void outcome_fail(struct outcome *outcome, enum status status, const char *words);

/* Back to the savepoint: no write, chunk, reply or effect of this step is left. Its audit entries
 * are. */
void outcome_roll_back(struct outcome *outcome);

/* Frees what nobody took over. */
void outcome_clear(struct outcome *outcome);

#endif
