/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/river_approval.h - rights that wait for an administrator.
 *
 * Ids are UUIDv7, so the order of rows is their age. A row stays for a week after it was made. */
#ifndef SOS_IDENTITY_RIVER_APPROVAL_H
#define SOS_IDENTITY_RIVER_APPROVAL_H

#include "actors/identity/river_calls.h"
#include "kernel/id.h"

enum {
    APPROVAL_HOURS = 24,     /* so long it waits */
    APPROVALS_MAX = 1000,    /* that wait, of all */
    APPROVALS_AGENT_MAX = 32 /* of one who asks */
};

/*    id       word */
#define APPROVAL_STATE_MAP(X)                                                                      \
    X(PENDING, "pending")                                                                          \
    X(APPROVED, "approved")                                                                        \
    X(DENIED, "denied")                                                                            \
    X(EXPIRED, "expired")

enum approval_state {
#define APPROVAL_STATE_ENUM(id, word) APPROVAL_##id,
    APPROVAL_STATE_MAP(APPROVAL_STATE_ENUM)
#undef APPROVAL_STATE_ENUM
        APPROVAL_STATES
};

enum approval_event { APPROVAL_ON_APPROVE, APPROVAL_ON_DENY, APPROVAL_ON_EXPIRE, APPROVAL_EVENTS };

extern const struct state_machine approval_machine;

struct approval {
    char id[UUID_TEXT_SIZE];
    int state; /* enum approval_state, as of the moment it was read */
    struct right right;
    struct text justification, reason; /* borrowed, as the right's constraints */
    char decided_by[MESSAGE_NAME_MAX + 1];
    char why[GRANT_REASON_MAX + 1];
    char capability_id[GRANT_ID_MAX + 1];
    uint64_t created_us, expires_us, decided_us;
    struct buffer row; /* what the views borrow from */
};

/* NOT_FOUND, word "approval_not_found". Clear whatever the result was. */
enum status approval_read(struct context *context, struct text id, struct approval *approval,
                          struct error *error);
void approval_clear(struct approval *approval);
void approval_put(struct outcome *outcome, const struct approval *approval);

/* A new one, or the one that waits for the same. QUOTA_EXCEEDED: too many wait. */
enum status approval_ask(struct context *context, struct outcome *outcome,
                         const struct right *right, struct text justification, const char *reason,
                         struct approval *approval, struct error *error);

/* As contract type approval_record. */
void approval_pack(const struct approval *approval, struct buffer *out);

/* For apply(). */
enum status approval_check_row(store_space space, struct bytes key, struct bytes value,
                               struct error *error);

#endif
