/* SPDX-License-Identifier: Apache-2.0 */
/* Asking River for a right: the policy decides, or an administrator does. */
#include <stdio.h>

#include "actors/identity/grant_rows.h"
#include "actors/identity/grant_use.h"
#include "actors/identity/river_approval.h"
#include "contracts/identity.h"
#include "kernel/identity.h"

enum { LIST_REPLY_MAX = 200 * 1024 };

/* ---- the policy */

static enum status
deny(const struct request *request, struct outcome *outcome, const struct river *river,
     const struct right *right, const struct policy_verdict *verdict, struct error *error)
{
    const char *edition = policy_edition(river_policy(river));
    if (verdict->rule > 0)
        error_set_word(error, "policy_denied", "rule %d of edition %s denies %s on %s%s%s",
                       verdict->rule, edition, right->action, right->resource,
                       verdict->reason[0] ? ": " : "", verdict->reason);
    else
        error_set_word(error, "policy_denied", "no rule of edition %s allows %s on %s", edition,
                       right->action, right->resource);
    outcome_audit(outcome, &(struct audit_entry){.event = "capability.denied",
                                                 .actor = request_principal(request),
                                                 .subject = text_of(right->subject),
                                                 .action = text_of(right->action),
                                                 .resource = text_of(right->resource),
                                                 .outcome = "refused: policy_denied",
                                                 .detail = text_of(error->message)});
    return STATUS_FORBIDDEN;
}

/* What the policy says of a right, with its constraints beside those that were asked for, in
 * merged. */
static enum status
consult(const struct request *request, struct outcome *outcome, const struct river *river,
        struct right *right, struct buffer *merged, struct policy_verdict *verdict,
        struct error *error)
{
    const struct policy_question question = {text_of(right->subject), text_of(right->action),
                                             text_of(right->resource)};
    policy_evaluate(river_policy(river), &question, verdict);
    if (verdict->effect == POLICY_DENY)
        return deny(request, outcome, river, right, verdict, error);
    enum status status = delegation_merge(right->constraints, verdict->constraints, merged, error);
    if (status != STATUS_OK)
        return status;
    right->constraints = buffer_bytes(merged);
    if (verdict->effect == POLICY_ALLOW &&
        policy_is_dangerous(river_policy(river), question.action, right->constraints))
        verdict->effect = POLICY_APPROVE;
    return STATUS_OK;
}

static enum status
issue(struct context *context, const struct request *request, struct outcome *outcome,
      const struct right *right, struct error *error)
{
    struct grant made = {0};
    const struct capability_grant grant = right_grant(right, context_now(context).wall_us);
    enum status status =
        river_issue(context, request, outcome, &grant, NULL, "capability.issued", &made, error);
    if (status == STATUS_OK)
        status = right_answer(outcome, &made, error);
    grant_clear(&made);
    return status;
}

enum status
capability_request(struct context *context, struct request *request, struct outcome *outcome,
                   struct error *error)
{
    static const struct right_fields fields = {
        IDENTITY_CAPABILITY_REQUEST_AGENT_ID, IDENTITY_CAPABILITY_REQUEST_ACTION,
        IDENTITY_CAPABILITY_REQUEST_RESOURCE, IDENTITY_CAPABILITY_REQUEST_CONSTRAINTS,
        IDENTITY_CAPABILITY_REQUEST_USES,     IDENTITY_CAPABILITY_REQUEST_EXPIRES_IN};
    struct right right;
    struct policy_verdict verdict;
    struct buffer merged;
    buffer_init(&merged);
    enum status status = right_read(request, &fields, &right, error);
    if (status == STATUS_OK)
        status = consult(request, outcome, river_of(context), &right, &merged, &verdict, error);
    if (status == STATUS_OK && verdict.effect == POLICY_ALLOW) {
        status = issue(context, request, outcome, &right, error);
    } else if (status == STATUS_OK) {
        struct approval approval = {0};
        struct text justification =
            arguments_text(request_arguments(request), IDENTITY_CAPABILITY_REQUEST_JUSTIFICATION);
        status =
            approval_ask(context, outcome, &right, justification, verdict.reason, &approval, error);
        if (status == STATUS_OK)
            approval_pack(&approval, outcome_reply(outcome));
        approval_clear(&approval);
    }
    buffer_clear(&merged);
    return status;
}

