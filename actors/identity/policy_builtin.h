/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/policy_builtin.h - the editions of deploy/policies, which the program brings
 * along; written by policy_embed.py. */
#ifndef SOS_IDENTITY_POLICY_BUILTIN_H
#define SOS_IDENTITY_POLICY_BUILTIN_H

#include <stddef.h>

struct policy_builtin {
    const char *edition;
    const char *json;
    size_t size;
};

/* Ends with a row whose edition is 0. */
extern const struct policy_builtin policy_builtins[];

#endif
