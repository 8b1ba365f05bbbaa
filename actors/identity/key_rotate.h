/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/key_rotate.h - a new CURVE key for an agent, while the old one works a while
 * longer.
 *
 * The row names both keys and when the old one ends before the broker hears of the new one. The
 * routine (sync.h) ends the old one: at most SYNC_MS late, also after a crash. */
#ifndef SOS_IDENTITY_KEY_ROTATE_H
#define SOS_IDENTITY_KEY_ROTATE_H

#include "actors/runtime/service.h"

handler_fn rotate_key;

#endif
