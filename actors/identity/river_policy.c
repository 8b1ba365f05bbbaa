/* SPDX-License-Identifier: Apache-2.0 */
/* River's policy: read at start, looked at while it runs, shown to whoever asks. */
#include <stdio.h>

#include "actors/identity/grant_rows.h"
#include "actors/identity/policy_file.h"
#include "actors/identity/river_calls.h"
#include "actors/identity/river_state.h"
#include "contracts/identity.h"

enum { LOOK_US = 1000 * 1000, DIFF_PIECE = 480, DIFF_MAX = 12 * DIFF_PIECE };

static const char ROW[] = "in_force";

/* ---- what is in force */

static enum status
load_key(struct river *river, const char *home, struct error *error)
{
    if (!home)
        return STATUS_OK;
    enum status status = river_key_load(home, &river->key, error);
    if (status != STATUS_OK)
        return status;
    river->has_key = true;
    river->keys[river->key_count++] = river->key.public_key;
    return STATUS_OK;
}

enum status
river_load(struct river *river, struct context *context, struct error *error)
{
    const char *home = context_home(context);
    enum status status = load_key(river, home, error);
    if (status == STATUS_OK)
        status =
            policy_file_load(home, text_of(river->edition), &river->policy, &river->json, error);
    if (status == STATUS_NOT_FOUND)
        status = STATUS_VALIDATION;
    if (status != STATUS_OK)
        error_wrap(error, "edition %s", river->edition);
    return status;
}

/* What services were told of, or are to be told. */
struct row {
    struct text edition, json;
    uint64_t version; /* one more with each change */
    bool told;
    struct buffer bytes;
};

static enum status
read_row(struct context *context, struct row *row, struct error *error)
{
    struct value map;
    buffer_init(&row->bytes);
    enum status status =
        context_get(context, SPACE_POLICY, bytes_of(text_of(ROW)), &row->bytes, error);
    if (status != STATUS_OK)
        return status;
    if (!value_parse(buffer_bytes(&row->bytes), &map) ||
        !value_find_text(&map, "edition", &row->edition) ||
        !value_find_text(&map, "json", &row->json) ||
        !value_find_uint(&map, "version", &row->version) ||
        !value_find_bool(&map, "told", &row->told)) {
        error_set(error, "the row of the policy cannot be read");
        return STATUS_STORE_FAILED;
    }
    return STATUS_OK;
}

