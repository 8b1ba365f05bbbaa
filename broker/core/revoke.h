/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/revoke.h - capabilities that were taken back: what rests on them ends, and every
 * service is told.
 *
 * A service hears of all of them right behind its welcome, before its first request, and of new
 * ones at once. One that does not take the word in is cut, and hears it when it comes back. */
#ifndef SOS_BROKER_CORE_REVOKE_H
#define SOS_BROKER_CORE_REVOKE_H

#include "broker/core/state.h"
#include "kernel/authorise.h"
#include "kernel/pack.h"

/* What a right rests on, as kept with each thing that does: short, for there may be a million. */
struct ground ground_of(const struct core *core, const struct grounds *grounds);

/* Capabilities by their grounds. */
struct ground_set;
bool ground_set_has(const struct ground_set *set, const struct ground *ground);

/* The control record capability_revoke. */
enum status revoke_change(struct core *core, const struct value *payload, struct buffer *out,
                          struct error *error);

/* Tells a service's new session all of them. */
void revoke_tell_all(struct core *core, struct peer *peer);

#endif
