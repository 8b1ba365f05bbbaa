/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tap_calls.h - the requests of a tap that await their reply: when each began, and whose it
 * is. Bounded: the oldest is forgotten for a new one. */
#ifndef SOS_CLI_TAP_CALLS_H
#define SOS_CLI_TAP_CALLS_H

#include "cli/tap_entry.h"

enum { TAP_CALLS_MAX = 65536, TAP_CALL_TEXT_MAX = 64 };

struct tap_call {
    struct uuid id;
    uint64_t at_us;
    uint64_t chunks;
    uint64_t chunk_bytes;
    char source[TAP_CALL_TEXT_MAX]; /* cut */
    char target[TAP_CALL_TEXT_MAX];
    char type[TAP_CALL_TEXT_MAX];
};

struct tap_calls;

struct tap_calls *tap_calls_new(void); /* NULL when out of memory */
void tap_calls_destroy(struct tap_calls **calls_p);

/* Takes a request in. */
void tap_calls_begin(struct tap_calls *calls, const struct tap_entry *request);
/* The call that this record belongs to; NULL. Valid until the next call of these. */
struct tap_call *tap_calls_find(struct tap_calls *calls, const struct tap_entry *entry);
/* It was answered: copies it and forgets it. False: it is not known. */
bool tap_calls_end(struct tap_calls *calls, const struct tap_entry *reply, struct tap_call *call);

#endif
