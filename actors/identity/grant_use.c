/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/grant_use.h"

#include <sodium.h>

#include "actors/identity/grant_rows.h"
#include "contracts/identity.h"

/* ---- a token that is shown */

void
shown_clear(struct shown *shown)
{
    grant_clear(&shown->grant);
    chain_clear(&shown->chain);
}

static bool
is_same_token(const struct capability *one, const struct capability *other)
{
    struct buffer left, right;
    buffer_init(&left);
    buffer_init(&right);
    bool same = capability_signed_bytes(one, &left) == STATUS_OK &&
                capability_signed_bytes(other, &right) == STATUS_OK &&
                text_equal(buffer_text(&left), buffer_text(&right));
    buffer_clear(&left);
    buffer_clear(&right);
    return same;
}

/* What the book says of a token whose signature is good. */
static enum status
look_up(struct context *context, struct shown *shown, struct error *error)
{
    struct grant row = {0};
    enum status status = grant_get(context, text_of(shown->grant.id), &row, error);
    if (status == STATUS_OK && !is_same_token(row.capability, shown->grant.capability)) {
        error_set(error, "another capability has the id %s", row.id);
        status = STATUS_TOKEN_INVALID;
    }
    if (status != STATUS_OK) {
        grant_clear(&row);
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    grant_clear(&shown->grant);
    shown->grant = row;
    shown->in_book = true;
    return STATUS_OK;
}

enum status
shown_read(struct context *context, struct text token, struct shown *shown, struct error *error)
{
    enum status status = grant_of_token(context, token, &shown->grant, error);
    if (status == STATUS_OK)
        status = river_verify(river_of(context), shown->grant.capability, error);
    if (status == STATUS_OK)
        status = look_up(context, shown, error);
    if (status == STATUS_OK)
        status = chain_load(context, shown->grant.capability, &shown->chain, error);
    return status;
}

/* An ancestor's end is its descendants'. */
enum status
shown_check(const struct shown *shown, struct error *error)
{
    enum status status = grant_check_state(&shown->grant, error);
    for (size_t i = 0; status == STATUS_OK && i < shown->chain.count; i++)
        status = grant_check_state(&shown->chain.links[i], error);
    return status;
}

bool
shown_is_of(const struct shown *shown, struct text identity)
{
    if (text_equal_string(identity, capability_subject(shown->grant.capability)))
        return true;
    for (size_t i = 0; i < shown->chain.count; i++)
        if (text_equal_string(identity, capability_subject(shown->chain.links[i].capability)))
            return true;
    return false;
}

enum status
shown_keep(struct context *context, struct outcome *outcome, struct shown *shown,
           struct error *error)
{
    struct grant kept = {0};
    if (shown->in_book)
        return STATUS_OK;
    enum status status = grant_add(context, outcome, buffer_text(&shown->grant.token),
                                   shown->chain.links, shown->chain.count, &kept, error);
    grant_clear(&kept);
    shown->in_book = status == STATUS_OK;
    return status;
}

/* ---- using */

static void
take_use(const struct context *context, struct outcome *outcome, struct grant *grant)
{
    if (!grant->limited)
        return;
    grant->uses_left--;
    if (grant->uses_left == 0) {
        state_step(&grant_machine, &grant->state, GRANT_ON_USE_UP, NULL);
        grant->changed_us = context_now(context).wall_us;
    }
    grant_put(outcome, grant);
}

static bool
is_limited(const struct shown *shown)
{
    bool limited = shown->grant.limited;
    for (size_t i = 0; i < shown->chain.count; i++)
        limited = limited || shown->chain.links[i].limited;
    return limited;
}

static int64_t
uses_left(const struct shown *shown)
{
    uint64_t least = shown->grant.limited ? shown->grant.uses_left : UINT64_MAX;
    for (size_t i = 0; i < shown->chain.count; i++)
        if (shown->chain.links[i].limited && shown->chain.links[i].uses_left < least)
            least = shown->chain.links[i].uses_left;
    return least > INT64_MAX ? INT64_MAX : (int64_t)least;
}

/* Whatever is asked for: action, subject and, as far as it is named, the resource. */
static enum status
check_scope(const struct shown *shown, const struct capability_use *use, struct error *error)
{
    const struct capability *capability = shown->grant.capability;
    struct text allowed = text_of(capability_resource(capability));
    if (!text_equal_string(use->action, capability_action(capability))) {
        error_set(error, "capability %s allows %s, this needs %.*s", shown->grant.id,
                  capability_action(capability), TEXT_ARGS(use->action));
        return STATUS_SCOPE_DENIED;
    }
    if (use->subject.size > 0 && !text_equal_string(use->subject, capability_subject(capability))) {
        error_set_word(error, "capability_subject_mismatch",
                       "capability %s is for %s, not for %.*s", shown->grant.id,
                       capability_subject(capability), TEXT_ARGS(use->subject));
        return STATUS_SCOPE_DENIED;
    }
    if (use->resource.size > 0 && !glob_match(allowed, use->resource) &&
        !glob_covers(allowed, use->resource)) {
        error_set(error, "capability %s does not cover %.*s", shown->grant.id,
                  TEXT_ARGS(use->resource));
        return STATUS_SCOPE_DENIED;
    }
    return STATUS_OK;
}

/* By what was asked for, too: the same request may not come back for something else. */
static void
use_key(const struct shown *shown, const struct capability_use *use, struct buffer *key)
{
    const struct text parts[] = {use->action, use->resource, use->subject};
    uint8_t name[sizeof use->request_id->bytes];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof name);
    crypto_generichash_update(&state, use->request_id->bytes, sizeof use->request_id->bytes);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const uint64_t size = parts[i].size;
        crypto_generichash_update(&state, (const uint8_t *)&size, sizeof size);
        crypto_generichash_update(&state, (const uint8_t *)parts[i].data, parts[i].size);
    }
    crypto_generichash_final(&state, name, sizeof name);
    rows_append_pair(key, text_of(shown->grant.id), (struct bytes){name, sizeof name});
}

