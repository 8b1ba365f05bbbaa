/* SPDX-License-Identifier: Apache-2.0 */
/* Approving a pairing: who may, which code it is, and what it gives. */
#include <sodium.h>
#include <stdio.h>

#include "actors/identity/agent.h"
#include "actors/identity/grant_revoke.h"
#include "actors/identity/pairing.h"
#include "actors/identity/refuse_later.h"
#include "actors/identity/river.h"
#include "actors/identity/sync.h"
#include "contracts/identity.h"
#include "kernel/identity.h"

static struct text
argument(const struct request *request, unsigned field)
{
    return arguments_text(request_arguments(request), field);
}

/* ---- who may */

/* Whoever shows a capability, which the runtime has checked; the home's operator, by its key; and
 * where capabilities are not enforced, the person who sits before the machine. */
static enum status
check_approver(const struct request *request, struct error *error)
{
    struct text source = request_source(request), principal = request_principal(request);
    bool gateway = identity_is_service(source, "gateway");
    if (request_is_by_token(request) || text_equal_string(principal, "user:operator") ||
        (gateway && text_equal_string(principal, "user:local")))
        return STATUS_OK;
    error_set_word(error, "pairing_approver_not_authorised",
                   "%.*s may not approve: expected a capability for pairing:approve on the channel",
                   TEXT_ARGS(principal));
    return STATUS_FORBIDDEN;
}

/* ---- which code */

struct search {
    uint8_t hash[PAIRING_HASH_SIZE];
    bool is_code; /* else no hash can be equal */
    struct pairing found;
    bool is_found;
    size_t live;
    uint64_t now_us;
    struct outcome *outcome; /* counts a wrong guess against all that wait; NULL: compares */
};

/* Every row is compared, and each in the same time. */
static enum status
compare_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct search *search = context;
    struct pairing pairing;
    if (!pairing_decode(key, value, &pairing)) {
        error_set(error, "the row of a pairing cannot be read");
        return STATUS_STORE_FAILED;
    }
    if (search->is_code && sodium_memcmp(pairing.hash, search->hash, sizeof pairing.hash) == 0) {
        search->found = pairing;
        search->is_found = true;
    }
    search->live += pairing_is_live(&pairing, search->now_us);
    return STATUS_OK;
}

static enum status
count_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct search *search = context;
    struct pairing pairing;
    if (!pairing_decode(key, value, &pairing) || !pairing_is_live(&pairing, search->now_us))
        return STATUS_OK;
    enum status status = STATUS_OK;
    if (++pairing.guesses >= GUESSES_CODE_MAX)
        status = pairing_step(&pairing, PAIRING_LOCK, error);
    pairing_put(search->outcome, &pairing);
    return status;
}

static enum status
scan_channel(struct context *context, struct text channel, store_row_fn *row, struct search *search,
             struct error *error)
{
    struct buffer prefix;
    buffer_init(&prefix);
    append_channel(&prefix, channel);
    enum status status = prefix.failed ? STATUS_NOMEM
                                       : context_scan(context, SPACE_PAIRING, buffer_bytes(&prefix),
                                                      false, row, search, error);
    buffer_clear(&prefix);
    return status;
}

static enum status
get_guesses(struct context *context, struct text channel, struct guesses *guesses,
            struct error *error)
{
    struct buffer row;
    buffer_init(&row);
    *guesses = (struct guesses){0};
    enum status status = context_get(context, SPACE_GUESSES, text_bytes(channel), &row, error);
    if (status == STATUS_NOT_FOUND) {
        status = STATUS_OK;
    } else if (status == STATUS_OK && !guesses_decode(buffer_bytes(&row), guesses)) {
        error_set(error, "the row of a channel's guesses cannot be read");
        status = STATUS_STORE_FAILED;
    }
    buffer_clear(&row);
    return status;
}

static enum status
refuse_locked(struct error *error, uint64_t left_us)
{
    error_set_word(error, "pairing_locked",
                   "too many wrong codes on this channel; try again in %llu s",
                   (unsigned long long)((left_us + 999999) / 1000000));
    return STATUS_RATE_LIMITED;
}

static enum status
refuse_unknown(struct error *error)
{
    error_set_word(error, "pairing_not_found", "no pairing of this channel has this code");
    return STATUS_INVALID;
}

