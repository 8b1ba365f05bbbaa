/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/provider_openai.h - any OpenAI-compatible server: its settings, the request to it,
 * and what its failures mean. Talks to nobody itself. */
#ifndef SOS_ENGINE_PROVIDER_OPENAI_H
#define SOS_ENGINE_PROVIDER_OPENAI_H

#include "actors/engine/conversation.h"
#include "actors/engine/recall.h"
#include "kernel/config.h"
#include "kernel/json.h"

struct provider {
    bool is_configured;
    char *url;           /* of chat completions */
    char *host;          /* for messages: host and port */
    char *model;         /* its model's id */
    char *authorization; /* "Authorization: Bearer …"; NULL: the server wants no key. Secret. */
    uint32_t timeout_ms;

    char *secret; /* the name of the secret that the key is; NULL: none is. See provider_key.h. */
    uint64_t key_due_us, key_end_us; /* it is read again, and not used any longer; monotonic */
    char key_trouble[400];           /* why the last reading failed; "" */
};

/* From openai.*; none configured is fine. VALIDATION names the key that is wrong, never its secret
 * value. */
enum status provider_open(struct provider *provider, const struct config *config,
                          struct error *error);
void provider_close(struct provider *provider); /* overwrites the key */

/* VALIDATION: the key holds what no HTTP header may; never says what. */
enum status provider_set_key(struct provider *provider, struct text key, struct error *error);
void provider_forget_key(struct provider *provider); /* overwrites it */

struct prompt {
    struct text agent;
    const struct recall *recall;
    const struct turns *turns;
    struct text message;
};

/* Appends the JSON body. */
void provider_append_request(const struct provider *provider, const struct prompt *prompt,
                             bool stream, struct buffer *body);

/* What a failed exchange means. */
struct provider_failure {
    enum status status;
    bool counts; /* for the circuit breaker: the server, not this request, is to blame */
    struct error error;
};
void provider_explain(const struct provider *provider, const struct event *event,
                      struct json_parser *parser, struct provider_failure *failure);

#endif
