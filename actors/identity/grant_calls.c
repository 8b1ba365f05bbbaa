/* SPDX-License-Identifier: Apache-2.0 */
/* Handing a right on, looking at one, listing them. */
#include "actors/identity/grant_rows.h"
#include "actors/identity/grant_use.h"
#include "contracts/identity.h"

enum { LIST_REPLY_MAX = 200 * 1024, AGE_SIZE = 8 };

/* ---- delegation */

/* An agent hands on what is its own; anybody else shows that it holds the right by the token. */
static enum status
check_holder(const struct request *request, const struct capability *parent, struct error *error)
{
    const struct text speakers[] = {request_source(request), request_principal(request)};
    for (size_t i = 0; i < sizeof speakers / sizeof *speakers; i++) {
        if (!text_starts_with(speakers[i], "agent:") ||
            text_equal_string(speakers[i], capability_subject(parent)))
            continue;
        error_set_word(error, "capability_subject_mismatch", "%.*s may not hand on a right of %s",
                       TEXT_ARGS(speakers[i]), capability_subject(parent));
        return STATUS_FORBIDDEN;
    }
    return STATUS_OK;
}

static enum status
widened(struct error *error, const char *what)
{
    error_set_word(error, "capability_widened", "the right would be wider than its parent in %s",
                   what);
    return STATUS_SCOPE_DENIED;
}

/* What is not asked for is the parent's. */
static enum status
fill_child(struct context *context, const struct request *request, const struct grant *parent,
           const struct right *right, struct bytes constraints, struct capability_grant *child,
           struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    *child = right_grant(right, context_now(context).wall_us);
    child->parent_id = parent->id;
    child->constraints = constraints;
    if (!right->action[0])
        child->action = capability_action(parent->capability);
    if (!right->resource[0])
        child->resource = capability_resource(parent->capability);
    if (!arguments_has(arguments, IDENTITY_CAPABILITY_DELEGATE_EXPIRES_IN))
        child->expires_us = capability_expires_us(parent->capability);
    if (!parent->limited)
        return STATUS_OK;
    if (right->limited && (uint64_t)right->uses > parent->uses_left)
        return widened(error, "its uses");
    if (!right->limited)
        child->uses = (int64_t)parent->uses_left;
    child->limited = true;
    return STATUS_OK;
}

/* The family of the new one: its parent, and the parent's ancestors. */
static enum status
make_child(struct context *context, const struct request *request, struct outcome *outcome,
           const struct shown *parent, const struct capability_grant *child, struct error *error)
{
    struct chain chain = {.count = 1};
    struct grant made = {0};
    enum status status = grant_get(context, text_of(parent->grant.id), &chain.links[0], error);
    if (status == STATUS_OK)
        status = chain_load(context, chain.links[0].capability, &chain, error);
    if (status == STATUS_OK)
        status = river_issue(context, request, outcome, child, &chain, "capability.delegated",
                             &made, error);
    if (status == STATUS_OK)
        status = delegation_check(made.capability, parent->grant.capability, error);
    if (status == STATUS_OK)
        status = right_answer(outcome, &made, error);
    grant_clear(&made);
    chain_clear(&chain);
    return status;
}

enum status
capability_delegate(struct context *context, struct request *request, struct outcome *outcome,
                    struct error *error)
{
    static const struct right_fields fields = {
        IDENTITY_CAPABILITY_DELEGATE_SUBJECT,  IDENTITY_CAPABILITY_DELEGATE_ACTION,
        IDENTITY_CAPABILITY_DELEGATE_RESOURCE, IDENTITY_CAPABILITY_DELEGATE_CONSTRAINTS,
        IDENTITY_CAPABILITY_DELEGATE_USES,     IDENTITY_CAPABILITY_DELEGATE_EXPIRES_IN};
    struct right right;
    struct shown parent = {0};
    struct capability_grant child;
    struct buffer token, constraints;
    buffer_init(&token);
    buffer_init(&constraints);
    enum status status = right_read(request, &fields, &right, error);
    if (status == STATUS_OK)
        status = right_token(request, IDENTITY_CAPABILITY_DELEGATE_PARENT, &token, error);
    if (status == STATUS_OK)
        status = shown_read(context, buffer_text(&token), &parent, error);
    if (status == STATUS_OK)
        status = check_holder(request, parent.grant.capability, error);
    if (status == STATUS_OK)
        status = shown_check(&parent, error);
    if (status == STATUS_OK && parent.chain.count + 1 > DELEGATION_DEPTH_MAX)
        status = widened(error, "the number of its ancestors");
    if (status == STATUS_OK)
        status =
            delegation_inherit(right.constraints, capability_constraints(parent.grant.capability),
                               &constraints, error);
    if (status == STATUS_OK)
        status = fill_child(context, request, &parent.grant, &right, buffer_bytes(&constraints),
                            &child, error);
    if (status == STATUS_OK)
        status = shown_keep(context, outcome, &parent, error);
    if (status == STATUS_OK)
        status = make_child(context, request, outcome, &parent, &child, error);
    shown_clear(&parent);
    buffer_clear(&constraints);
    buffer_clear(&token);
    return status;
}

/* ---- looking at one */

