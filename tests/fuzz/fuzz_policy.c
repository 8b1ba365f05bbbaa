/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a policy: refused with a place, or one that can be asked, shown and compared; what it
 * allows for a glob it does not deny for what the glob matches. */
#include <stdlib.h>

#include "actors/identity/policy.h"
#include "kernel/json.h"
#include "kernel/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition)
        abort();
}

static enum policy_effect
ask(const struct policy *policy, const char *action, const char *resource)
{
    const struct policy_question question = {text_of("agent:a"), text_of(action),
                                             text_of(resource)};
    struct policy_verdict verdict;
    struct value value;
    policy_evaluate(policy, &question, &verdict);
    require(verdict.constraints.size == 0 || value_parse(verdict.constraints, &value));
    require(verdict.rule > 0 || verdict.effect == POLICY_DENY);
    (void)policy_is_dangerous(policy, question.action, verdict.constraints);
    return verdict.effect;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *policy = NULL;
    struct error error = ERROR_INIT;
    struct buffer out = {0};
    struct value value;
    if (policy_parse(&policy, (struct text){(const char *)data, size}, "policy", &error) !=
        STATUS_OK) {
        require(error.message[0] != '\0' && !policy);
        return 0;
    }
    if (ask(policy, "memory:read", "memory:agent:a/*") == POLICY_ALLOW)
        require(ask(policy, "memory:read", "memory:agent:a/x") == POLICY_ALLOW);
    policy_pack(policy, &out);
    require(value_parse(buffer_bytes(&out), &value) && value.type == VALUE_MAP);
    buffer_reset(&out);
    policy_diff(policy, policy, 100, &out);
    buffer_clear(&out);
    policy_destroy(&policy);
    return 0;
}
