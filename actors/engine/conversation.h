/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/conversation.h - what was said: rows of conversations and of their turns.
 *
 * A conversation belongs to (agent, id): the same id of another agent is another conversation. Keys
 * begin with the lengths of both, so that no id runs into another. A conversation's row counts its
 * turns; whoever appends reads it in the same step, so turns of chats that ran at once stand one
 * after the other. */
#ifndef SOS_ENGINE_CONVERSATION_H
#define SOS_ENGINE_CONVERSATION_H

#include "actors/runtime/service.h"

enum {
    SPACE_CONVERSATION = 1,
    SPACE_TURN = 2,
    CONVERSATION_ID_MAX = 128,
    CONVERSATION_MODEL_MAX = 255,
    CONVERSATION_TURNS_MAX = 1000 /* read at once */
};

struct conversation_id {
    struct text agent;
    struct text conversation;
};

struct conversation {
    uint64_t turns; /* also the number of the next one */
    uint64_t created_us;
    uint64_t updated_us;
    char last_model[CONVERSATION_MODEL_MAX + 1];
};

struct turn {
    struct text role; /* "user" or "assistant" */
    struct text content;
    struct text model; /* who answered; "" for the user */
    uint64_t at_us;
};

/* NOT_FOUND: it has not begun. */
enum status conversation_get(struct context *context, const struct conversation_id *id,
                             struct conversation *conversation, struct error *error);

/* Records one exchange behind the turns that are there, and the conversation's new row. */
enum status conversation_append(struct context *context, struct outcome *outcome,
                                const struct conversation_id *id, const struct turn *question,
                                const struct turn *answer, struct error *error);

/* The newest turns, read back oldest first. */
struct turns {
    struct buffer rows;
    size_t ends[CONVERSATION_TURNS_MAX]; /* in rows, newest first */
    size_t count;
    size_t count_max;
    size_t bytes_max;
};

/* At most count_max turns whose rows take at most bytes_max. Clear it whatever comes back. */
enum status turns_read(struct turns *turns, struct context *context,
                       const struct conversation_id *id, size_t count_max, size_t bytes_max,
                       struct error *error);
void turns_clear(struct turns *turns);
/* index 0: the oldest. Views into turns. */
struct turn turns_at(const struct turns *turns, size_t index);

/* For apply(): is it a row that this file writes? STORE_FAILED says what is wrong. */
enum status conversation_check_row(store_space space, struct bytes key, struct bytes value,
                                   struct error *error);

#endif
