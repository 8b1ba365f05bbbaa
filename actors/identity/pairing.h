/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/pairing.h - lets somebody on a foreign channel (a chat network) speak with an
 * agent: the channel's adapter asks for a code and shows it to the sender, the sender hands it to
 * somebody who may approve, and approving writes the allowlist and issues a capability for a day.
 *
 * A code is good for one approval, for some minutes. Wrong guesses are counted before they are
 * answered: some close the channel for a while, more of them end a code that waits. */
#ifndef SOS_IDENTITY_PAIRING_H
#define SOS_IDENTITY_PAIRING_H

#include "actors/identity/pairing_row.h"

enum {
    PAIRINGS_CHANNEL_MAX = 64, /* rows of one channel, and of all */
    PAIRINGS_MAX = 1000,
    ALLOWED_CHANNEL_MAX = 1000,
    ALLOWED_MAX = 10000,
    GUESSES_MAX = 5, /* wrong ones on a channel within GUESSES_US close it for GUESSES_US */
    GUESSES_CODE_MAX = 10
};

#define GUESSES_US (UINT64_C(15) * 60 * 1000000)
#define PAIRING_KEEP_US (UINT64_C(86400) * 1000000)       /* rows that are over */
#define PAIRING_CAPABILITY_US (UINT64_C(86400) * 1000000) /* what approving gives */

handler_fn pairing_create, pairing_approve;  /* pairing.c, pairing_approve.c */
handler_fn pairing_summary;                  /* pairing_summary.c */
handler_fn allowlist_list, allowlist_remove; /* allowlist.c */

/* Can it still be approved? */
static inline bool
pairing_is_live(const struct pairing *pairing, uint64_t now_us)
{
    return pairing->state == PAIRING_PENDING && now_us < pairing->expires_us;
}

/* NOT_FOUND, word "allowlist_entry_not_found". */
enum status allowlist_get(struct context *context, struct text channel, struct text sender,
                          struct allowed *allowed, struct error *error);

/* How many entries there are: of a channel, or of all ("" ). */
enum status allowlist_count(struct context *context, struct text channel, size_t *count,
                            struct error *error);

#endif
