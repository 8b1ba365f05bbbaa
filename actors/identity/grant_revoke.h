/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/grant_revoke.h - taking rights back: the rows first, then the broker, which tells
 * every service, then the marks.
 *
 * A right and all its descendants become revoked in one batch, each with a mark that the broker has
 * not confirmed it. Whatever is left marked, after a crash too, the routine asks again. */
#ifndef SOS_IDENTITY_GRANT_REVOKE_H
#define SOS_IDENTITY_GRANT_REVOKE_H

#include "actors/identity/river_calls.h"

/* The end of the service's routine: tells the broker what it has not confirmed yet (revocations,
 * then news of the policy). Takes the request's progress over. OK: nothing is left, the reply is
 * {adopted, finished}; otherwise as a handler. */
enum status tell_broker(struct context *context, struct request *request, struct outcome *outcome,
                        unsigned adopted, unsigned finished, struct error *error);

/* For those who take back what River issued at their word: rows and marks in this step, then the
 * broker. PENDING: resume follows, and calls grant_taken_back(). OK: nobody has to be told (it is
 * over, or not in the book). Takes the request's progress over. */
enum status grant_take_back(struct context *context, struct request *request,
                            struct outcome *outcome, struct text id, struct text reason,
                            resume_fn *resume, struct error *error);

/* OK: the broker has confirmed it. Otherwise return what it returns: it is asked again. */
enum status grant_taken_back(struct request *request, const struct event *event,
                             struct outcome *outcome, struct error *error);

#endif
