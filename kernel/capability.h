/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/capability.h - an unforgeable, narrow right as a signed token.
 *
 * The signature is Ed25519 (RFC 8032) over the canonical
 * JSON of ten members, byte for byte what Python's
 * json.dumps(…, sort_keys=True) prints, so tokens made with PyNaCl verify here
 * and ours verify there. Pure: time and keys are handed in. */
#ifndef SOS_KERNEL_CAPABILITY_H
#define SOS_KERNEL_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

struct ed25519_public_key {
    uint8_t bytes[32];
};

struct ed25519_secret_key {
    uint8_t bytes[64]; /* libsodium's form: seed and public key */
};

struct capability; /* a parsed token; immutable; any thread */

enum { CAPABILITY_ID_MAX = 64 /* bytes of an id that can be revoked; longer ones give no right */ };

/* Parses a token: JSON object (also as base64url of it, padding optional).
 * INVALID with word "invalid_capability_payload" when it is not one: names the
 * member, what came, what was expected. Duplicate members are refused. At most
 * MESSAGE_CAPABILITY_MAX bytes. constraints, uses_remaining and parent_id may be absent and sign as
 * {}, null and null; a signature that is null or of another form than ed25519:<128 hex digits>
 * parses, and is TOKEN_INVALID when checked. */
enum status capability_parse(struct capability **capability_p, struct text token,
                             struct error *error);
void capability_destroy(struct capability **capability_p);

/* Borrowed; never NULL ("" when absent). */
const char *capability_id(const struct capability *capability);
const char *capability_subject(const struct capability *capability);
const char *capability_action(const struct capability *capability);
const char *capability_resource(const struct capability *capability);
const char *capability_parent_id(const struct capability *capability);
bool capability_has_parent(const struct capability *capability);
uint64_t capability_issued_us(const struct capability *capability);
uint64_t capability_expires_us(const struct capability *capability);
/* One packed map; empty when the token has none. */
struct bytes capability_constraints(const struct capability *capability);
/* False when uses_remaining is null. */
bool capability_uses_remaining(const struct capability *capability, int64_t *uses);

/* The bytes that are signed. */
enum status capability_signed_bytes(const struct capability *capability, struct buffer *out);

struct capability_request {
    struct text action;   /* "memory:write" */
    struct text resource; /* "memory:agent:kasra/new" */
    struct text subject;  /* who acts; empty: any subject */
    bool is_pattern;      /* the resource is a pattern: all that it matches has to be covered */
};

/* The whole check, in this order: signature against any of the keys
 * (TOKEN_INVALID), expiry at now_us (TOKEN_EXPIRED), uses_remaining 0
 * (SCOPE_DENIED, word "capability_used_up"), subject (SCOPE_DENIED, word
 * "capability_subject_mismatch"), action (SCOPE_DENIED), resource glob (SCOPE_DENIED). */
enum status capability_check(const struct capability *capability,
                             const struct ed25519_public_key *keys, size_t key_count,
                             const struct capability_request *request, uint64_t now_us,
                             struct error *error);

/* Its two halves, for those who keep the result of the first: the signature depends on the token's
 * bytes alone, the terms (expiry, uses, subject, action, resource) on the moment and the request.
 */
enum status capability_check_signature(const struct capability *capability,
                                       const struct ed25519_public_key *keys, size_t key_count,
                                       struct error *error);
enum status capability_check_terms(const struct capability *capability,
                                   const struct capability_request *request, uint64_t now_us,
                                   struct error *error);

struct capability_grant {
    const char *subject;
    const char *action;
    const char *resource;
    uint64_t issued_us;
    uint64_t expires_us;
    struct bytes constraints; /* one packed map; empty bytes: none */
    bool limited;
    int64_t uses;          /* of a limited one */
    const char *parent_id; /* NULL: it is not delegated */
};

/* Makes and signs a token, issuer "river", a random `cap_` id: appends its JSON to out. INVALID:
 * the constraints are not a map that JSON can say. */
enum status capability_issue(struct buffer *out, const struct capability_grant *grant,
                             const struct ed25519_secret_key *key, struct error *error);

/* Shell-style glob over the whole string as Python's fnmatch.fnmatchcase:
 * `*` any run ('/' and ':' too), `**` the same, `?` one character, `[seq]`,
 * `[!seq]`. Linear in |text|·|pattern| at worst: no exponential back-tracking. */
bool glob_match(struct text pattern, struct text text);

/* Does the pattern match whatever the narrower pattern matches? Never true when it does not. Two
 * sets are compared byte by byte: "[ab]" is not seen to cover "[ba]". As cheap as glob_match(). */
bool glob_covers(struct text pattern, struct text narrower);

/* Has it a character that glob_match() takes for more than itself? */
bool glob_is_pattern(struct text text);

#endif
