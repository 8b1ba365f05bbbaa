/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/onboarding.h - from unknown to active to terminated: the machine, its history,
 * and who may move it.
 *
 * A step is written, audited ("agent.<action>") and told to the broker by duty_run()
 * (onboarding_duty.h). */
#ifndef SOS_IDENTITY_ONBOARDING_H
#define SOS_IDENTITY_ONBOARDING_H

#include "actors/identity/agent.h"
#include "kernel/state.h"

/*    id             word */
#define AGENT_ACTION_MAP(X)                                                                        \
    X(IDENTIFY, "identify")                                                                        \
    X(VERIFY, "verify")                                                                            \
    X(REJECT, "reject")                                                                            \
    X(ASSIGN_SQUAD, "assign_squad")                                                                \
    X(ACTIVATE, "activate")                                                                        \
    X(SUSPEND, "suspend")                                                                          \
    X(REACTIVATE, "reactivate")                                                                    \
    X(TERMINATE, "terminate")

enum agent_action {
#define AGENT_ACTION_ENUM(id, word) ACTION_##id,
    AGENT_ACTION_MAP(AGENT_ACTION_ENUM)
#undef AGENT_ACTION_ENUM
        AGENT_ACTIONS
};

enum {
    HISTORY_MAX = 64, /* of one agent; the oldest go first */
    CANDIDATES_MAX = 1000,
    SQUADS_MAX = 10000
};

/* A challenge is good so long; a rejected agent's history is kept so long after it. */
#define CHALLENGE_US (UINT64_C(15) * 60 * 1000000)
#define REJECTED_KEPT_US (UINT64_C(24) * 3600 * 1000000)

extern const struct state_machine agent_machine;

/* Who moves it, and why. */
struct agent_step {
    enum agent_action action;
    struct text actor;
    struct text reason; /* may be empty */
};

/* CONFLICT names agent, state and action: nothing was recorded. OK: agent has the new state, its
 * history and the audit tell of it, and its duties are those of the new state. The caller puts the
 * agent. */
enum status onboarding_step(struct context *context, struct outcome *outcome, struct agent *agent,
                            const struct agent_step *step, struct error *error);

/* The same for what is no step of the machine (the operator's register and revoke). */
void onboarding_move(struct context *context, struct outcome *outcome, struct agent *agent,
                     enum agent_state to, const char *action, struct text actor,
                     struct text reason);

/* As contract type agent_record, with history and what was claimed; more pairs of the caller
 * follow. */
enum status onboarding_pack(struct context *context, struct buffer *out, const struct agent *agent,
                            uint32_t more, struct error *error);

/* Takes the agent out with all that is kept of it. */
enum status onboarding_forget(struct context *context, struct outcome *outcome, struct agent *agent,
                              struct error *error);

/* Moving others is for user:operator, the local user, and whoever shows the capability for it
 * (which the runtime has checked). FORBIDDEN, word "not_admin". */
enum status onboarding_check_admin(const struct request *request, struct error *error);

/* QUOTA_EXCEEDED, word "too_many_candidates". */
enum status onboarding_check_candidates(struct context *context, struct error *error);

/* For apply(). */
enum status onboarding_check_row(store_space space, struct bytes key, struct bytes value,
                                 struct error *error);

#endif
