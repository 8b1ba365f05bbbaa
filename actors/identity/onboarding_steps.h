/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/onboarding_steps.h - the handlers of the onboarding machine's actions. */
#ifndef SOS_IDENTITY_ONBOARDING_STEPS_H
#define SOS_IDENTITY_ONBOARDING_STEPS_H

#include "actors/runtime/service.h"

/* By the agent itself: onboarding_identify.c. */
handler_fn identify_agent, verify_agent;

/* By who may: onboarding_steps.c. */
handler_fn reject_agent, assign_squad, activate_agent, suspend_agent, reactivate_agent,
    terminate_agent;

/* One agent, with its state and history. */
handler_fn get_agent;

#endif
