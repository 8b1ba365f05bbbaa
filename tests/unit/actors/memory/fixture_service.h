/* SPDX-License-Identifier: Apache-2.0 */
/* A service on a store in memory, driven through dispatch without sockets: requests and answers are
 * JSON, the clock stands until it is moved, commits are done at once. */
#ifndef SOS_TEST_FIXTURE_SERVICE_H
#define SOS_TEST_FIXTURE_SERVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actors/runtime/dispatch.h"
#include "kernel/json.h"

enum { ANSWERS_MAX = 64 };

struct service_answer {
    struct uuid id;
    enum status status;
    struct buffer payload;
    struct buffer json;
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
    const char *source; /* of the requests */
    struct service_answer answers[ANSWERS_MAX];
    size_t answer_count;
    const struct store_batch *commit;
    uint64_t next_id;
    char last_line[2048];
};

void service_fixture_open(struct service_fixture *f, const struct service *service);
void service_fixture_close(struct service_fixture *f);

/* A new dispatch on the same store: a restart. OK, or why it refuses to serve. */
enum status service_restart(struct service_fixture *f, struct error *error);

/* One request and its answer, which is valid until the next call. */
const struct service_answer *service_call(struct service_fixture *f, const char *type,
                                          const char *json);
/* The same in one batch: send each, then run; answers stand in f->answers in that order. */
void service_forget(struct service_fixture *f);
void service_send(struct service_fixture *f, const char *type, const char *json);
void service_run(struct service_fixture *f);

/* The answer as JSON; NUL-terminated. */
const char *answer_json(const struct service_answer *answer);
/* A text entry of the answer's map, "" when absent; a refusal's machine word, field or message. */
struct text answer_text(const struct service_answer *answer, const char *key);
struct error answer_error(const struct service_answer *answer);

#endif
