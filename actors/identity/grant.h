/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/grant.h - the book of capabilities: one row per token that this home has issued
 * or seen, with what the token itself cannot say: its state, the uses that are left, its children.
 *
 * A row and what finds it (by subject, by parent, by the day it goes) are written in one step. A
 * row stays for a day after the token's end. Descendants of one root are bounded, so that revoking
 * it takes one batch and one record to the broker. */
#ifndef SOS_IDENTITY_GRANT_H
#define SOS_IDENTITY_GRANT_H

#include "actors/identity/delegation.h"
#include "actors/runtime/service.h"
#include "kernel/capability.h"
#include "kernel/message.h"
#include "kernel/state.h"

enum {
    SPACE_GRANT = 16,
    SPACE_GRANT_SUBJECT = 17, /* subject NUL age id; subject NUL: how many */
    SPACE_GRANT_CHILD = 18,   /* parent NUL child */
    SPACE_GRANT_OPEN = 19,    /* revoked, and the broker has not confirmed it */
    SPACE_GRANT_USE = 20,     /* id NUL request */
    SPACE_APPROVAL = 21,
    SPACE_POLICY = 22,
    SPACE_RIVER_DUE = 23 /* when a row goes: time, space, id */
};

enum {
    GRANT_ID_MAX = 64,
    GRANT_REASON_MAX = 512,
    GRANT_FAMILY_MAX = 1000,    /* a root and its descendants */
    GRANTS_SUBJECT_MAX = 10000, /* rows of one subject */
    GRANT_EXPIRES_MAX_S = 365 * 86400,
    GRANT_USES_MAX = 1000000
};

/*    id       word */
#define GRANT_STATE_MAP(X)                                                                         \
    X(ISSUED, "issued")                                                                            \
    X(USED_UP, "used_up")                                                                          \
    X(EXPIRED, "expired")                                                                          \
    X(REVOKED, "revoked")

enum grant_state {
#define GRANT_STATE_ENUM(id, word) GRANT_##id,
    GRANT_STATE_MAP(GRANT_STATE_ENUM)
#undef GRANT_STATE_ENUM
        GRANT_STATES
};

enum grant_event { GRANT_ON_USE_UP, GRANT_ON_EXPIRE, GRANT_ON_REVOKE, GRANT_EVENTS };

extern const struct state_machine grant_machine;

struct grant {
    char id[GRANT_ID_MAX + 1];
    int state; /* enum grant_state, as of the moment it was read */
    bool limited;
    uint64_t uses_left; /* of a limited one */
    uint64_t family;    /* of a root: its descendants that have rows */
    uint64_t changed_us;
    char by[MESSAGE_NAME_MAX + 1]; /* who revoked it; "" */
    char reason[GRANT_REASON_MAX + 1];
    struct buffer token; /* JSON */
    struct capability *capability;
};

/* Zero-initialise; clear whatever the result was. */
void grant_clear(struct grant *grant);

/* NOT_FOUND, word "capability_not_found". */
enum status grant_get(struct context *context, struct text id, struct grant *grant,
                      struct error *error);

/* Writes the row of one that is there. */
void grant_put(struct outcome *outcome, const struct grant *grant);

/* What the row of a token would say that is not in the book. INVALID as capability_parse(). */
enum status grant_of_token(struct context *context, struct text token, struct grant *grant,
                           struct error *error);

/* Takes a token into the book: its signature and its place below its parent were checked. The
 * ancestors are the caller's, parent first. ALREADY_EXISTS: there is one of this id;
 * QUOTA_EXCEEDED: too many of its subject or family. The caller clears *grant. */
enum status grant_add(struct context *context, struct outcome *outcome, struct text token,
                      struct grant *ancestors, size_t ancestor_count, struct grant *grant,
                      struct error *error);

/* A capability's ancestors, parent first. TOKEN_INVALID, word "capability_parent_unknown", when one
 * of them is not in the book; SCOPE_DENIED, word "capability_widened", when one is wider than the
 * one above it. */
struct chain {
    struct grant links[DELEGATION_DEPTH_MAX];
    size_t count;
};
enum status chain_load(struct context *context, const struct capability *capability,
                       struct chain *chain, struct error *error);
void chain_clear(struct chain *chain);

/* May it be used, by its state? TOKEN_EXPIRED, SCOPE_DENIED with the words capability_revoked and
 * capability_used_up. */
enum status grant_check_state(const struct grant *grant, struct error *error);

/* Calls each for every descendant; stops at what is not OK. */
typedef enum status grant_each_fn(void *context, struct grant *grant, struct error *error);
enum status grant_descendants(struct context *context, struct text id, grant_each_fn *each,
                              void *each_context, struct error *error);

/* Removes what is due, a bounded piece of it; for the tick. */
void grant_sweep(struct context *context, struct outcome *outcome);

/* The token as it was signed: one packed map. */
enum status grant_pack_token(struct text token, struct buffer *out, struct error *error);

/* As contract type capability_record: without its signature, so that nobody can use it. */
enum status grant_pack(const struct grant *grant, struct buffer *out, struct error *error);

/* For apply(). */
enum status grant_check_row(store_space space, struct bytes key, struct bytes value,
                            struct error *error);

#endif
