/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/id.h - UUIDs: 16 bytes, made as time-ordered version 7 (RFC 9562). */
#ifndef SOS_KERNEL_ID_H
#define SOS_KERNEL_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"

struct uuid {
    uint8_t bytes[16];
};

enum {
    UUID_TEXT_SIZE = 37 /* 8-4-4-4-12 and the NUL */
};

/* Makes ids for one thread: strictly increasing, even within one millisecond
 * or when the clock steps back (RFC 9562 section 6.2, method 2: the 74 random
 * bits count up). Random bits come from libsodium. */
struct uuid_source {
    uint64_t last_ms;
    uint8_t last[16];
};

struct uuid uuid_next(struct uuid_source *source, uint64_t now_us);

bool uuid_is_nil(const struct uuid *uuid);
bool uuid_equal(const struct uuid *a, const struct uuid *b);
int uuid_compare(const struct uuid *a, const struct uuid *b);
uint64_t uuid_hash(const struct uuid *uuid); /* keyed by nothing: not for hostile tables */

/* Canonical lower-case text. */
void uuid_format(const struct uuid *uuid, char text[static UUID_TEXT_SIZE]);

/* Accepts 36 characters with dashes or 32 without, either case. */
bool uuid_parse(struct text text, struct uuid *uuid);

#endif