/* NOT_FOUND: this request has not used it yet. */
static enum status
find_use(struct context *context, const struct buffer *key, int64_t *left, struct error *error)
{
    struct buffer row;
    struct value number;
    buffer_init(&row);
    enum status status =
        key->failed ? STATUS_NOMEM
                    : context_get(context, SPACE_GRANT_USE, buffer_bytes(key), &row, error);
    if (status == STATUS_OK && value_parse(buffer_bytes(&row), &number) &&
        number.type == VALUE_UINT)
        *left = (int64_t)number.as.uint;
    buffer_clear(&row);
    return status;
}

static enum status
take_limited(struct context *context, struct outcome *outcome, struct shown *shown,
             const struct buffer *key, int64_t *left, struct error *error)
{
    struct buffer row;
    int64_t rate = INT64_MAX;
    enum status status = river_take_rate(river_of(context), &shown->grant, &shown->chain,
                                         context_now(context), &rate, error);
    if (status != STATUS_OK)
        return status;
    take_use(context, outcome, &shown->grant);
    for (size_t i = 0; i < shown->chain.count; i++)
        take_use(context, outcome, &shown->chain.links[i]);
    *left = uses_left(shown);
    buffer_init(&row);
    pack_uint(&row, (uint64_t)*left);
    rows_put(outcome, SPACE_GRANT_USE, key, buffer_bytes(&row));
    buffer_clear(&row);
    return STATUS_OK;
}

/* left: -1 where nothing is counted. A token that used itself up with this very request is still
 * good for it, unless it was revoked since. */
static enum status
take(struct context *context, const struct capability_use *use, struct outcome *outcome,
     struct shown *shown, int64_t *left, struct error *error)
{
    struct buffer key;
    buffer_init(&key);
    use_key(shown, use, &key);
    bool limited = is_limited(shown);
    enum status status = limited ? find_use(context, &key, left, error) : STATUS_NOT_FOUND;
    struct error state_error = ERROR_INIT;
    enum status state = shown_check(shown, &state_error);
    bool again = status == STATUS_OK;
    if (status == STATUS_NOT_FOUND)
        status = STATUS_OK;
    if (status == STATUS_OK && state != STATUS_OK &&
        !(again && strcmp(state_error.word, "capability_used_up") == 0)) {
        *error = state_error;
        status = state;
    }
    if (status == STATUS_OK && !again)
        status = check_scope(shown, use, error);
    if (status == STATUS_OK && !again)
        status = shown_keep(context, outcome, shown, error);
    if (status == STATUS_OK && !again && limited)
        status = take_limited(context, outcome, shown, &key, left, error);
    else if (status == STATUS_OK && !again)
        status = river_take_rate(river_of(context), &shown->grant, &shown->chain,
                                 context_now(context), left, error);
    buffer_clear(&key);
    return status;
}

static enum status
use(struct context *context, const struct capability_use *wanted, struct outcome *outcome,
    int64_t *left, struct error *error)
{
    struct shown shown = {0};
    *left = -1;
    enum status status = shown_read(context, wanted->capability, &shown, error);
    if (status == STATUS_OK)
        status = take(context, wanted, outcome, &shown, left, error);
    shown_clear(&shown);
    return status;
}

enum status
use_capability(struct context *context, const struct capability_use *wanted,
               struct outcome *outcome, struct error *error)
{
    int64_t left;
    return use(context, wanted, outcome, &left, error);
}

enum status
capability_use(struct context *context, struct request *request, struct outcome *outcome,
               struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct uuid request_id;
    int64_t left;
    if (!text_starts_with(request_source(request), "service:")) {
        error_set(error, "only services use capabilities up");
        return STATUS_FORBIDDEN;
    }
    if (!uuid_parse(arguments_text(arguments, IDENTITY_CAPABILITY_USE_REQUEST_ID), &request_id)) {
        error_set_field(error, "request_id", "expected a UUID");
        return STATUS_VALIDATION;
    }
    const struct capability_use wanted = {
        .capability = arguments_text(arguments, IDENTITY_CAPABILITY_USE_CAPABILITY),
        .request_id = &request_id,
        .action = arguments_text(arguments, IDENTITY_CAPABILITY_USE_ACTION),
        .resource = arguments_text(arguments, IDENTITY_CAPABILITY_USE_RESOURCE),
        .subject = arguments_text(arguments, IDENTITY_CAPABILITY_USE_SUBJECT)};
    enum status status = use(context, &wanted, outcome, &left, error);
    if (status != STATUS_OK)
        return status;
    pack_map(outcome_reply(outcome), 1);
    if (left >= 0)
        pack_pair_int(outcome_reply(outcome), "uses_left", left);
    else
        pack_pair_nil(outcome_reply(outcome), "uses_left");
    return STATUS_OK;
}
