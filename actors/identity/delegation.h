/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/delegation.h - what "narrower" means for a right. Pure.
 *
 * A delegated capability is a subset of its parent in action, resource, time, uses and constraints.
 * Of constraints whose meaning is known one may be tighter than another; any other one has to be
 * kept as it is. Adding one is always narrower. */
#ifndef SOS_IDENTITY_DELEGATION_H
#define SOS_IDENTITY_DELEGATION_H

#include "kernel/capability.h"
#include "kernel/pack.h"

enum { DELEGATION_DEPTH_MAX = 8 /* ancestors of one capability */ };

/* May the child stand below this parent? SCOPE_DENIED, word "capability_widened", names what is
 * wider. Signatures and the present moment are not looked at. */
enum status delegation_check(const struct capability *child, const struct capability *parent,
                             struct error *error);

/* Does the map `narrow` hold at least what `wide` holds? Both are packed maps; empty bytes are an
 * empty map. SCOPE_DENIED as above. */
enum status delegation_check_constraints(struct bytes narrow, struct bytes wide,
                                         struct error *error);

/* Appends what a child has that asks for `asked`: that, and what else its parent has. */
enum status delegation_inherit(struct bytes asked, struct bytes parent, struct buffer *out,
                               struct error *error);

/* Appends a map that holds both, the tighter of two. CONFLICT, word "constraints_conflict", when
 * neither of two is the tighter one. */
enum status delegation_merge(struct bytes one, struct bytes other, struct buffer *out,
                             struct error *error);

#endif
