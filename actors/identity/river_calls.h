/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/river_calls.h - River's operations, and what they share. */
#ifndef SOS_IDENTITY_RIVER_CALLS_H
#define SOS_IDENTITY_RIVER_CALLS_H

#include "actors/identity/river.h"

handler_fn policy, policy_of;
handler_fn capability_request, capability_issue_right, capability_delegate, capability_verify;
handler_fn capability_use, capability_revoke, capability_list;
handler_fn approvals, approval_get, approval_approve, approval_deny;

enum { RIGHT_ACTION_MAX = 128, RIGHT_RESOURCE_MAX = 512, RIGHT_EXPIRES_S = 3600 };

/* What somebody asks for, checked. */
struct right {
    char subject[MESSAGE_NAME_MAX + 1];
    char action[RIGHT_ACTION_MAX + 1];
    char resource[RIGHT_RESOURCE_MAX + 1];
    struct bytes constraints; /* a packed map, or empty; the request's */
    bool limited;
    int64_t uses;
    int64_t expires_in_s;
};

/* Places of its fields in an operation. */
struct right_fields {
    unsigned subject, action, resource, constraints, uses, expires_in;
};

/* VALIDATION names the field. Absent action and resource are "". */
enum status right_read(const struct request *request, const struct right_fields *fields,
                       struct right *right, struct error *error);

/* The right as it is signed. */
struct capability_grant right_grant(const struct right *right, uint64_t now_us);

/* Appends the answer that carries the token itself. */
enum status right_answer(struct outcome *outcome, const struct grant *made, struct error *error);

/* A capability that came in a field (an object, or its text), or else with the request. */
enum status right_token(const struct request *request, unsigned field, struct buffer *json,
                        struct error *error);

#endif
