/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/river.h - River, the gatekeeper: the policy in force and the key that rights are
 * signed with.
 *
 * The policy of the home's edition is read at start (a wrong one refuses to start) and looked at
 * about once a second: a new one comes into force with an audit entry that says what changed, and
 * the broker tells the services (policy.changed); a broken one leaves the old one in force, and
 * says so in the log and in the health answer. What was told is kept in a row, so that neither a
 * crash nor a change while the swarm is down goes untold. */
#ifndef SOS_IDENTITY_RIVER_H
#define SOS_IDENTITY_RIVER_H

#include "actors/identity/grant.h"
#include "actors/identity/policy.h"

struct river;

/* The keys that settings name are read here. */
enum status river_new(struct river **river_p, const struct config *config, struct error *error);
void river_destroy(struct river **river_p);

/* At start: the home's River key and the policy. The error names what is wrong. */
enum status river_load(struct river *river, struct context *context, struct error *error);

/* Housekeeping: the policy's file, and rows that are due. */
void river_tick(struct river *river, struct context *context, struct outcome *outcome);

/* Adds the check "policy"; returns how many pairs. */
uint32_t river_health(const struct river *river, struct buffer *checks, bool *degraded);

const struct policy *river_policy(const struct river *river);

/* Is the signature of a key that counts here? TOKEN_INVALID otherwise. */
enum status river_verify(const struct river *river, const struct capability *capability,
                         struct error *error);

/* Signs a right with the home's key, takes it into the book and tells the audit. `what` names its
 * event ("capability.issued"). UNAVAILABLE: this home has no River key. The caller clears *made. */
enum status river_issue(struct context *context, const struct request *request,
                        struct outcome *outcome, const struct capability_grant *grant,
                        struct chain *chain, const char *what, struct grant *made,
                        struct error *error);

/* One use of a capability with this rate; chain: its ancestors. RATE_LIMITED. *left: how many the
 * tightest rate still allows; not written where there is none. */
enum status river_take_rate(struct river *river, const struct grant *grant,
                            const struct chain *chain, struct now now, int64_t *left,
                            struct error *error);

/* Of this context's service. */
struct river *river_of(const struct context *context);

/* News of the policy that the broker has not told yet: its edition is appended; nothing when there
 * is none. Newer ones that come meanwhile stay untold. */
enum status river_find_news(struct context *context, struct buffer *edition, uint64_t *version,
                            struct error *error);
enum status river_news_told(struct context *context, struct outcome *outcome, uint64_t version,
                            struct error *error);

#endif
