/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/actors/identity/fixture_river.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/file.h"

void
river_write_policy(struct river_fixture *river, const char *policy)
{
    static const char *const folders[] = {"config", "config/policies"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(folder_make(home_path(river->f, folders[i]), NULL), STATUS_OK);
    assert_int_equal(file_save(home_path(river->f, "config/policies/business.json"),
                               (struct bytes){(const uint8_t *)policy, strlen(policy)}, 0600, NULL),
                     STATUS_OK);
}

struct river_fixture *
river_open(const char *policy)
{
    struct river_fixture *river = calloc(1, sizeof *river);
    assert_non_null(river);
    river->f = home_open(NULL);
    if (policy) {
        river_write_policy(river, policy);
        home_restart(river->f, NULL);
    }
    service_pass(river->f, 1500); /* what is in force is kept */
    return river;
}

void
river_close(struct river_fixture **fixture_p)
{
    struct river_fixture *river = *fixture_p;
    home_close(&river->f);
    free(river);
    *fixture_p = NULL;
}

/* ---- asking */

const char *
river_ask(struct river_fixture *river, const char *type, const char *json)
{
    service_forget(river->f);
    struct uuid id = service_send(river->f, type, json);
    return service_has_reply(river->f, &id) ? service_reply(river->f, &id) : "";
}

const char *
river_admin(struct river_fixture *river, const char *type, const char *json, const char *action,
            const char *resource)
{
    service_forget(river->f);
    struct uuid id = service_send_granted(river->f, type, json, action, resource);
    return service_has_reply(river->f, &id) ? service_reply(river->f, &id) : "";
}

static const struct sent_reply *
last_reply(const struct river_fixture *river)
{
    assert_true(river->f->reply_count > 0);
    return &river->f->replies[river->f->reply_count - 1];
}

enum status
river_status(const struct river_fixture *river)
{
    return last_reply(river)->status;
}

struct error
river_error(const struct river_fixture *river)
{
    return reply_error(last_reply(river));
}

void
river_sign(struct river_fixture *river, const struct capability_grant *grant, struct buffer *token)
{
    struct capability_grant made = *grant;
    buffer_reset(token);
    if (made.issued_us == 0)
        made.issued_us = river->f->now.wall_us;
    if (made.expires_us == 0)
        made.expires_us = river->f->now.wall_us + UINT64_C(3600000000);
    assert_int_equal(capability_issue(token, &made, &river->f->river_secret, NULL), STATUS_OK);
    buffer_append_byte(token, 0);
    token->size--;
}

const char *
river_with(struct river_fixture *river, const char *member, const char *token, const char *rest)
{
    struct buffer *room = &river->f->streamed;
    buffer_reset(room);
    buffer_append_format(room, "{\"%s\":%s%s%s}", member, token, rest[0] ? "," : "", rest);
    return service_text(room);
}

void
river_id(const char *json, char id[static 65])
{
    const char *at = strstr(json, "\"cap_");
    if (!at)
        fail_msg("no id in: %s", json);
    size_t size = strcspn(at + 1, "\"");
    assert_true(size < 65);
    memcpy(id, at + 1, size);
    id[size] = '\0';
}

void
river_confirm(struct river_fixture *river, const char *type)
{
    service_answer(river->f, service_call(river->f, type), STATUS_OK, "{}");
}

/* ---- rights */

char *
river_issue_token(struct river_fixture *river, const char *rest)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"subject\":\"agent:kasra\",\"action\":\"memory:read\",\"resource\":\"m:*\"%s%s}",
             rest[0] ? "," : "", rest);
    const char *token = river_admin(river, "capability_issue", json, "capability:issue", "*");
    if (river_status(river) != STATUS_OK)
        fail_msg("%s", river_error(river).message);
    return strdup(token);
}

const char *
river_try_delegate(struct river_fixture *river, const char *parent, const char *rest)
{
    return river_ask(river, "capability_delegate", river_with(river, "parent", parent, rest));
}

char *
river_delegate(struct river_fixture *river, const char *parent, const char *rest)
{
    const char *token = river_try_delegate(river, parent, rest);
    if (river_status(river) != STATUS_OK)
        fail_msg("%s", river_error(river).message);
    return strdup(token);
}

int
river_use(struct river_fixture *river, const char *token, unsigned request, const char *resource)
{
    struct buffer json;
    const char *source = river->f->source;
    buffer_init(&json);
    buffer_append_string(&json, "{\"capability\":");
    json_append_text(&json, text_of(token));
    buffer_append_format(&json,
                         ",\"request_id\":\"00000000-0000-7000-8000-%012u\",\"action\":"
                         "\"memory:read\",\"resource\":\"%s\",\"subject\":\"\"}",
                         request, resource);
    river->f->source = "service:memory";
    const char *answer = river_ask(river, "capability_use", service_text(&json));
    river->f->source = source;
    buffer_clear(&json);
    if (river_status(river) != STATUS_OK)
        return -2;
    const char *left = strstr(answer, "\"uses_left\":");
    assert_non_null(left);
    return strncmp(left + 12, "null", 4) == 0 ? -1 : atoi(left + 12);
}

const char *
river_verify_token(struct river_fixture *river, const char *token, const char *rest)
{
    return river_ask(river, "capability_verify", river_with(river, "token", token, rest));
}

struct uuid
river_start_revoking(struct river_fixture *river, const char *token)
{
    char id[65], json[160];
    river_id(token, id);
    snprintf(json, sizeof json, "{\"id\":\"%s\",\"reason\":\"lost\"}", id);
    service_forget(river->f);
    return service_send_granted(river->f, "capability_revoke", json, "capability:revoke", "*");
}

void
river_revoke(struct river_fixture *river, const char *token)
{
    struct uuid id = river_start_revoking(river, token);
    river_confirm(river, "capability_revoke");
    if (service_status(river->f, &id) != STATUS_OK)
        fail_msg("%s", service_reply(river->f, &id));
}