static enum status
check_wanted(struct context *context, const struct request *request, const struct shown *shown,
             struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct text action = arguments_text(arguments, IDENTITY_CAPABILITY_VERIFY_ACTION);
    struct text resource = arguments_text(arguments, IDENTITY_CAPABILITY_VERIFY_RESOURCE);
    const struct capability *capability = shown->grant.capability;
    const struct capability_request wanted = {
        .action = action.size > 0 ? action : text_of(capability_action(capability)),
        .resource = resource.size > 0 ? resource : text_of(capability_resource(capability)),
        .subject = arguments_text(arguments, IDENTITY_CAPABILITY_VERIFY_SUBJECT),
        .is_pattern = resource.size == 0};
    return capability_check_terms(capability, &wanted, context_now(context).wall_us, error);
}

static enum status
pack_verdict(struct outcome *outcome, const struct shown *shown, enum status verdict,
             const struct error *refusal, struct error *error)
{
    struct buffer *out = outcome_reply(outcome);
    bool readable = shown->grant.capability != NULL;
    pack_map(out, 5);
    pack_pair_bool(out, "valid", verdict == STATUS_OK);
    pack_pair_string(out, "detail",
                     verdict == STATUS_OK ? NULL
                     : refusal->word[0]   ? refusal->word
                                          : status_word(verdict));
    pack_pair_string(out, "message", verdict == STATUS_OK ? NULL : refusal->message);
    pack_string(out, "capability");
    enum status status = STATUS_OK;
    if (readable)
        status = grant_pack(&shown->grant, out, error);
    else
        pack_nil(out);
    pack_string(out, "ancestors");
    pack_array(out, (uint32_t)shown->chain.count);
    for (size_t i = 0; i < shown->chain.count; i++)
        pack_string(out, shown->chain.links[i].id);
    return status;
}

static bool
is_verdict(enum status status)
{
    return status == STATUS_OK || status == STATUS_INVALID || status == STATUS_TOKEN_INVALID ||
           status == STATUS_TOKEN_EXPIRED || status == STATUS_SCOPE_DENIED;
}

/* Whether a token is good is the answer, not a refusal. */
enum status
capability_verify(struct context *context, struct request *request, struct outcome *outcome,
                  struct error *error)
{
    struct shown shown = {0};
    struct buffer token;
    struct error refusal = ERROR_INIT;
    buffer_init(&token);
    enum status status = right_token(request, IDENTITY_CAPABILITY_VERIFY_TOKEN, &token, error);
    if (status == STATUS_OK) {
        enum status verdict = shown_read(context, buffer_text(&token), &shown, &refusal);
        if (verdict == STATUS_OK)
            verdict = shown_check(&shown, &refusal);
        if (verdict == STATUS_OK)
            verdict = check_wanted(context, request, &shown, &refusal);
        if (is_verdict(verdict)) {
            status = pack_verdict(outcome, &shown, verdict, &refusal, error);
        } else {
            *error = refusal;
            status = verdict;
        }
    }
    shown_clear(&shown);
    buffer_clear(&token);
    return status;
}

/* ---- lists */

struct page {
    struct context *context;
    int64_t skip, left;
    uint32_t count;
    struct buffer records;
};

static const enum status ENOUGH = STATUS_PENDING;

static enum status
take_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct page *page = context;
    const uint8_t *end = memchr(key.data, 0, key.size);
    size_t head = end ? (size_t)(end - key.data) + 1 + AGE_SIZE : key.size;
    (void)value;
    if (head >= key.size) /* how many there are of this subject */
        return STATUS_OK;
    if (page->skip > 0) {
        page->skip--;
        return STATUS_OK;
    }
    if (page->left == 0 || page->records.size > LIST_REPLY_MAX)
        return ENOUGH;
    struct grant grant = {0};
    struct text id = {(const char *)key.data + head, key.size - head};
    enum status status = grant_get(page->context, id, &grant, error);
    if (status == STATUS_OK)
        status = grant_pack(&grant, &page->records, error);
    grant_clear(&grant);
    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_STORE_FAILED : status;
    page->count++;
    page->left--;
    return STATUS_OK;
}

enum status
capability_list(struct context *context, struct request *request, struct outcome *outcome,
                struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct text subject = arguments_text(arguments, IDENTITY_CAPABILITY_LIST_SUBJECT);
    struct page page = {.context = context,
                        .skip = arguments_integer(arguments, IDENTITY_CAPABILITY_LIST_OFFSET),
                        .left = arguments_integer(arguments, IDENTITY_CAPABILITY_LIST_LIMIT)};
    struct buffer prefix;
    buffer_init(&prefix);
    buffer_init(&page.records);
    if (subject.size > 0)
        rows_append_pair(&prefix, subject, (struct bytes){0});
    enum status status = prefix.failed
                             ? STATUS_NOMEM
                             : context_scan(context, SPACE_GRANT_SUBJECT, buffer_bytes(&prefix),
                                            true, take_row, &page, error);
    if (status == STATUS_OK || status == ENOUGH) {
        pack_array(outcome_reply(outcome), page.count);
        pack_raw(outcome_reply(outcome), buffer_bytes(&page.records));
        status = page.records.failed ? STATUS_NOMEM : STATUS_OK;
    }
    buffer_clear(&page.records);
    buffer_clear(&prefix);
    return status;
}
