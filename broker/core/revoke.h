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

/* What the record under work rests on, to be kept: what keeps it is ended when it expires. */
struct ground ground_keep(struct core *core);

/* Capabilities by their grounds: those that were revoked, or those that have expired. */
struct ground_set;
bool ground_set_has(const struct ground_set *set, const struct ground *ground);
/* Why what rests on them ends. */
enum status ground_set_refuse(const struct ground_set *set, struct error *error);

/* When the core is made. */
void revoke_init(struct core *core);

/* The control record capability_revoke. */
enum status revoke_change(struct core *core, const struct value *payload, struct buffer *out,
                          struct error *error);

/* Tells a service's new session all of them. */
void revoke_tell_all(struct core *core, struct peer *peer);

#endif
