/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/secret.h - named secrets: sealed in the store, shown to who holds secret:read.
 *
 * A row is bound to its name and times, so that none opens under another name or as an older
 * version with newer times. Values live in plain form in a handler's reply alone. */
#ifndef SOS_IDENTITY_SECRET_H
#define SOS_IDENTITY_SECRET_H

#include "actors/identity/keyring.h"

enum {
    SPACE_SECRET = 25,
    SECRET_NAME_MAX = 128, /* as the contract */
    SECRET_VALUE_MAX = 16 * 1024,
    SECRETS_MAX = 1000
};

handler_fn secret_set, secret_get, secret_list, secret_remove;

/* Of a-z, 0-9 and . _ -, at most SECRET_NAME_MAX of them? */
bool secret_name_is_valid(struct text name);

/* For apply(). STORE_FAILED says what is wrong. */
enum status secret_check_row(store_space space, struct bytes key, struct bytes value,
                             struct error *error);

#endif
