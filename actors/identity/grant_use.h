/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/grant_use.h - is a capability good, and one use of it. */
#ifndef SOS_IDENTITY_GRANT_USE_H
#define SOS_IDENTITY_GRANT_USE_H

#include "actors/identity/river_calls.h"

/* A token, its row (or what it would say) and its ancestors. */
struct shown {
    struct grant grant;
    struct chain chain;
    bool in_book;
};

/* Reads a token: INVALID, TOKEN_INVALID (signature, another token of this id, word
 * capability_parent_unknown), SCOPE_DENIED (word capability_widened). States are not looked at. The
 * caller clears, whatever the result. */
enum status shown_read(struct context *context, struct text token, struct shown *shown,
                       struct error *error);
void shown_clear(struct shown *shown);

/* Its state and those of its ancestors. */
enum status shown_check(const struct shown *shown, struct error *error);

/* Was it given to this identity, or one of its ancestors? */
bool shown_is_of(const struct shown *shown, struct text identity);

/* Takes it into the book if it is not there. */
enum status shown_keep(struct context *context, struct outcome *outcome, struct shown *shown,
                       struct error *error);

/* For struct service: one use, the same for the same request. */
enum status use_capability(struct context *context, const struct capability_use *use,
                           struct outcome *outcome, struct error *error);

#endif
