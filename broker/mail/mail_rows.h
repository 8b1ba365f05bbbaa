/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mail_rows.h - how the mailbox's rows look on disk.
 *
 * Every value begins with the number of its form. What is read back is checked to its last byte:
 * decoding returns false for anything that encoding never makes. Numbers are big-endian, so that
 * keys stand in the order of what they count. */
#ifndef SOS_BROKER_MAIL_MAIL_ROWS_H
#define SOS_BROKER_MAIL_MAIL_ROWS_H

#include "kernel/bytes.h"
#include "store/store.h"

/*  space                 key                          value */
enum mail_space {
    MAIL_SPACE_OWN = 0x01,     /* a word                  below */
    MAIL_SPACE_INBOX = 0x02,   /* inbox                   struct inbox_figures */
    MAIL_SPACE_SENDER = 0x03,  /* sender                  struct sender_figures */
    MAIL_SPACE_MESSAGE = 0x10, /* inbox 0 number          struct letter */
    MAIL_SPACE_DEAD = 0x11,    /* inbox 0 number          struct letter */
    MAIL_SPACE_DELAYED = 0x12, /* time inbox 0 number     struct letter */
    MAIL_SPACE_EXPIRY = 0x13,  /* time inbox 0 number     the form alone */
    MAIL_SPACE_KNOWN = 0x14,   /* number of the first id  struct known_row */
    MAIL_SPACE_SQUAD = 0x15,   /* squad                   members, in byte order */
    MAIL_SPACE_MEMORY = 0x16   /* owner 0 number          struct memory_row */
};

enum {
    MAIL_NAME_MAX = 255,
    MAIL_KEY_MAX = 8 + MAIL_NAME_MAX + 1 + 8,
    MAIL_ID_SIZE = 16,      /* of a message of a sender, hashed with the store's own secret */
    LETTER_FIXED_SIZE = 24, /* of a letter without sender, reason and record */
    LETTER_HEAD_MAX = LETTER_FIXED_SIZE + MAIL_NAME_MAX
};

/* A name as part of a key: 1 to MAIL_NAME_MAX bytes, no zero among them. */
bool mail_name_is_fit(struct text name);

/* ---- keys */
struct mail_key {
    uint8_t bytes[MAIL_KEY_MAX];
    size_t size;
};

/* name 0: what all numbered keys of the name begin with. */
void mail_key_prefix(struct mail_key *key, struct text name);
void mail_key_number(struct mail_key *key, struct text name, uint64_t number);
void mail_key_time(struct mail_key *key, uint64_t time_us, struct text name, uint64_t number);
void mail_key_count(struct mail_key *key, uint64_t number);
static inline struct bytes
mail_key_bytes(const struct mail_key *key)
{
    return (struct bytes){key->bytes, key->size};
}

bool mail_key_read_number(struct bytes key, struct text *name, uint64_t *number);
bool mail_key_read_time(struct bytes key, uint64_t *time_us, struct text *name, uint64_t *number);
bool mail_key_read_count(struct bytes key, uint64_t *number);

/* ---- values */
struct letter {
    uint64_t kept_us; /* when it was taken on; of a dead one, when it died */
    uint64_t expires_us;
    uint32_t attempts;
    struct text sender;
    struct text reason;
    struct bytes record;
};

size_t letter_size(const struct letter *letter);
void letter_encode(const struct letter *letter, uint8_t *to); /* letter_size() bytes */
bool letter_decode(struct bytes row, struct letter *letter);
/* From the first bytes of a row (LETTER_HEAD_MAX, or all when it has fewer) and its whole size:
 * reason and record have their sizes, but no data. */
bool letter_decode_head(struct bytes head, size_t whole, struct letter *letter);

struct inbox_figures {
    uint64_t waiting;
    uint64_t delayed;
    uint64_t dead;
    uint64_t bytes;       /* of the records of all three */
    uint64_t next_number; /* of the next message; from 1 */
    uint64_t low_number;  /* no message has a lower one */
    uint64_t next_dead;
    uint64_t memory_next; /* number of the next item of working memory */
    uint32_t memory_count;
    uint32_t squads; /* that the owner is a member of */
};

struct sender_figures {
    uint64_t count; /* messages in all inboxes, delayed and dead ones too */
    uint64_t bytes;
};

enum { INBOX_ROW_SIZE = 1 + 8 * 8 + 4 + 4, SENDER_ROW_SIZE = 1 + 8 + 8 };

void inbox_encode(const struct inbox_figures *figures, uint8_t to[static INBOX_ROW_SIZE]);
bool inbox_decode(struct bytes row, struct inbox_figures *figures);
void sender_encode(const struct sender_figures *figures, uint8_t to[static SENDER_ROW_SIZE]);
bool sender_decode(struct bytes row, struct sender_figures *figures);

/* Ids that were accepted in one batch, in order. */
struct known_row {
    uint64_t accepted_us;
    const uint8_t *ids; /* count times MAIL_ID_SIZE */
    size_t count;
};

enum { KNOWN_FIXED_SIZE = 1 + 8 };

void known_encode(uint64_t accepted_us, uint8_t to[static KNOWN_FIXED_SIZE]); /* ids follow */
bool known_decode(struct bytes row, struct known_row *known);

struct memory_row {
    uint64_t pushed_us;
    struct bytes item;
};

size_t memory_row_size(const struct memory_row *memory);
void memory_row_encode(const struct memory_row *memory, uint8_t *to);
bool memory_row_decode(struct bytes row, struct memory_row *memory);

/* Members: each an u8 length and the name; ascending, none twice. */
size_t squad_row_size(const struct text *members, size_t count);
void squad_row_encode(const struct text *members, size_t count, uint8_t *to);
/* The members one after the other: *at from 0 on; false at the end. */
bool squad_row_is_fit(struct bytes row, size_t *count);
bool squad_row_next(struct bytes row, size_t *at, struct text *member);

/* The mailbox's own: under the word "secret" the key of the hash of ids, under "floor" the number
 * that all numbers of inboxes which were forgotten lie below. */
enum { SECRET_SIZE = 16, SECRET_ROW_SIZE = 1 + SECRET_SIZE, FLOOR_ROW_SIZE = 1 + 8 };

void secret_encode(const uint8_t secret[static SECRET_SIZE], uint8_t to[static SECRET_ROW_SIZE]);
bool secret_decode(struct bytes row, uint8_t secret[static SECRET_SIZE]);
void floor_encode(uint64_t floor, uint8_t to[static FLOOR_ROW_SIZE]);
bool floor_decode(struct bytes row, uint64_t *floor);

#endif
