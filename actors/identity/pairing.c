/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/pairing.h"

#include <sodium.h>

#include "actors/identity/agent.h"
#include "actors/identity/sync.h"
#include "contracts/identity.h"
#include "kernel/identity.h"

static struct text
argument(const struct request *request, unsigned field)
{
    return arguments_text(request_arguments(request), field);
}

static void
copy(char *to, struct text text)
{
    memcpy(to, text.data, text.size); /* checked: not empty, within the contract's bounds */
    to[text.size] = '\0';
}

static enum status
read_pairing(const struct request *request, struct pairing *pairing, struct error *error)
{
    struct text channel = argument(request, IDENTITY_PAIRING_CREATE_CHANNEL);
    struct text sender = argument(request, IDENTITY_PAIRING_CREATE_SENDER_ID);
    struct text agent = argument(request, IDENTITY_PAIRING_CREATE_AGENT_ID);
    struct identity identity;
    *pairing = (struct pairing){.state = PAIRING_PENDING};
    if (!channel_name_is_valid(channel)) {
        error_set_field(error, "channel", "expected 1 to %d letters, digits and . _ -",
                        CHANNEL_NAME_MAX);
        return STATUS_VALIDATION;
    }
    if (!sender_id_is_valid(sender)) {
        error_set_field(error, "sender_id",
                        "expected 1 to %d bytes of text without control characters and * ? [ ]",
                        SENDER_ID_MAX);
        return STATUS_VALIDATION;
    }
    if (identity_parse(agent, &identity, error) != STATUS_OK || identity.type != IDENTITY_AGENT) {
        error_set_field(error, "agent_id", "came %.*s, expected agent:<name>", TEXT_ARGS(agent));
        return STATUS_VALIDATION;
    }
    copy(pairing->channel, channel);
    copy(pairing->sender_id, sender);
    copy(pairing->agent_id, agent);
    return STATUS_OK;
}

/* ---- room */

/* What stands there, first to count and then to make room. */
struct sweep {
    struct outcome *outcome; /* NULL: only counts */
    const struct pairing *wanted;
    uint64_t now_us;
    size_t total, in_channel; /* that stay */
    bool crowded, channel_crowded;
};

static bool
is_same_sender(const struct pairing *a, const struct pairing *b)
{
    return strcmp(a->channel, b->channel) == 0 && strcmp(a->sender_id, b->sender_id) == 0;
}

/* A new code takes the place of the sender's last one. What is over stays for a day, so that
 * whoever tries it hears why it is refused; not where the place is needed. */
static bool
stays(const struct sweep *sweep, const struct pairing *pairing)
{
    bool same_channel = strcmp(pairing->channel, sweep->wanted->channel) == 0;
    if (pairing_is_live(pairing, sweep->now_us))
        return !is_same_sender(pairing, sweep->wanted);
    return sweep->now_us < pairing->expires_us + PAIRING_KEEP_US && !sweep->crowded &&
           !(same_channel && sweep->channel_crowded);
}

static enum status
sweep_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct sweep *sweep = context;
    struct pairing pairing;
    if (!pairing_decode(key, value, &pairing)) {
        error_set(error, "the row of a pairing cannot be read");
        return STATUS_STORE_FAILED;
    }
    if (stays(sweep, &pairing)) {
        sweep->total++;
        sweep->in_channel += strcmp(pairing.channel, sweep->wanted->channel) == 0;
    } else if (sweep->outcome) {
        pairing_delete(sweep->outcome, &pairing);
    }
    return STATUS_OK;
}

static enum status
forget_guesses(void *context, struct bytes key, struct bytes value, struct error *error)
{
    const struct sweep *sweep = context;
    struct guesses guesses;
    (void)error;
    if (guesses_decode(value, &guesses) && sweep->now_us >= guesses.locked_us &&
        sweep->now_us >= guesses.since_us + GUESSES_US)
        outcome_delete(sweep->outcome, SPACE_GUESSES, key);
    return STATUS_OK;
}

static enum status
scan(struct context *context, struct sweep *sweep, struct error *error)
{
    sweep->total = 0;
    sweep->in_channel = 0;
    return context_scan(context, SPACE_PAIRING, (struct bytes){0}, false, sweep_row, sweep, error);
}

static enum status
make_room(struct context *context, struct outcome *outcome, const struct pairing *wanted,
          struct error *error)
{
    struct sweep sweep = {.wanted = wanted, .now_us = wanted->issued_us};
    enum status status = scan(context, &sweep, error);
    if (status != STATUS_OK)
        return status;
    sweep.crowded = sweep.total >= PAIRINGS_MAX;
    sweep.channel_crowded = sweep.in_channel >= PAIRINGS_CHANNEL_MAX;
    sweep.outcome = outcome;
    status = scan(context, &sweep, error);
    if (status == STATUS_OK &&
        (sweep.total >= PAIRINGS_MAX || sweep.in_channel >= PAIRINGS_CHANNEL_MAX)) {
        error_set_word(error, "pairings_full", "too many pairings wait for their approval%s",
                       sweep.total >= PAIRINGS_MAX ? "" : " on this channel");
        status = STATUS_QUOTA_EXCEEDED;
    }
    if (status == STATUS_OK)
        status = context_scan(context, SPACE_GUESSES, (struct bytes){0}, false, forget_guesses,
                              &sweep, error);
    return status;
}

/* ---- create */

static void
pack_pairing(struct buffer *out, const struct pairing *pairing, const char *code)
{
    buffer_reserve(out, 1024); /* what grows leaves copies behind */
    pack_map(out, 7);
    pack_pair_string(out, "code", code);
    pack_pair_string(out, "channel", pairing->channel);
    pack_pair_string(out, "sender_id", pairing->sender_id);
    pack_pair_string(out, "agent_id", pairing->agent_id);
    pack_pair_timestamp(out, "issued_at", pairing->issued_us);
    pack_pair_timestamp(out, "expires_at", pairing->expires_us);
    pack_pair_string(out, "status", pairing_state_word(pairing->state));
}

enum status
pairing_create(struct context *context, struct request *request, struct outcome *outcome,
               struct error *error)
{
    struct identities *identities = context_state(context);
    const struct secret_key *key;
    struct pairing pairing;
    char code[PAIRING_CODE_SIZE + 1];
    uint64_t minutes = (uint64_t)arguments_integer(request_arguments(request),
                                                   IDENTITY_PAIRING_CREATE_EXPIRES_MINUTES);
    enum status status = read_pairing(request, &pairing, error);
    if (status != STATUS_OK)
        return status;
    pairing.issued_us = context_now(context).wall_us;
    pairing.expires_us = pairing.issued_us + minutes * 60 * 1000000;
    status = make_room(context, outcome, &pairing, error);
    if (status == STATUS_OK)
        status =
            keyring_open(&identities->keyring, SECRET_FOR_CODES, context, outcome, &key, error);
    if (status != STATUS_OK)
        return status;
    pairing_code_make(code);
    pairing_code_hash(key, text_of(pairing.channel), code, pairing.hash);
    pairing_put(outcome, &pairing);
    pack_pairing(outcome_reply(outcome), &pairing, code);
    sodium_memzero(code, sizeof code);
    return STATUS_OK;
}
