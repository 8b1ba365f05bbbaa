/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a claim and its proof: refused with the field named, or an agent whose form can be
 * relied on; no forged proof passes. */
#include <stdlib.h>

#include "actors/identity/claim.h"
#include "contracts/identity.h"
#include "kernel/contract.h"
#include "kernel/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition)
        abort();
}

static void
check(struct agent *agent, struct text signature)
{
    struct identity identity;
    struct error error = ERROR_INIT;
    char source[] = IDENTITY_ANONYMOUS "0000000000000000";
    require(identity_parse(text_of(agent->id), &identity, NULL) == STATUS_OK);
    require(identity.type == IDENTITY_AGENT && agent->state == STATE_ANONYMOUS);
    require(agent->public_key[0] == '\0' || strlen(agent->public_key) == AGENT_PUBLIC_KEY_SIZE);
    require(agent->curve_public_key[0] == '\0' || curve_key_is_valid(agent->curve_public_key));
    claim_challenge(agent);
    require(strlen(agent->challenge) < CHALLENGE_TEXT_MAX - 1);
    require(claim_check_proof(agent, signature, &error) == STATUS_UNAUTHORIZED);
    require(strcmp(error.word, "invalid_proof") == 0);
    require(claim_check_bearer(text_of(source), agent->curve_public_key, &error) ==
            STATUS_FORBIDDEN);
}

/* The first bytes, as many as the very first one says, are a signature; the rest is the payload, as
 * it comes from a peer. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arguments arguments;
    struct agent agent;
    struct error error = ERROR_INIT;
    size_t signed_size = size > 0 ? data[0] : 0;
    if (size == 0 || signed_size + 1 > size)
        return 0;
    struct text signature = {(const char *)data + 1, signed_size};
    struct bytes payload = {data + 1 + signed_size, size - 1 - signed_size};
    if (contract_validate(&identity_contract.operations[OP_IDENTITY_IDENTIFY], payload, &arguments,
                          &error) != STATUS_OK)
        return 0;
    struct claim_fields fields = {
        .agent_id = arguments_text(&arguments, IDENTITY_IDENTIFY_AGENT_ID),
        .public_key = arguments_text(&arguments, IDENTITY_IDENTIFY_PUBLIC_KEY),
        .curve_public_key = arguments_text(&arguments, IDENTITY_IDENTIFY_CURVE_PUBLIC_KEY),
        .name = arguments_text(&arguments, IDENTITY_IDENTIFY_NAME),
        .model = arguments_text(&arguments, IDENTITY_IDENTIFY_MODEL)};
    enum status status = claim_read(&fields, &agent, &error);
    if (status == STATUS_OK)
        check(&agent, signature);
    else
        require(status == STATUS_VALIDATION && error.field[0] != '\0');
    return 0;
}
