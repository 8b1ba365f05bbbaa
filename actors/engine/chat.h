/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/chat.h - one message to an agent, from the question to the answer that is on disk.
 *
 * recall (memory.search) -> generate (built-in model, or the provider over HTTP) -> remember
 * (memory.store) -> both turns in one batch -> reply. Memory that fails degrades the answer, and
 * says so in its metadata; a provider that fails is replaced by sos-local when the caller named no
 * model and nothing of an answer has left. */
#ifndef SOS_ENGINE_CHAT_H
#define SOS_ENGINE_CHAT_H

#include "actors/engine/gate.h"
#include "actors/engine/provider_openai.h"

/* The service's state: settings, and what chats share. Rows are read where they are needed. */
struct engine {
    struct provider provider;
    struct gate *gate;
    struct json_parser *parser;
    struct metric_family *answers; /* by model and status */
    bool is_limited;               /* by the policy; not before it is known */
    uint64_t characters_max;       /* of an answer, when limited */
};

extern const char model_local_id[];
extern const char model_mock_id[];

handler_fn chat_run;        /* OP_ENGINE_CHAT */
handler_fn chat_run_stream; /* OP_ENGINE_CHAT_STREAM: the same fields */

#endif
