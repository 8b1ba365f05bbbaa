/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/farewell.h - lets a client read an answer that it got before it had sent its whole body.
 *
 * Closing a socket with unread input resets the connection, and the reset overtakes the answer. So
 * the refused connection is half-closed and its input dropped for a short while. Bounded in number
 * and time. */
#ifndef SOS_GATEWAY_FAREWELL_H
#define SOS_GATEWAY_FAREWELL_H

#include <stdint.h>

struct farewell;

enum { FAREWELL_MAX = 256, FAREWELL_MS = 2000 };

struct farewell *farewell_new(void); /* NULL when it cannot be made */
void farewell_destroy(struct farewell **farewell_p);

/* Keeps a duplicate of the descriptor; the caller closes its own. When FAREWELL_MAX are kept, none
 * is. */
void farewell_take(struct farewell *farewell, int descriptor, uint64_t now_us);

int farewell_descriptor(
    const struct farewell *farewell); /* readable when farewell_process() has work */
void farewell_process(struct farewell *farewell);
uint64_t farewell_deadline_us(const struct farewell *farewell); /* UINT64_MAX: none */
void farewell_expire(struct farewell *farewell, uint64_t now_us);

#endif
