/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/identity.h - who speaks: `<type>:<name>`. */
#ifndef SOS_KERNEL_IDENTITY_H
#define SOS_KERNEL_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

/*    id       word */
#define IDENTITY_TYPE_MAP(X)                                                                       \
    X(AGENT, "agent")                                                                              \
    X(SERVICE, "service")                                                                          \
    X(USER, "user")                                                                                \
    X(SYSTEM, "system")                                                                            \
    X(GUILD, "guild")                                                                              \
    X(SQUAD, "squad")

enum identity_type {
#define IDENTITY_ENUM(id, word) IDENTITY_##id,
    IDENTITY_TYPE_MAP(IDENTITY_ENUM)
#undef IDENTITY_ENUM
        IDENTITY_TYPES
};

enum {
    IDENTITY_NAME_MAX = 128, /* bytes of the name; the id is at most MESSAGE_NAME_MAX */
    FINGERPRINT_TEXT_SIZE = 280
};

struct identity {
    enum identity_type type;
    struct text name; /* view into the parsed text */
};

/* Accepts `<type>:<name>`: a type above; a name of 1..IDENTITY_NAME_MAX bytes of
 * A-Z a-z 0-9 and . _ - : @ / that begins with a letter or digit and holds no "..". VALIDATION with
 * the reason otherwise. Strict: used for peers' identities and paths. */
enum status identity_parse(struct text text, struct identity *identity, struct error *error);

/* "service:memory" and "memory"? */
bool identity_is_service(struct text id, const char *service);

/* Who came with a key that nobody knows: "user:anonymous-" + the first 16 hex digits of
 * SHA-256(the CURVE key's 32 bytes). */
#define IDENTITY_ANONYMOUS "user:anonymous-"
enum { IDENTITY_ANONYMOUS_SIZE = 32 };
void identity_anonymous(const uint8_t key[static 32], char id[static IDENTITY_ANONYMOUS_SIZE]);
bool identity_is_anonymous(struct text id);

/* `id@` + first 8 hex digits of SHA-256(public_key). */
void identity_fingerprint(struct text id, struct bytes public_key,
                          char text[static FINGERPRINT_TEXT_SIZE]);

#endif
