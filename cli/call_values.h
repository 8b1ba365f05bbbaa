/* SPDX-License-Identifier: Apache-2.0 */
/* cli/call_values.h - the arguments of `sos call` as a request: FIELD=TEXT and FIELD:=JSON, typed
 * by the operation's contract. Pure. */
#ifndef SOS_CLI_CALL_VALUES_H
#define SOS_CLI_CALL_VALUES_H

#include <stddef.h>

#include "kernel/contract.h"
#include "kernel/json.h"

enum { CALL_VALUES_MAX = 256 };

/* Appends one msgpack map: the members of body (a JSON object, may be empty), then the
 * assignments. FIELD=TEXT becomes what the field's type says: a number, true or false, JSON for
 * maps; for a list each FIELD=TEXT is one more item. FIELD:=JSON is any JSON value. VALIDATION
 * names the field, what came and what was expected; then the whole is checked by
 * contract_validate(). */
enum status call_values_pack(const struct operation *operation, struct text body,
                             const char *const *assignments, size_t count, struct buffer *out,
                             struct error *error);

/* "string", "list of integer" … into out. */
void call_values_type(const struct field *field, struct buffer *out);

#endif
