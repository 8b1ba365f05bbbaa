/* SPDX-License-Identifier: Apache-2.0 */
/* How pairing stands on all channels: numbers alone. */
#include "actors/identity/pairing.h"
#include "contracts/identity.h"
#include "kernel/pack.h"

struct summary {
    uint64_t now_us;
    uint64_t pending, expired, locked;
    uint64_t closed_channels;
    uint64_t allowed, allowed_ended;
};

static enum status
count_pairing(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct summary *summary = context;
    struct pairing pairing;
    (void)error;
    if (!pairing_decode(key, value, &pairing))
        return STATUS_OK;
    if (pairing.state == PAIRING_LOCKED)
        summary->locked++;
    else if (pairing_is_live(&pairing, summary->now_us))
        summary->pending++;
    else if (pairing.state == PAIRING_PENDING)
        summary->expired++;
    return STATUS_OK;
}

static enum status
count_guesses(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct summary *summary = context;
    struct guesses guesses;
    (void)key;
    (void)error;
    if (guesses_decode(value, &guesses) && summary->now_us < guesses.locked_us)
        summary->closed_channels++;
    return STATUS_OK;
}

static enum status
count_allowed(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct summary *summary = context;
    struct allowed allowed;
    (void)error;
    if (!allowed_decode(key, value, &allowed))
        return STATUS_OK;
    if (summary->now_us < allowed.expires_us)
        summary->allowed++;
    else
        summary->allowed_ended++;
    return STATUS_OK;
}

enum status
pairing_summary(struct context *context, struct request *request, struct outcome *outcome,
                struct error *error)
{
    struct summary summary = {.now_us = context_now(context).wall_us};
    const struct {
        uint8_t space;
        store_row_fn *count;
    } scans[] = {
        {SPACE_PAIRING, count_pairing},
        {SPACE_GUESSES, count_guesses},
        {SPACE_ALLOWED, count_allowed},
    };
    (void)request;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < sizeof scans / sizeof scans[0]; i++)
        status = context_scan(context, scans[i].space, (struct bytes){0}, false, scans[i].count,
                              &summary, error);
    if (status != STATUS_OK)
        return status;
    struct buffer *reply = outcome_reply(outcome);
    pack_map(reply, 6);
    pack_pair_uint(reply, "pending", summary.pending);
    pack_pair_uint(reply, "expired", summary.expired);
    pack_pair_uint(reply, "locked", summary.locked);
    pack_pair_uint(reply, "closed_channels", summary.closed_channels);
    pack_pair_uint(reply, "allowed", summary.allowed);
    pack_pair_uint(reply, "allowed_ended", summary.allowed_ended);
    return STATUS_OK;
}
