/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/raw.h - answers written straight to a socket, where the HTTP library takes none: before
 * it has a connection, or while it reads a body. Best effort: a client that does not take a few
 * hundred bytes at once gets none of them. */
#ifndef SOS_GATEWAY_RAW_H
#define SOS_GATEWAY_RAW_H

#include "gateway/http.h"

void raw_send(int descriptor, unsigned http_status, const char *reason,
              const struct http_header *headers, size_t header_count, struct text body);

/* The error body of every door, with Retry-After. word and message are plain ASCII without quotes.
 */
void raw_refuse(int descriptor, unsigned http_status, const char *reason, enum status status,
                const char *word, const char *message);

#endif