enum status
capability_issue_right(struct context *context, struct request *request, struct outcome *outcome,
                       struct error *error)
{
    static const struct right_fields fields = {
        IDENTITY_CAPABILITY_ISSUE_SUBJECT,  IDENTITY_CAPABILITY_ISSUE_ACTION,
        IDENTITY_CAPABILITY_ISSUE_RESOURCE, IDENTITY_CAPABILITY_ISSUE_CONSTRAINTS,
        IDENTITY_CAPABILITY_ISSUE_USES,     IDENTITY_CAPABILITY_ISSUE_EXPIRES_IN};
    struct right right;
    enum status status = right_read(request, &fields, &right, error);
    return status == STATUS_OK ? issue(context, request, outcome, &right, error) : status;
}

/* ---- approvals */

/* Nor by a capability that was given to whom the right is for, whoever shows it. */
static enum status
check_decider(struct context *context, const struct request *request,
              const struct approval *approval, struct error *error)
{
    struct text subject = text_of(approval->right.subject);
    struct shown shown = {0};
    enum status status = shown_read(context, request_capability(request), &shown, error);
    if (status == STATUS_OK &&
        (text_equal(request_principal(request), subject) || shown_is_of(&shown, subject))) {
        error_set_word(error, "own_approval", "nobody decides on a right of their own");
        status = STATUS_FORBIDDEN;
    }
    shown_clear(&shown);
    return status;
}

static enum status
decide(struct context *context, const struct request *request, struct approval *approval, int event,
       unsigned reason_field, struct error *error)
{
    struct text who = request_principal(request);
    struct text why = arguments_text(request_arguments(request), reason_field);
    enum status status = state_step(&approval_machine, &approval->state, event, error);
    if (status == STATUS_OK)
        status = check_decider(context, request, approval, error);
    if (status != STATUS_OK)
        return status;
    snprintf(approval->decided_by, sizeof approval->decided_by, "%.*s", TEXT_ARGS(who));
    snprintf(approval->why, sizeof approval->why, "%.*s", TEXT_ARGS(why));
    approval->decided_us = context_now(context).wall_us;
    return STATUS_OK;
}

/* The policy of today: what it denies by now is not given on an approval of yesterday. */
static enum status
give(struct context *context, const struct request *request, struct outcome *outcome,
     struct approval *approval, struct error *error)
{
    struct right right = approval->right;
    struct policy_verdict verdict;
    struct buffer merged;
    struct grant made = {0};
    buffer_init(&merged);
    enum status status =
        consult(request, outcome, river_of(context), &right, &merged, &verdict, error);
    if (status == STATUS_OK) {
        const struct capability_grant grant = right_grant(&right, context_now(context).wall_us);
        status =
            river_issue(context, request, outcome, &grant, NULL, "capability.issued", &made, error);
    }
    if (status == STATUS_OK) {
        memcpy(approval->capability_id, made.id, sizeof approval->capability_id);
        approval_put(outcome, approval);
        status = right_answer(outcome, &made, error);
    }
    grant_clear(&made);
    buffer_clear(&merged);
    return status;
}

enum status
approval_approve(struct context *context, struct request *request, struct outcome *outcome,
                 struct error *error)
{
    struct approval approval = {0};
    struct text id =
        arguments_text(request_arguments(request), IDENTITY_APPROVAL_APPROVE_APPROVAL_ID);
    enum status status = approval_read(context, id, &approval, error);
    if (status == STATUS_OK)
        status = decide(context, request, &approval, APPROVAL_ON_APPROVE,
                        IDENTITY_APPROVAL_APPROVE_REASON, error);
    if (status == STATUS_OK)
        status = give(context, request, outcome, &approval, error);
    approval_clear(&approval);
    return status;
}

