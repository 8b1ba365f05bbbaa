/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/tap_redact.h - takes out of payloads what nobody but their receiver may see.
 *
 * Which fields are secret is said by the contracts, by message type; of a payload whose type no
 * contract knows the secret names of all contracts are taken, so that nothing gets out by
 * a missing or made up type. Members named `capability` are always taken out: they may be tokens.
 */
#ifndef SOS_BROKER_CORE_TAP_REDACT_H
#define SOS_BROKER_CORE_TAP_REDACT_H

#include <stdbool.h>

#include "kernel/bytes.h"
#include "kernel/contract.h"

struct tap_secrets;

/* list: NULL-terminated; outlives it. NULL when out of memory. Constant; any thread. */
struct tap_secrets *tap_secrets_new(const struct contract *const *list);
void tap_secrets_destroy(struct tap_secrets **secrets_p);

enum tap_payload {
    TAP_WHOLE,
    TAP_REDACTED,  /* "[redacted]" stands for at least one value */
    TAP_UNREADABLE /* it is not one msgpack value; nothing was appended */
};

/* Appends the payload as it may be shown. */
enum tap_payload tap_redact(const struct tap_secrets *secrets, struct text type,
                            struct bytes payload, struct buffer *out);

#endif
