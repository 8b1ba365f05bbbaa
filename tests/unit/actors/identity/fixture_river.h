/* SPDX-License-Identifier: Apache-2.0 */
/* River in a home of its own, which may have a policy of its own. */
#ifndef SOS_TEST_FIXTURE_RIVER_H
#define SOS_TEST_FIXTURE_RIVER_H

#include "tests/unit/actors/identity/fixture_home.h"

struct river_fixture {
    struct service_fixture *f; /* its River key signs both rights for the service and its tokens */
};

/* policy: JSON of the edition business, or NULL for the one that comes along. */
struct river_fixture *river_open(const char *policy);
void river_close(struct river_fixture **fixture_p);

/* Writes config/policies/business.json. */
void river_write_policy(struct river_fixture *river, const char *policy);

/* One request; its answer as JSON, or "" and the refusal's word in *word. */
const char *river_ask(struct river_fixture *river, const char *type, const char *json);
/* The same with a capability for the operation. */
const char *river_admin(struct river_fixture *river, const char *type, const char *json,
                        const char *action, const char *resource);
/* The status of the last of them. */
enum status river_status(const struct river_fixture *river);
struct error river_error(const struct river_fixture *river);

/* A token that the River key of the home signs by itself. */
void river_sign(struct river_fixture *river, const struct capability_grant *grant,
                struct buffer *token);

/* {"parent":<token>,<rest>} and such. */
const char *river_with(struct river_fixture *river, const char *member, const char *token,
                       const char *rest);

/* "id":"cap_…" of an answer. */
void river_id(const char *json, char id[static 65]);

/* Answers the last call of this type with {}. */
void river_confirm(struct river_fixture *river, const char *type);

/* ---- rights, made by way of the service; tokens are the caller's to free */

/* A right of agent:kasra to memory:read on m:*, which the operator issues. */
char *river_issue_token(struct river_fixture *river, const char *rest);
/* The answer, or the refusal. */
const char *river_try_delegate(struct river_fixture *river, const char *parent, const char *rest);
char *river_delegate(struct river_fixture *river, const char *parent, const char *rest);
/* One use by service:memory for request number `request`: what is left; -1: unlimited, -2: refused.
 */
int river_use(struct river_fixture *river, const char *token, unsigned request,
              const char *resource);
const char *river_verify_token(struct river_fixture *river, const char *token, const char *rest);
struct uuid river_start_revoking(struct river_fixture *river, const char *token);
void river_revoke(struct river_fixture *river, const char *token);

#endif
