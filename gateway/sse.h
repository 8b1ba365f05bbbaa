/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/sse.h - writes the events of a streamed answer (text/event-stream). Each is one line of
 * JSON: our JSON writer escapes line breaks. */
#ifndef SOS_GATEWAY_SSE_H
#define SOS_GATEWAY_SSE_H

#include "kernel/bytes.h"
#include "kernel/status.h"

/* `data: {"chunk":…}`: a map goes out as it is, any other value as the member "chunk". False:
 * payload is not msgpack and nothing was appended. */
bool sse_chunk(struct buffer *out, struct bytes payload);

/* `data: {"done":true,…the reply's members}`. */
bool sse_done(struct buffer *out, struct bytes reply);

/* `data: {"error":{code,message,detail,context}}`. */
void sse_error(struct buffer *out, enum status status, struct bytes payload);

#endif
