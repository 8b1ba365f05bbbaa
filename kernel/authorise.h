/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/authorise.h - may this caller do this? The gate before every handler.
 *
 * Refusals come in the order of docs: 400 a token that cannot be read, 401 none or a wrong
 * signature, 403 everything else. A token is needed where the operation names a capability and
 * enforcement is on, and always for dangerous operations. One that comes without need is checked
 * all the same.
 *
 * What a token says of itself is checked here; what only service:identity knows (is its parent
 * good, has it uses left) is asked there by the caller, when the answer is PENDING. */
#ifndef SOS_KERNEL_AUTHORISE_H
#define SOS_KERNEL_AUTHORISE_H

#include "kernel/capability.h"
#include "kernel/clock.h"
#include "kernel/constraints.h"
#include "kernel/contract.h"
#include "kernel/id.h"
#include "kernel/revocations.h"

struct authoriser;

/* Keys are copied. NULL when out of memory. */
struct authoriser *authoriser_new(const struct ed25519_public_key *keys, size_t key_count,
                                  bool require_capabilities);
void authoriser_destroy(struct authoriser **authoriser_p);

/* What a yes rests on. */
struct grounds {
    bool by_token; /* one came, and is good; else all is zero */
    char id[CAPABILITY_ID_MAX + 1];
    char parent_id[CAPABILITY_ID_MAX + 1]; /* "": none */
    uint64_t expires_us;
    bool is_counted; /* each use counts: of the token, of one above it, or for its rate */
    struct constraints constraints;
};

struct claim {
    const struct operation *operation;
    struct text source;      /* as the broker checked it */
    struct text principal;   /* on whose behalf; the source when nobody else is named */
    struct text capability;  /* token; may be empty */
    struct text resource;    /* what is asked for */
    struct text subject;     /* whom the call acts for; empty: any subject */
    bool is_pattern;         /* the resource is a pattern: all that it matches has to be covered */
    bool is_confirmed;       /* service:identity has said yes to this use of the token */
    struct grounds *grounds; /* filled with OK and PENDING; may be NULL */
};

/* The whole check. An agent acts for itself only, with and without enforcement (FORBIDDEN, word
 * "capability_subject_mismatch"). SCOPE_DENIED words: "capability_revoked" for a token that was
 * taken back or whose parent was, "capability_agent_mismatch" for one that is constrained to
 * another agent; RATE_LIMITED word "capability_rate_limited" beyond the token's own rate.
 *
 * PENDING: all is well, but the token was delegated or has counted uses: service:identity is to be
 * asked (capability_use), and the check repeated with is_confirmed. Each OK counts for the token's
 * rate. */
enum status authorise(struct authoriser *authoriser, const struct claim *claim, struct now now,
                      struct error *error);

/* What can be said before the handler names the resource: everything but resource, subject and
 * rate. */
enum status authorise_early(struct authoriser *authoriser, const struct claim *claim,
                            struct now now, struct error *error);

/* Was this token's signature checked a while ago and found good? Then checking it again is cheap.
 */
bool authoriser_knows(const struct authoriser *authoriser, struct text token);

/* By what name `service` asks service:identity about a use for this request. Two asks by one name
 * are one use, so that a request which is sent again after a crash costs one; the names of two
 * services differ. But who sends a request again that was done already wants it done twice: then
 * the name is the fresh one. */
struct uuid authoriser_use_name(const struct authoriser *authoriser, const char *service,
                                const struct uuid *request, const struct uuid *fresh,
                                struct now now);
/* What it said, as the status of the request: its own refusals stay what they are, everything else
 * means that it could not be asked (UNAVAILABLE). */
enum status authoriser_use_status(enum status answer, struct error *error);
/* Does its yes say that nothing is counted, neither of the token nor of those it was delegated
 * from? payload: of the reply. */
bool authoriser_use_is_free(struct bytes payload);
/* It has said yes to the use for this request. Of a free one the yes holds until the next
 * revocation, and the token is not PENDING any more. BUSY, NOMEM: the request cannot be remembered
 * and must not be done. */
enum status authoriser_confirm(struct authoriser *authoriser, struct text token, bool is_free,
                               const struct uuid *request, struct now now, struct error *error);

/* Refuses these from now on, and those delegated from them. Errors as revocations_add(). */
enum status authoriser_revoke(struct authoriser *authoriser, const struct revocation *list,
                              size_t count, struct now now, struct error *error);
/* The revocations could not be kept: no token gives a right any more (UNAVAILABLE). */
void authoriser_distrust(struct authoriser *authoriser);
bool authoriser_is_revoked(const struct authoriser *authoriser, const struct grounds *grounds,
                           struct now now);
const struct revocations *authoriser_revocations(const struct authoriser *authoriser);

#endif
