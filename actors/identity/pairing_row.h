/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/pairing_row.h - rows of pairings, of channels' wrong guesses, and of allowlists;
 * and the codes.
 *
 * A code is eight characters of an alphabet without lookalikes, 40 random bits. The store holds
 * only its keyed hash (BLAKE2b under a key of the keyring), so that who reads the disk cannot try
 * them out. Rows of a channel stand together: key = channel, NUL, and the hash or the sender. */
#ifndef SOS_IDENTITY_PAIRING_ROW_H
#define SOS_IDENTITY_PAIRING_ROW_H

#include "actors/identity/secret_box.h"
#include "actors/runtime/service.h"

enum { SPACE_PAIRING = 26, SPACE_GUESSES = 27, SPACE_ALLOWED = 28 };

enum {
    CHANNEL_NAME_MAX = 64, /* bytes, as the contract */
    SENDER_ID_MAX = 128,
    PAIRING_CODE_SIZE = 8,
    PAIRING_HASH_SIZE = 32,
    CAPABILITY_NAME_MAX = 64
};

/*    id        word */
#define PAIRING_STATE_MAP(X)                                                                       \
    X(PENDING, "pending")                                                                          \
    X(APPROVED, "approved")                                                                        \
    X(LOCKED, "locked") /* too many wrong guesses were made while it waited */

enum pairing_state {
#define PAIRING_STATE_ENUM(id, word) PAIRING_##id,
    PAIRING_STATE_MAP(PAIRING_STATE_ENUM)
#undef PAIRING_STATE_ENUM
        PAIRING_STATES
};

enum pairing_event { PAIRING_APPROVE, PAIRING_LOCK, PAIRING_EVENTS };

struct pairing {
    char channel[CHANNEL_NAME_MAX + 1];
    uint8_t hash[PAIRING_HASH_SIZE];
    char sender_id[SENDER_ID_MAX + 1];
    char agent_id[MESSAGE_NAME_MAX + 1];
    enum pairing_state state;
    uint64_t issued_us, expires_us;
    uint64_t guesses; /* wrong ones on its channel while it waited */
};

struct guesses {
    uint64_t count;
    uint64_t since_us;  /* of the first that counts */
    uint64_t locked_us; /* until then nothing is tried; 0: it is open */
};

struct allowed {
    char channel[CHANNEL_NAME_MAX + 1];
    char sender_id[SENDER_ID_MAX + 1];
    char agent_id[MESSAGE_NAME_MAX + 1];
    char approver_id[MESSAGE_NAME_MAX + 1];
    char capability_id[CAPABILITY_NAME_MAX + 1];
    uint64_t approved_us;
    uint64_t expires_us; /* the capability's */
};

const char *pairing_state_word(enum pairing_state state);

/* CONFLICT: not from this state. */
enum status pairing_step(struct pairing *pairing, enum pairing_event event, struct error *error);

/* Of letters, digits and . _ -, so that no name of a channel says more than itself where it stands
 * in a resource. */
bool channel_name_is_valid(struct text name);
/* UTF-8 without control characters, and without * ? [ ], which a resource would take for a pattern.
 */
bool sender_id_is_valid(struct text id);

/* NUL-terminated, of the alphabet. */
void pairing_code_make(char code[static PAIRING_CODE_SIZE + 1]);
/* What somebody typed: small letters are large ones, dashes and blanks do not count. False: it is
 * no code. */
bool pairing_code_read(struct text typed, char code[static PAIRING_CODE_SIZE + 1]);
void pairing_code_hash(const struct secret_key *key, struct text channel,
                       const char code[static PAIRING_CODE_SIZE],
                       uint8_t hash[static PAIRING_HASH_SIZE]);

/* Appends channel and NUL: what the keys of a channel's rows begin with. */
void append_channel(struct buffer *key, struct text channel);

bool pairing_decode(struct bytes key, struct bytes value, struct pairing *pairing);
void pairing_put(struct outcome *outcome, const struct pairing *pairing);
void pairing_delete(struct outcome *outcome, const struct pairing *pairing);

bool guesses_decode(struct bytes value, struct guesses *guesses);
void guesses_put(struct outcome *outcome, struct text channel, const struct guesses *guesses);

bool allowed_decode(struct bytes key, struct bytes value, struct allowed *allowed);
void allowed_put(struct outcome *outcome, const struct allowed *allowed);
void allowed_delete(struct outcome *outcome, const struct allowed *allowed);

/* For apply(). STORE_FAILED says what is wrong. */
enum status pairing_check_row(store_space space, struct bytes key, struct bytes value,
                              struct error *error);

#endif
