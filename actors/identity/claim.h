/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/claim.h - what somebody says that it is: reading it, and the challenge that has
 * to prove it. */
#ifndef SOS_IDENTITY_CLAIM_H
#define SOS_IDENTITY_CLAIM_H

#include "actors/identity/agent.h"

/* Views; empty where nothing was said. Within the contract's bounds. */
struct claim_fields {
    struct text agent_id;
    struct text public_key; /* Ed25519, 64 hex digits */
    struct text curve_public_key;
    struct text name;
    struct text model;
};

/* A new agent of these. VALIDATION names the field: an agent_id of another form, a public_key that
 * is no Ed25519 key, a curve_public_key that is no Z85 key. */
enum status claim_read(const struct claim_fields *fields, struct agent *agent, struct error *error);

/* NOT_FOUND: its CURVE key, if it has one, is nobody's or its own. ALREADY_EXISTS, word
 * "key_exists". */
enum status claim_check_key(struct context *context, const struct agent *agent,
                            struct error *error);

/* Who came with an unknown key may only claim that key: FORBIDDEN, word "key_mismatch". */
enum status claim_check_bearer(struct text source, const char *curve_public_key,
                               struct error *error);

/* A new one, random, in agent->challenge: the text that has to be signed. It names the agent, so
 * that a signature made for one thing never stands for another. */
void claim_challenge(struct agent *agent);

/* signature: "ed25519:" and 128 hex digits over the challenge's bytes. UNAUTHORIZED, word
 * "invalid_proof". */
enum status claim_check_proof(const struct agent *agent, struct text signature,
                              struct error *error);

/* Cuts at capacity - 1 bytes. */
void claim_copy(char *to, size_t capacity, struct text text);

#endif