/* A guess where nothing waits costs nobody anything, and leaves no row. */
static enum status
count_guess(struct context *context, struct request *request, struct outcome *outcome,
            struct text channel, struct search *search, struct guesses *guesses,
            struct error *error)
{
    refuse_unknown(error);
    if (search->live == 0)
        return STATUS_INVALID;
    if (guesses->count == 0 || search->now_us >= guesses->since_us + GUESSES_US)
        *guesses = (struct guesses){.since_us = search->now_us};
    if (++guesses->count >= GUESSES_MAX)
        *guesses =
            (struct guesses){.locked_us = search->now_us + GUESSES_US, .since_us = search->now_us};
    guesses_put(outcome, channel, guesses);
    search->outcome = outcome;
    struct error fault = ERROR_INIT;
    enum status status = scan_channel(context, channel, count_row, search, &fault);
    if (status != STATUS_OK) {
        *error = fault;
        return status;
    }
    outcome_audit(outcome, &(struct audit_entry){.event = "pairing.denied",
                                                 .action = text_of("pairing:approve"),
                                                 .resource = channel,
                                                 .outcome = "refused: pairing_not_found"});
    return refuse_later(request, outcome, STATUS_INVALID, error);
}

static enum status
check_found(const struct pairing *pairing, uint64_t now_us, struct error *error)
{
    if (pairing->state == PAIRING_APPROVED) {
        error_set_word(error, "pairing_not_pending", "this code was approved already");
        return STATUS_INVALID;
    }
    if (now_us >= pairing->expires_us) {
        error_set_word(error, "pairing_expired", "this code is too old");
        return STATUS_INVALID;
    }
    if (pairing->state == PAIRING_LOCKED) {
        error_set_word(error, "pairing_locked",
                       "too many wrong codes were tried while this one waited: ask for a new one");
        return STATUS_RATE_LIMITED;
    }
    return STATUS_OK;
}

/* ---- what it gives */

static enum status
check_room(struct context *context, struct text channel, struct error *error)
{
    size_t total, in_channel;
    enum status status = allowlist_count(context, (struct text){0}, &total, error);
    if (status == STATUS_OK)
        status = allowlist_count(context, channel, &in_channel, error);
    if (status == STATUS_OK && (total >= ALLOWED_MAX || in_channel >= ALLOWED_CHANNEL_MAX)) {
        error_set_word(error, "allowlist_full", "the allowlist is full: take somebody off first");
        status = STATUS_QUOTA_EXCEEDED;
    }
    return status;
}

static enum status
issue(struct context *context, const struct request *request, struct outcome *outcome,
      const struct allowed *allowed, struct grant *made, struct error *error)
{
    char resource[CHANNEL_NAME_MAX + SENDER_ID_MAX + 32];
    snprintf(resource, sizeof resource, "channel:%s:sender:%s", allowed->channel,
             allowed->sender_id);
    const struct capability_grant grant = {.subject = allowed->sender_id,
                                           .action = "tool:execute",
                                           .resource = resource,
                                           .issued_us = allowed->approved_us,
                                           .expires_us = allowed->expires_us};
    return river_issue(context, request, outcome, &grant, NULL, "capability.issued", made, error);
}

static enum status
answer(struct outcome *outcome, const struct allowed *allowed, struct text token,
       struct error *error)
{
    struct buffer *out = outcome_reply(outcome);
    pack_map(out, 8);
    pack_pair_bool(out, "ok", true);
    pack_pair_string(out, "channel", allowed->channel);
    pack_pair_string(out, "sender_id", allowed->sender_id);
    pack_pair_string(out, "agent_id", allowed->agent_id);
    pack_pair_string(out, "approver_id", allowed->approver_id);
    pack_pair_timestamp(out, "approved_at", allowed->approved_us);
    pack_pair_timestamp(out, "expires_at", allowed->expires_us);
    pack_string(out, "capability");
    return grant_pack_token(token, out, error);
}

