/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/form.h - how the maps of the bus's contract say a record's fields. Each appends one
 * pair. */
#ifndef SOS_BROKER_CORE_FORM_H
#define SOS_BROKER_CORE_FORM_H

#include "kernel/bytes.h"
#include "kernel/id.h"

void form_uuid(struct buffer *out, const char *key, const struct uuid *uuid);
void form_time(struct buffer *out, const char *key, uint64_t wall_us);
/* Nothing is nil; bytes that are not one whole msgpack value are said as binary. */
void form_payload(struct buffer *out, const char *key, struct bytes payload);
/* trace: of a header, 24 bytes. */
void form_trace_id(struct buffer *out, const char *key, struct bytes trace);

#endif
