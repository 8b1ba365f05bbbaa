/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/user.h - people: made once, under `user:` and their name.
 *
 * An id is made of a name: a space becomes `_`; what then is no name of an identity, or has `:` or
 * `/`, which divide names elsewhere, is refused. A user's id keeps the case, a guild's has lower
 * case. */
#ifndef SOS_IDENTITY_USER_H
#define SOS_IDENTITY_USER_H

#include "actors/runtime/service.h"
#include "kernel/message.h"

enum {
    SPACE_USER = 5,
    PERSON_NAME_MAX = 128, /* bytes of a user's or guild's name */
    USER_BIO_MAX = 4096,
    USER_AVATAR_MAX = 2048,
    USERS_MAX = 100000
};

handler_fn create_user, get_user;

/* "user" and "Ana Maria" give "user:Ana_Maria". VALIDATION names the field "name". */
enum status user_make_id(const char *type, struct text name, bool lower_case,
                         char id[static MESSAGE_NAME_MAX + 1], struct error *error);

/* Is there somebody of this id? Agents are taken at their word: those that are built in have no
 * row. VALIDATION names the field: it is no user's or agent's id. NOT_FOUND, word "user_not_found".
 */
enum status user_check_member(struct context *context, struct text id, const char *field,
                              struct error *error);

/* Appends the user's name, or what stands behind the type of an id that has no row. */
enum status user_append_name(struct context *context, struct text id, struct buffer *out,
                             struct error *error);

/* For apply(). */
enum status user_check_row(store_space space, struct bytes key, struct bytes value,
                           struct error *error);

#endif
