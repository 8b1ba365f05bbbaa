/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/revocation_form.h - the bytes of the file of revoked capabilities (broker/net/revoked.h).
 * Pure. */
#ifndef SOS_KERNEL_REVOCATION_FORM_H
#define SOS_KERNEL_REVOCATION_FORM_H

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/revocations.h"
#include "kernel/status.h"

/* Appends one frame with all of them. */
void revocation_form_pack(struct buffer *out, const struct revocation *list, size_t count);

typedef enum status revocation_take_fn(void *context, const struct revocation *revocation,
                                       struct error *error);
/* Gives each entry of every whole frame. *whole: how many bytes are whole frames, all of them or
 * all but a torn end. VALIDATION: damage with a whole frame behind it; the error names the offset.
 */
enum status revocation_form_read(struct bytes bytes, revocation_take_fn *take, void *context,
                                 size_t *whole, struct error *error);

#endif
