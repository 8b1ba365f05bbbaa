/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/agent.h - rows of agents and their keys.
 *
 * One row per agent, and what finds it: by age, by key, and a mark while the broker has not
 * confirmed its last change. All of them are written in one step. A row says pending before the
 * broker hears of its key, and revoking before the key is taken off: so whatever a crash leaves
 * behind can be asked of the broker again. */
#ifndef SOS_IDENTITY_AGENT_H
#define SOS_IDENTITY_AGENT_H

#include "actors/runtime/service.h"
#include "kernel/curve.h"
#include "kernel/message.h"

enum { SPACE_AGENT = 1, SPACE_AGE = 2, SPACE_KEY = 3, SPACE_OPEN = 4 };

enum {
    AGENT_NAME_MAX = 255, /* bytes, as the contract */
    AGENT_MODEL_MAX = 128,
    AGENT_REASON_MAX = 1024,
    AGENT_PUBLIC_KEY_SIZE = 64
};

/*    id          word */
#define AGENT_STATUS_MAP(X)                                                                        \
    X(PENDING, "pending") /* the broker may not know the key yet */                                \
    X(REGISTERED, "registered")                                                                    \
    X(REVOKING, "revoking") /* the broker may still let the key in */                              \
    X(REVOKED, "revoked")

enum agent_status {
#define AGENT_STATUS_ENUM(id, word) AGENT_##id,
    AGENT_STATUS_MAP(AGENT_STATUS_ENUM)
#undef AGENT_STATUS_ENUM
        AGENT_STATUSES
};

struct agent {
    char id[MESSAGE_NAME_MAX + 1];
    enum agent_status status;
    char curve_public_key[CURVE_KEY_TEXT_SIZE];
    char name[AGENT_NAME_MAX + 1]; /* "": none */
    char model[AGENT_MODEL_MAX + 1];
    char public_key[AGENT_PUBLIC_KEY_SIZE + 1];
    char reason[AGENT_REASON_MAX + 1]; /* of its revocation */
    uint64_t created_us;
    uint64_t revoked_us;
};

/* NOT_FOUND with the word agent_not_found. */
enum status agent_get(struct context *context, struct text id, struct agent *agent,
                      struct error *error);

/* Whose key is it? NOT_FOUND: nobody's. */
enum status agent_get_by_key(struct context *context, struct text curve_public_key,
                             struct buffer *id, struct error *error);

/* Writes the row and all that finds it. */
void agent_put(struct outcome *outcome, const struct agent *agent);
void agent_delete(struct outcome *outcome, const struct agent *agent);

/* As contract type agent_record. */
void agent_pack(struct buffer *out, const struct agent *agent);

/* For apply(). STORE_FAILED says what is wrong. */
enum status agent_check_row(store_space space, struct bytes key, struct bytes value,
                            struct error *error);

/* The payloads of the broker's control records. */
void agent_pack_key_add(struct buffer *out, const struct agent *agent);
void agent_pack_key_revoke(struct buffer *out, const struct agent *agent);

static inline struct bytes
text_bytes(struct text text)
{
    return (struct bytes){(const uint8_t *)text.data, text.size};
}

#endif
