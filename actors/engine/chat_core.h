/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/chat_core.h - inside of chat: one chat in flight, and its reply.
 *
 * Private to chat*.c: chat.c goes through the steps, chat_reply.c says what came of them. */
#ifndef SOS_ENGINE_CHAT_CORE_H
#define SOS_ENGINE_CHAT_CORE_H

#include "actors/engine/chat.h"
#include "actors/engine/completion.h"
#include "contracts/engine.h"

enum model { MODEL_LOCAL, MODEL_MOCK, MODEL_OPENAI };

/* Why a part of memory did not work; "" when it did. */
struct lapse {
    char word[64];
};

struct chat {
    struct gate *gate;
    struct breaker *tried; /* owed the outcome of a try; the gate's */
    char conversation[CONVERSATION_ID_MAX + 1];
    enum model model;
    bool model_named;
    bool streams;
    bool remembers;
    bool is_first; /* answer of its conversation */
    size_t sent;   /* bytes of the answer that left */
    bool is_limited;
    int64_t characters_max; /* of the answer, when limited */

    struct recall recall;
    struct lapse recall_lapse, store_lapse;
    struct completion completion;
    struct buffer answer;
    struct local_citation citations[LOCAL_CITATIONS_MAX]; /* views into recall and history */
    size_t citation_count;
    struct turns *history; /* what citations of this conversation point to */
    bool failed_over;
    struct error failover;
    uint64_t tokens;
    bool tokens_estimated;
    char memory_id[UUID_TEXT_SIZE];
};

static inline struct text
chat_text(const struct request *request, unsigned field)
{
    return arguments_text(request_arguments(request), field);
}

static inline bool
chat_flag(const struct request *request, unsigned field)
{
    return arguments_boolean(request_arguments(request), field);
}

/* Said once in a conversation, and in every answer's metadata, while no language model is
 * configured. */
extern const char chat_notice[];
bool chat_says_notice(const struct engine *engine, const struct chat *chat);

const char *chat_model_id(const struct engine *engine, enum model model);

/* The reply. said: the whole answer; it is left out when it went out in chunks. */
void chat_pack_reply(struct buffer *out, const struct engine *engine, const struct request *request,
                     const struct chat *chat, struct text said);

#endif
