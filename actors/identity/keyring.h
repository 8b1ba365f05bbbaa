/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/keyring.h - the keys that secrets and pairing codes rest on.
 *
 * The master key stands in secrets/master.key (0600), made at first use, or comes from the
 * passphrase secrets.passphrase by Argon2id. Which of the two, what Argon2id is given and a box
 * that only the right key opens stand in one row, written in the step that first needs a key. From
 * then on the row decides: a key that is missing or wrong is refused, never made anew. */
#ifndef SOS_IDENTITY_KEYRING_H
#define SOS_IDENTITY_KEYRING_H

#include "actors/identity/secret_box.h"
#include "actors/runtime/service.h"

enum { SPACE_KEYRING = 24 };

/* Zero-initialise. Part of the service's state. */
struct keyring {
    struct keys *keys; /* guarded memory; NULL: shut */
    struct buffer row; /* what they belong to, or what refused */
    bool refused;      /* this row, by this process's passphrase: asking again would cost as much */
    struct error why;
};

void keyring_clear(struct keyring *keyring); /* wipes */

/* The key for values or for codes, in memory that is wiped with the keyring. outcome: makes the
 * keys when there are none, and records their row in this step; NULL: NOT_FOUND then. UNAVAILABLE,
 * word "secrets_locked": the key file or the passphrase is missing or wrong; the error says which.
 * Blocks for a file's reading, and with a passphrase once for Argon2id. */
enum status keyring_open(struct keyring *keyring, enum secret_purpose purpose,
                         struct context *context, struct outcome *outcome,
                         const struct secret_key **key, struct error *error);

/* For apply(). STORE_FAILED says what is wrong. */
enum status keyring_check_row(struct bytes key, struct bytes value, struct error *error);

#endif
