/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/refusal.h - why a field was refused, in words: `field: came X, expected Y`.
 *
 * Of use to contract.c alone. Each call fills error (field included) and returns VALIDATION. What
 * came is cut short; of a secret field only the kind of value is told. */
#ifndef SOS_KERNEL_REFUSAL_H
#define SOS_KERNEL_REFUSAL_H

#include "kernel/contract.h"

/* The value as a whole does not fit the field. */
enum status refusal_value(const struct field *field, const struct value *value,
                          struct error *error);

/* The same in the caller's words: came is trusted text. */
enum status refusal_as(const struct field *field, const char *came, struct error *error);

/* One entry of a list does not fit; index counts from 0. */
enum status refusal_item(const struct field *field, const struct value *item, uint32_t index,
                         struct error *error);

/* A required field did not come. */
enum status refusal_missing(const struct field *field, struct error *error);

#endif
