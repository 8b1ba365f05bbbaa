/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/authorise.h - may this caller do this? The gate before every handler.
 *
 * Refusals come in the order of docs: 400 a token that cannot be read, 401 none or a wrong
 * signature, 403 everything else. A token is needed where the operation names a capability and
 * enforcement is on, and always for dangerous operations. One that comes without need is checked
 * all the same. Delegated tokens and tokens with counted uses are refused: nobody keeps book of
 * them yet. */
#ifndef SOS_KERNEL_AUTHORISE_H
#define SOS_KERNEL_AUTHORISE_H

#include "kernel/capability.h"
#include "kernel/clock.h"
#include "kernel/contract.h"

struct authoriser;

/* Keys are copied. NULL when out of memory. */
struct authoriser *authoriser_new(const struct ed25519_public_key *keys, size_t key_count,
                                  bool require_capabilities);
void authoriser_destroy(struct authoriser **authoriser_p);

struct claim {
    const struct operation *operation;
    struct text source;     /* as the broker checked it */
    struct text principal;  /* on whose behalf; the source when nobody else is named */
    struct text capability; /* token; may be empty */
    struct text resource;   /* what is asked for */
    struct text subject;    /* whom the call acts for; empty: any subject */
    bool is_pattern;        /* the resource is a pattern: all that it matches has to be covered */
};

/* The whole check. An agent acts for itself only, with and without enforcement (FORBIDDEN, word
 * "capability_subject_mismatch"). */
enum status authorise(struct authoriser *authoriser, const struct claim *claim, struct now now,
                      struct error *error);

/* Was this token's signature checked a while ago and found good? Then checking it again is cheap.
 */
bool authoriser_knows(const struct authoriser *authoriser, struct text token);

/* What can be said before the handler names the resource: everything but resource and subject. */
enum status authorise_early(struct authoriser *authoriser, const struct claim *claim,
                            struct now now, struct error *error);

#endif