static void
put_row(struct outcome *outcome, const struct row *row)
{
    struct buffer bytes;
    buffer_init(&bytes);
    pack_map(&bytes, 4);
    pack_pair_text(&bytes, "edition", row->edition);
    pack_pair_text(&bytes, "json", row->json);
    pack_pair_uint(&bytes, "version", row->version);
    pack_pair_bool(&bytes, "told", row->told);
    if (bytes.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_put(outcome, SPACE_POLICY, bytes_of(text_of(ROW)), buffer_bytes(&bytes));
    buffer_clear(&bytes);
}

/* An entry holds only so much of a long diff: it goes on in the next, cut between two changes. */
static void
audit_diff(struct outcome *outcome, const struct river *river, struct text diff)
{
    do {
        size_t size = diff.size;
        if (size > DIFF_PIECE) {
            const char *end = memrchr(diff.data, ';', DIFF_PIECE);
            size = end ? (size_t)(end - diff.data) + 1 : DIFF_PIECE;
        }
        outcome_audit(outcome, &(struct audit_entry){.event = "policy.reloaded",
                                                     .actor = text_of("service:identity"),
                                                     .resource = text_of(river->edition),
                                                     .outcome = "ok",
                                                     .detail = {diff.data, size}});
        diff.data += size;
        diff.size -= size;
    } while (diff.size > 0);
}

static void
tell_change(struct context *context, struct outcome *outcome, const struct river *river,
            struct text was)
{
    struct buffer diff;
    struct policy *before = NULL;
    buffer_init(&diff);
    if (policy_parse(&before, was, "the policy before", NULL) == STATUS_OK)
        policy_diff(before, river->policy, DIFF_MAX, &diff);
    else
        buffer_append_string(&diff, "the policy before cannot be compared");
    audit_diff(outcome, river, buffer_text(&diff));
    log_info(context_logger(context), "another policy %s is in force", river->edition);
    buffer_clear(&diff);
    policy_destroy(&before);
}

/* The row follows what is in force; nobody is told of the very first one. */
static void
follow(struct context *context, struct outcome *outcome, struct river *river)
{
    struct row row = {0};
    struct error error = ERROR_INIT;
    const struct row now = {.edition = text_of(river->edition), .json = buffer_text(&river->json)};
    enum status status = read_row(context, &row, &error);
    if (status == STATUS_NOT_FOUND) {
        put_row(outcome, &(struct row){
                             .edition = now.edition, .json = now.json, .version = 1, .told = true});
    } else if (status == STATUS_OK && !text_equal(row.json, now.json)) {
        tell_change(context, outcome, river, row.json);
        put_row(outcome, &(struct row){
                             .edition = now.edition, .json = now.json, .version = row.version + 1});
    } else if (status != STATUS_OK) {
        log_warn(context_logger(context), "policy: %s", error.message);
    }
    buffer_clear(&row.bytes);
}

/* ---- looking at the file */

static void
keep_old(struct context *context, struct river *river, const struct error *error)
{
    if (river->broken && strcmp(river->trouble, error->message) == 0)
        return;
    river->broken = true;
    snprintf(river->trouble, sizeof river->trouble, "%s", error->message);
    log_error(context_logger(context), "the policy before stays in force: %s", error->message);
}

static void
look(struct context *context, struct river *river)
{
    struct buffer json;
    struct policy *policy = NULL;
    struct error error = ERROR_INIT;
    buffer_init(&json);
    enum status status =
        policy_file_load(context_home(context), text_of(river->edition), &policy, &json, &error);
    if (status != STATUS_OK) {
        keep_old(context, river, &error);
        buffer_clear(&json);
        return;
    }
    if (river->broken)
        log_info(context_logger(context), "the policy's file can be read again");
    river->broken = false;
    policy_destroy(&river->policy);
    buffer_clear(&river->json);
    river->policy = policy;
    river->json = json;
}

void
river_tick(struct river *river, struct context *context, struct outcome *outcome)
{
    uint64_t now_us = context_now(context).monotonic_us;
    if (now_us >= river->look_us) {
        river->look_us = now_us + LOOK_US;
        if (!river->has_followed) /* the one of the start, before it is looked at again */
            follow(context, outcome, river);
        river->has_followed = true;
        look(context, river);
        follow(context, outcome, river);
    }
    grant_sweep(context, outcome);
}

uint32_t
river_health(const struct river *river, struct buffer *checks, bool *degraded)
{
    char words[sizeof river->trouble + 64];
    if (river->broken) {
        snprintf(words, sizeof words, "%s; the policy before stays in force", river->trouble);
        *degraded = true;
    }
    pack_pair_string(checks, "policy", river->broken ? words : "ok");
    return 1;
}

/* ---- news for the services */

enum status
river_find_news(struct context *context, struct buffer *edition, uint64_t *version,
                struct error *error)
{
    struct row row = {0};
    enum status status = read_row(context, &row, error);
    if (status == STATUS_OK && !row.told) {
        buffer_append_text(edition, row.edition);
        *version = row.version;
    }
    buffer_clear(&row.bytes);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status
river_news_told(struct context *context, struct outcome *outcome, uint64_t version,
                struct error *error)
{
    struct row row = {0};
    enum status status = read_row(context, &row, error);
    if (status == STATUS_OK && !row.told && row.version == version) {
        row.told = true;
        put_row(outcome, &row);
    }
    buffer_clear(&row.bytes);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* ---- the operations */

enum status
policy(struct context *context, struct request *request, struct outcome *outcome,
       struct error *error)
{
    (void)request;
    (void)error;
    policy_pack(river_policy(river_of(context)), outcome_reply(outcome));
    return STATUS_OK;
}

enum status
policy_of(struct context *context, struct request *request, struct outcome *outcome,
          struct error *error)
{
    const struct river *river = river_of(context);
    struct text edition = arguments_text(request_arguments(request), IDENTITY_POLICY_OF_EDITION);
    struct policy *other = NULL;
    struct buffer json;
    if (text_equal_string(edition, river->edition))
        return policy(context, request, outcome, error);
    buffer_init(&json);
    enum status status = policy_file_load(context_home(context), edition, &other, &json, error);
    if (status == STATUS_OK)
        policy_pack(other, outcome_reply(outcome));
    else if (status != STATUS_NOT_FOUND)
        status = STATUS_INTERNAL;
    buffer_clear(&json);
    policy_destroy(&other);
    return status;
}
