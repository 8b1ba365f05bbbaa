/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch around one service without sockets, on a store in memory: requests go in as JSON,
 * replies come out as JSON, calls and HTTP requests are kept until the test answers them, the clock
 * stands until it is moved, commits happen when they are asked for. */
#ifndef SOS_TEST_SERVICE_FIXTURE_H
#define SOS_TEST_SERVICE_FIXTURE_H

#include "actors/runtime/dispatch.h"
#include "kernel/json.h"

enum { SENT_MAX = 1024 };

struct sent_reply {
    struct uuid id;
    enum status status;
    struct buffer payload, json;
};

struct sent_chunk {
    struct uuid id;
    uint64_t seq;
    struct buffer payload;
};

struct sent_call {
    struct continuation *handle; /* NULL once over */
    char service[32], type[64], key[128], principal[64];
    uint32_t ttl_ms;
    struct buffer json;
};

struct sent_http {
    struct continuation *handle; /* NULL once over */
    char url[256], headers[512]; /* each header with a line feed */
    uint32_t timeout_ms;
    struct buffer body;
};

struct service_fixture {
    const struct service *service;
    struct dispatch *dispatch;
    struct store *store;
    struct config *config;
    struct json_parser *parser;
    struct now now;
    struct clock clock;
    struct logger logger; /* its context is the fixture */
    struct dispatch_options options;
    struct ed25519_public_key river;
    struct ed25519_secret_key river_secret;
    const char *source; /* of the requests */
    void *own;          /* the test's */

    struct sent_reply replies[SENT_MAX];
    struct sent_chunk chunks[SENT_MAX];
    struct sent_call calls[SENT_MAX];
    struct sent_http https[SENT_MAX];
    size_t reply_count, chunk_count, call_count, http_count;
    size_t aborted_https, cancelled_calls;
    enum status call_result; /* of the port, for calls and HTTP requests */
    bool has_policy;         /* false: what asks for the policy is refused, and not kept */
    uint32_t stream_credit;
    struct buffer streamed; /* for service_streamed */

    struct buffer log; /* every line */
    size_t error_lines;
    char last_error[2048]; /* the last line of that level */

    const struct store_batch *commit; /* asked for, not done */
    const char *checkpoint;           /* the folder, asked for, not done */
    size_t commits;
    bool hold_commits;
    struct audit_trail *trail; /* the test's; set options.has_trail with it */
    uint64_t next_id;
};

/* Everything but the dispatch, for a test that changes the configuration or the options first. */
struct service_fixture *service_new(const struct service *service);
/* A new dispatch on the store; the second time as after a crash. OK, or why the service refuses. */
enum status service_start(struct service_fixture *f, struct error *error);
/* Both. environment: "SOS_X=y" strings, NULL-terminated, or NULL. NULL: the service refused to
 * start, error has the words. */
struct service_fixture *service_open(const struct service *service, const char *const *environment,
                                     struct error *error);
void service_close(struct service_fixture **fixture_p);
void service_reopen(struct service_fixture *f); /* as service_start, which must succeed */

/* Takes a request in, without running. */
struct uuid service_post(struct service_fixture *f, const char *type, const char *json);
/* From here on all of them run. */
struct uuid service_send(struct service_fixture *f, const char *type, const char *json);
struct uuid service_stream(struct service_fixture *f, const char *type, const char *json);
/* With a capability of River for this action and resource. */
struct uuid service_send_granted(struct service_fixture *f, const char *type, const char *json,
                                 const char *action, const char *resource);
/* With this token. */
struct uuid service_send_with(struct service_fixture *f, const char *type, const char *json,
                              struct text token);
/* One request and its only answer; what was answered before is forgotten. */
const struct sent_reply *service_ask(struct service_fixture *f, const char *type, const char *json);
void service_forget(struct service_fixture *f); /* the replies */
void service_cancel(struct service_fixture *f, const struct uuid *id);
void service_run(struct service_fixture *f); /* until nothing can run; commits unless held */
void service_commit(struct service_fixture *f);
void service_pass(struct service_fixture *f, uint64_t ms);

/* The last call or HTTP request of this type; fails the test when there is none that waits. */
struct sent_call *service_call(struct service_fixture *f, const char *type);
size_t service_calls_waiting(const struct service_fixture *f);
/* status OK: json is the answer; otherwise it is the error's message. Runs. */
void service_answer(struct service_fixture *f, struct sent_call *call, enum status status,
                    const char *json);
struct sent_http *service_http(struct service_fixture *f);
void service_http_data(struct service_fixture *f, struct sent_http *http, const char *text);
void service_http_done(struct service_fixture *f, struct sent_http *http, enum status status,
                       long http_status, const char *body);

const struct sent_reply *service_find_reply(const struct service_fixture *f,
                                            const struct uuid *id); /* NULL: none yet */
size_t service_replies_to(const struct service_fixture *f, const struct uuid *id);
bool service_has_reply(const struct service_fixture *f, const struct uuid *id);
enum status service_status(const struct service_fixture *f, const struct uuid *id);
const char *service_reply(const struct service_fixture *f, const struct uuid *id); /* JSON */
const char *service_streamed(struct service_fixture *f); /* "chunk" of all chunks */
const char *service_text(const struct buffer *buffer);   /* NUL-terminated */

const char *reply_json(const struct sent_reply *reply);
/* A text entry of the reply's map, "" when absent. */
struct text reply_text(const struct sent_reply *reply, const char *key);
struct error reply_error(const struct sent_reply *reply);

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("\"%s\" is not in: %s", (part), (text));                                      \
    } while (0)

#define assert_lacks(text, part)                                                                   \
    do {                                                                                           \
        if (strstr((text), (part)))                                                                \
            fail_msg("\"%s\" is in: %s", (part), (text));                                          \
    } while (0)

#endif
