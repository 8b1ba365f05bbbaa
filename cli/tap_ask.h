/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tap_ask.h - what a command asks of a tap, how it is asked for, and what comes. */
#ifndef SOS_CLI_TAP_ASK_H
#define SOS_CLI_TAP_ASK_H

#include "broker/core/tap_filter.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/tap_entry.h"
#include "sdk/c/peer.h"

enum { TAP_ASK_OPTIONS = 8, TAP_TTL_MS = 600000 /* then it is begun anew */ };

/* Filters as they stand on the command line; NULL: any. */
struct tap_ask {
    const char *source, *target, *type, *kind, *trace, *status, *verdict, *header;
    bool payload;
    const char *capability_file; /* NULL: one is issued with the home's River key */
};

/* Fills rows with --source, --target, … */
void tap_ask_options(struct tap_ask *ask, struct option_row rows[static TAP_ASK_OPTIONS]);

/* The same filters over a recording. INVALID as tap_filter_new(). */
enum status tap_ask_filter(const struct tap_ask *ask, struct tap_filter **filter_p,
                           struct error *error);

/* The request's payload: a packed map. */
void tap_ask_pack(const struct tap_ask *ask, struct buffer *out);

/* The token that the request carries. The caller wipes it with tap_ask_wipe(). */
enum status tap_ask_token(const struct tap_ask *ask, struct cli *cli, struct buffer *token,
                          struct error *error);
void tap_ask_wipe(struct buffer *token);

/* The request without its callbacks; payload and token are borrowed. */
struct peer_request tap_ask_request(struct bytes payload, struct text token);

/* Reads one chunk: each record until it returns false, which is returned. */
typedef bool tap_take_fn(void *context, const struct value *record);
bool tap_chunk_read(struct bytes chunk, uint64_t *dropped, tap_take_fn *take, void *context);

#endif
