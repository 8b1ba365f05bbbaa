/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/secret_box.h - sealed bytes: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03,
 * libsodium) under a random nonce, and bound to a label, so that a box that was moved to another
 * row does not open there. Pure; any thread. */
#ifndef SOS_IDENTITY_SECRET_BOX_H
#define SOS_IDENTITY_SECRET_BOX_H

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum {
    SECRET_KEY_SIZE = 32,
    SECRET_SALT_SIZE = 16,
    SECRET_BOX_OVERHEAD = 24 + 16 /* nonce and tag */
};

/* Wipe it with secret_key_clear(). */
struct secret_key {
    uint8_t bytes[SECRET_KEY_SIZE];
};

/* What a key made from a passphrase depends on: Argon2id's (RFC 9106). */
struct secret_cost {
    uint64_t passes;
    uint64_t memory; /* bytes */
    uint8_t salt[SECRET_SALT_SIZE];
};

void secret_key_clear(struct secret_key *key);
void secret_key_random(struct secret_key *key);

/* 64 hex digits, and a line feed or none behind them. False: something else stands there. */
bool secret_key_parse(struct text text, struct secret_key *key);
void secret_key_format(const struct secret_key *key, struct buffer *out);

/* A key for one purpose, from which nobody learns of the master key or of those for others. */
enum secret_purpose { SECRET_FOR_VALUES = 1, SECRET_FOR_CODES = 2, SECRET_FOR_CHECK = 3 };
void secret_key_derive(const struct secret_key *master, enum secret_purpose purpose,
                       struct secret_key *key);

/* What SOS asks of a passphrase that is new: RFC 9106's second choice, with a new salt. */
void secret_cost_default(struct secret_cost *cost);
/* Within what this program is ready to spend, and not so little that the salt would do nothing? */
bool secret_cost_is_valid(const struct secret_cost *cost);
/* Takes a good part of a second and cost->memory bytes. NOMEM. */
enum status secret_key_from_passphrase(struct text passphrase, const struct secret_cost *cost,
                                       struct secret_key *key);

/* Appends nonce, ciphertext and tag; the label is not part of it. Out of memory shows in the
 * buffer. */
void secret_box_seal(const struct secret_key *key, struct bytes label, struct bytes plain,
                     struct buffer *box);

/* Appends what was sealed. False: another key, another label, or altered; or out of memory, which
 * shows in the buffer. */
bool secret_box_open(const struct secret_key *key, struct bytes label, struct bytes box,
                     struct buffer *plain);

/* Overwrites what the buffer held and frees it. */
void secret_buffer_clear(struct buffer *buffer);

#endif
