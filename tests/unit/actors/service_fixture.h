/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch around one service without sockets: requests go in as JSON, replies come out as JSON,
 * calls and HTTP requests are kept until the test answers them, the clock stands until it is moved.
 */
#ifndef SOS_TEST_SERVICE_FIXTURE_H
#define SOS_TEST_SERVICE_FIXTURE_H

#include "actors/runtime/dispatch.h"
#include "kernel/json.h"

enum { SENT_MAX = 512 };

struct sent_reply {
    struct uuid id;
    enum status status;
    struct buffer json;
};

struct sent_call {
    struct continuation *handle; /* NULL once over */
    char service[32], type[64], key[128], principal[64];
    struct buffer json;
};

struct sent_http {
    struct continuation *handle; /* NULL once over */
    char url[256], headers[512];
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
    struct logger logger;
    struct dispatch_options options;
    struct ed25519_public_key river;
    struct ed25519_secret_key river_secret;

    struct sent_reply replies[SENT_MAX];
    struct sent_call calls[SENT_MAX];
    struct sent_http https[SENT_MAX];
    size_t reply_count, call_count, http_count, chunk_count;
    size_t aborted_https, cancelled_calls;
    struct buffer streamed; /* "chunk" of all chunks */
    struct buffer log;      /* every line */

    const struct store_batch *commit; /* asked for, not done */
    bool hold_commits;
    uint64_t next_id;
};

/* environment: "SOS_X=y" strings, NULL-terminated, or NULL. NULL: the service refused to start,
 * error has the words. */
struct service_fixture *service_open(const struct service *service, const char *const *environment,
                                     struct error *error);
void service_close(struct service_fixture **fixture_p);
void
service_reopen(struct service_fixture *f); /* as after a crash: a new dispatch on the same store */

struct uuid service_send(struct service_fixture *f, const char *type, const char *json);
struct uuid service_stream(struct service_fixture *f, const char *type, const char *json);
/* With a capability of River for this action and resource. */
struct uuid service_send_granted(struct service_fixture *f, const char *type, const char *json,
                                 const char *action, const char *resource);
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

bool service_has_reply(const struct service_fixture *f, const struct uuid *id);
enum status service_status(const struct service_fixture *f, const struct uuid *id);
const char *service_reply(const struct service_fixture *f, const struct uuid *id); /* JSON */
const char *service_text(const struct buffer *buffer); /* NUL-terminated */

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