static enum status
grant_access(struct context *context, struct request *request, struct outcome *outcome,
             struct pairing *pairing, struct error *error)
{
    struct grant made = {0};
    struct allowed allowed = {.approved_us = context_now(context).wall_us};
    struct text approver = argument(request, IDENTITY_PAIRING_APPROVE_APPROVER_ID);
    allowed.expires_us = allowed.approved_us + PAIRING_CAPABILITY_US;
    memcpy(allowed.channel, pairing->channel, sizeof allowed.channel);
    memcpy(allowed.sender_id, pairing->sender_id, sizeof allowed.sender_id);
    memcpy(allowed.agent_id, pairing->agent_id, sizeof allowed.agent_id);
    memcpy(allowed.approver_id, approver.data, approver.size); /* bounded by the contract */

    enum status status = check_room(context, text_of(pairing->channel), error);
    if (status == STATUS_OK)
        status = pairing_step(pairing, PAIRING_APPROVE, error);
    if (status == STATUS_OK)
        status = issue(context, request, outcome, &allowed, &made, error);
    if (status == STATUS_OK) {
        snprintf(allowed.capability_id, sizeof allowed.capability_id, "%s", made.id);
        pairing_put(outcome, pairing);
        allowed_put(outcome, &allowed);
        status = answer(outcome, &allowed, buffer_text(&made.token), error);
    }
    grant_clear(&made);
    return status;
}

/* ---- approve */

static resume_fn on_replaced;

/* The sender is on the list already: what was given then is taken back first, so that taking him
 * off leaves nothing behind. OK: there is none. */
static enum status
replace_former(struct context *context, struct request *request, struct outcome *outcome,
               const struct pairing *pairing, struct error *error)
{
    struct allowed former;
    struct error fault = ERROR_INIT;
    enum status status = allowlist_get(context, text_of(pairing->channel),
                                       text_of(pairing->sender_id), &former, &fault);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status == STATUS_OK)
        return grant_take_back(context, request, outcome, text_of(former.capability_id),
                               text_of("paired anew"), on_replaced, error);
    *error = fault;
    return status;
}

static enum status
find_key(struct context *context, struct text channel, struct guesses *guesses,
         const struct secret_key **key, struct error *error)
{
    struct identities *identities = context_state(context);
    uint64_t now_us = context_now(context).wall_us;
    if (!channel_name_is_valid(channel))
        return refuse_unknown(error);
    enum status status = get_guesses(context, channel, guesses, error);
    if (status == STATUS_OK && now_us < guesses->locked_us)
        return refuse_locked(error, guesses->locked_us - now_us);
    if (status == STATUS_OK)
        status = keyring_open(&identities->keyring, SECRET_FOR_CODES, context, NULL, key, error);
    return status == STATUS_NOT_FOUND ? refuse_unknown(error) : status; /* none was ever made */
}

static enum status
approve(struct context *context, struct request *request, struct outcome *outcome, bool again,
        struct error *error)
{
    const struct secret_key *key;
    struct guesses guesses;
    struct search search = {.now_us = context_now(context).wall_us};
    struct text channel = argument(request, IDENTITY_PAIRING_APPROVE_CHANNEL);
    char code[PAIRING_CODE_SIZE + 1];
    enum status status = find_key(context, channel, &guesses, &key, error);
    if (status != STATUS_OK)
        return status;
    search.is_code = pairing_code_read(argument(request, IDENTITY_PAIRING_APPROVE_CODE), code);
    if (search.is_code)
        pairing_code_hash(key, channel, code, search.hash);
    sodium_memzero(code, sizeof code);
    status = scan_channel(context, channel, compare_row, &search, error);
    if (status == STATUS_OK && !search.is_found)
        return count_guess(context, request, outcome, channel, &search, &guesses, error);
    if (status == STATUS_OK)
        status = check_found(&search.found, search.now_us, error);
    if (status == STATUS_OK && !again)
        status = replace_former(context, request, outcome, &search.found, error);
    return status == STATUS_OK ? grant_access(context, request, outcome, &search.found, error)
                               : status;
}

/* Time has passed: the code is looked for again. */
static enum status
on_replaced(struct context *context, struct request *request, const struct event *event,
            struct outcome *outcome, struct error *error)
{
    enum status status = grant_taken_back(request, event, outcome, error);
    return status == STATUS_OK ? approve(context, request, outcome, true, error) : status;
}

enum status
pairing_approve(struct context *context, struct request *request, struct outcome *outcome,
                struct error *error)
{
    enum status status = check_approver(request, error);
    return status == STATUS_OK ? approve(context, request, outcome, false, error) : status;
}
