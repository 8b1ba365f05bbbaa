/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/listen.h - listening sockets and addresses. Knows no HTTP. */
#ifndef SOS_GATEWAY_LISTEN_H
#define SOS_GATEWAY_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

/* Opens a non-blocking listening socket (SO_REUSEADDR) at a numeric IPv4 or IPv6 address or
 * "localhost". Port 0 takes any free one; *actual is the port it got. UNAVAILABLE when the
 * port is taken: the message names address, port and `setting`. VALIDATION for what is no address.
 */
enum status listen_open(const char *address, uint16_t port, const char *setting, int *descriptor,
                        uint16_t *actual, struct error *error);

/* Is it "localhost", "*.localhost", 127.0.0.0/8 or ::1 (without brackets)? */
bool address_is_loopback(struct text host);

/* A numeric IPv4 or IPv6 address (without brackets)? */
bool address_is_numeric(struct text host);

/* Raises the soft limit of open files to the hard one and returns it. */
uint64_t listen_raise_descriptor_limit(void);

#endif
