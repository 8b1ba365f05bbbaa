/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/policy_file.h - where policies stand: config/policies/<edition>.json below the
 * home, else among those that the program brings along. Calls block for a small file. */
#ifndef SOS_IDENTITY_POLICY_FILE_H
#define SOS_IDENTITY_POLICY_FILE_H

#include "actors/identity/policy.h"

/* Reads and checks an edition; its text is appended. NOT_FOUND, word "policy_not_found": there is
 * no such edition. VALIDATION: the file is wrong; the error names it. home may be NULL: only what
 * the program brings along. */
enum status policy_file_load(const char *home, struct text edition, struct policy **policy_p,
                             struct buffer *json, struct error *error);

#endif
