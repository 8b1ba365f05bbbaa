/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/agent.h - rows of agents and their keys.
 *
 * One row per agent, and what finds it: by age, by its keys, by what becomes due, and a mark while
 * the broker has not confirmed its last change. All of them are written in one step. A row says
 * pending before the broker hears of its key, revoking before the key is taken off, and names every
 * other duty towards the broker before it is done: so whatever a crash leaves behind can be asked
 * of the broker again.
 *
 * Rows that were written before there was onboarding have no state: they count as active, or as
 * terminated where the key is revoked or being revoked. */
#ifndef SOS_IDENTITY_AGENT_H
#define SOS_IDENTITY_AGENT_H

#include "actors/runtime/service.h"
#include "kernel/curve.h"
#include "kernel/message.h"

enum {
    SPACE_AGENT = 1,
    SPACE_AGE = 2,
    SPACE_KEY = 3,
    SPACE_OPEN = 4,
    SPACE_HISTORY = 9,    /* onboarding.h */
    SPACE_SQUAD = 10,     /* onboarding.h */
    SPACE_ROTATION = 11,  /* when an old key ends, and whose */
    SPACE_CANDIDATE = 12, /* when one who is not in a squad yet is looked at again, and who */
    SPACE_CLAIM = 13      /* metadata as they were claimed */
};

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
    X(REVOKED, "revoked")                                                                          \
    X(NONE, "none") /* it has no key for the bus */

enum agent_status {
#define AGENT_STATUS_ENUM(id, word) AGENT_##id,
    AGENT_STATUS_MAP(AGENT_STATUS_ENUM)
#undef AGENT_STATUS_ENUM
        AGENT_STATUSES
};

/*    id              word */
#define AGENT_STATE_MAP(X)                                                                         \
    X(ANONYMOUS, "anonymous")                                                                      \
    X(IDENTIFIED, "identified")                                                                    \
    X(VERIFIED, "verified")                                                                        \
    X(SQUAD_ASSIGNED, "squad_assigned")                                                            \
    X(ACTIVE, "active")                                                                            \
    X(SUSPENDED, "suspended")                                                                      \
    X(TERMINATED, "terminated")

enum agent_state {
#define AGENT_STATE_ENUM(id, word) STATE_##id,
    AGENT_STATE_MAP(AGENT_STATE_ENUM)
#undef AGENT_STATE_ENUM
        AGENT_STATES
};

/* What the broker has to be told. */
enum agent_duty {
    DUTY_KEY = 1u << 0,     /* the key, and what the agent may do: by status and state */
    DUTY_OLD_KEY = 1u << 1, /* that the old key ends */
    DUTY_SQUAD = 1u << 2    /* whether it is in its squad: by state */
};

enum { CHALLENGE_TEXT_MAX = 400, CLAIM_METADATA_MAX = 4096 };

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
    enum agent_state state;
    unsigned duties;  /* enum agent_duty */
    uint64_t version; /* of what the duties are about */
    char squad_id[MESSAGE_NAME_MAX + 1];
    char old_key[CURVE_KEY_TEXT_SIZE]; /* "": no rotation is under way */
    uint64_t old_until_us;
    char challenge[CHALLENGE_TEXT_MAX]; /* "": none, or used */
    uint64_t due_us;                    /* as a candidate; 0: it is none */
    uint64_t steps;                     /* of its history, also those that are forgotten */
};

const char *agent_state_word(enum agent_state state);

/* NOT_FOUND with the word agent_not_found. */
enum status agent_get(struct context *context, struct text id, struct agent *agent,
                      struct error *error);

/* Whose key is it? NOT_FOUND: nobody's. */
enum status agent_get_by_key(struct context *context, struct text curve_public_key,
                             struct buffer *id, struct error *error);

/* Writes the row and all that finds it. */
void agent_put(struct outcome *outcome, const struct agent *agent);
void agent_delete(struct outcome *outcome, struct agent *agent);
/* The key may be somebody else's from now on. */
void agent_free_key(struct outcome *outcome, struct agent *agent);

/* The next of these two is written by agent_put() in the same step. 0: none. */
void agent_set_due(struct outcome *outcome, struct agent *agent, uint64_t due_us);
void agent_set_old_key(struct outcome *outcome, struct agent *agent, const char *key,
                       uint64_t until_us);

/* As contract type agent_record without history. */
void agent_pack(struct buffer *out, const struct agent *agent);

/* Packs the same pairs alone, AGENT_PAIRS of them. */
enum { AGENT_PAIRS = 12 };
void agent_pack_pairs(struct buffer *out, const struct agent *agent);

/* For apply(). STORE_FAILED says what is wrong. */
enum status agent_check_row(store_space space, struct bytes key, struct bytes value,
                            struct error *error);

/* moment_us, big-endian, and the agent: keys in the order of time. */
enum { MOMENT_SIZE = 8 };
void agent_append_moment(struct buffer *key, uint64_t moment_us, const char *id);
uint64_t agent_read_moment(struct bytes key);

static inline bool
agent_is_open(const struct agent *agent)
{
    return agent->duties != 0;
}

/* A field of the request's payload that is a text; "" when absent. */
static inline struct text
request_text(const struct request *request, unsigned field)
{
    return arguments_text(request_arguments(request), field);
}

static inline struct bytes
text_bytes(struct text text)
{
    return (struct bytes){(const uint8_t *)text.data, text.size};
}

#endif