enum status
approval_deny(struct context *context, struct request *request, struct outcome *outcome,
              struct error *error)
{
    struct approval approval = {0};
    struct text id = arguments_text(request_arguments(request), IDENTITY_APPROVAL_DENY_APPROVAL_ID);
    enum status status = approval_read(context, id, &approval, error);
    if (status == STATUS_OK)
        status = decide(context, request, &approval, APPROVAL_ON_DENY,
                        IDENTITY_APPROVAL_DENY_REASON, error);
    if (status == STATUS_OK) {
        approval_put(outcome, &approval);
        approval_pack(&approval, outcome_reply(outcome));
        outcome_audit(outcome, &(struct audit_entry){.event = "capability.denied",
                                                     .actor = request_principal(request),
                                                     .subject = text_of(approval.right.subject),
                                                     .action = text_of(approval.right.action),
                                                     .resource = text_of(approval.right.resource),
                                                     .outcome = "ok",
                                                     .detail = text_of(approval.why)});
    }
    approval_clear(&approval);
    return status;
}

/* Whoever asked fetches what came of it: the token itself once it was approved. */
enum status
approval_get(struct context *context, struct request *request, struct outcome *outcome,
             struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct approval approval = {0};
    struct grant grant = {0};
    struct buffer *out = outcome_reply(outcome);
    enum status status = approval_read(
        context, arguments_text(arguments, IDENTITY_APPROVAL_GET_APPROVAL_ID), &approval, error);
    if (status == STATUS_OK &&
        !text_equal_string(arguments_text(arguments, IDENTITY_APPROVAL_GET_AGENT_ID),
                           approval.right.subject)) {
        error_set_word(error, "approval_not_found", "there is no such approval");
        status = STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK) {
        pack_map(out, 2);
        pack_string(out, "approval");
        approval_pack(&approval, out);
        pack_string(out, "capability");
        if (approval.capability_id[0] &&
            grant_get(context, text_of(approval.capability_id), &grant, NULL) == STATUS_OK)
            status = grant_pack_token(buffer_text(&grant.token), out, error);
        else
            pack_nil(out);
    }
    grant_clear(&grant);
    approval_clear(&approval);
    return status;
}

struct page {
    struct context *context;
    struct text state; /* empty: all */
    int64_t left;
    uint32_t count;
    struct buffer records;
};

static const enum status ENOUGH = STATUS_PENDING;

static enum status
take_id(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct page *page = context;
    struct approval approval = {0};
    (void)value;
    if (page->left == 0 || page->records.size > LIST_REPLY_MAX)
        return ENOUGH;
    enum status status = approval_read(
        page->context, (struct text){(const char *)key.data, key.size}, &approval, error);
    if (status == STATUS_OK &&
        (page->state.size == 0 ||
         text_equal_string(page->state, approval_machine.state_names[approval.state]))) {
        approval_pack(&approval, &page->records);
        page->count++;
        page->left--;
    }
    approval_clear(&approval);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status
approvals(struct context *context, struct request *request, struct outcome *outcome,
          struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct page page = {.context = context,
                        .state = arguments_text(arguments, IDENTITY_APPROVALS_STATUS),
                        .left = arguments_integer(arguments, IDENTITY_APPROVALS_LIMIT)};
    buffer_init(&page.records);
    enum status status =
        context_scan(context, SPACE_APPROVAL, (struct bytes){0}, true, take_id, &page, error);
    if (status == STATUS_OK || status == ENOUGH) {
        pack_array(outcome_reply(outcome), page.count);
        pack_raw(outcome_reply(outcome), buffer_bytes(&page.records));
        status = page.records.failed ? STATUS_NOMEM : STATUS_OK;
    }
    buffer_clear(&page.records);
    return status;
}
