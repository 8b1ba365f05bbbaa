/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/audit.h - what an audit trail says of one event, and the chain that its lines form.
 *
 * {"seq":…,"prev":"…","ts":…,"event":…,"actor":…,"subject":…,"action":…,"resource":…,
 * "capability_id":…,"trace_id":…,"outcome":…,"detail":…,"hash":"…"}: members that are empty are
 * null. Never a key, token or payload. platform/audit.h keeps the lines.
 *
 * hash is the SHA-256, in lower-case hex, of the line's own bytes from its { up to the comma before
 * "hash", that comma not included. prev is the hash of the line before, in whatever file it stands;
 * 64 zeros in the first line of a trail. So who alters, removes or moves a line has to write every
 * later one anew. seq never goes down; lines that the trail writes about itself repeat it. */
#ifndef SOS_KERNEL_AUDIT_H
#define SOS_KERNEL_AUDIT_H

#include <stdint.h>

#include "kernel/bytes.h"

enum {
    AUDIT_TEXT_MAX = 512, /* bytes of one member; more is cut */
    AUDIT_HASH_SIZE = 32,
    AUDIT_LINE_MAX = 32768 /* bytes of one line, newline included: of every line there is less */
};

/* Views; zero-initialise. */
struct audit_entry {
    const char *event; /* "tap.started" */
    struct text actor; /* who did it */
    struct text subject;
    struct text action; /* "bus:tap" */
    struct text resource;
    struct text capability_id;
    struct bytes trace;  /* its id, 16 bytes or more; or empty */
    const char *outcome; /* "ok", "refused: word" */
    struct text detail;  /* for people */
};

struct audit_hash {
    uint8_t bytes[AUDIT_HASH_SIZE];
};

/* A place in the chain: behind this line. All zero: before the first. */
struct audit_link {
    uint64_t seq;
    struct audit_hash hash;
};

enum { AUDIT_HEX_SIZE = 2 * AUDIT_HASH_SIZE + 1 };
void audit_hash_format(const struct audit_hash *hash, char hex[static AUDIT_HEX_SIZE]);
bool audit_hash_equal(const struct audit_hash *a, const struct audit_hash *b);
bool audit_hash_is_zero(const struct audit_hash *hash); /* that of no line */

/* Appends the members "ts" to "detail", without braces. What is no UTF-8 is replaced. */
void audit_format(const struct audit_entry *entry, uint64_t wall_us, struct buffer *out);

/* Appends the line that holds these members behind *link, newline included, and moves *link behind
 * it; when out has failed *link is as before. */
void audit_chain(struct audit_link *link, uint64_t seq, struct text members, struct buffer *out);

/* What a line says of its place. */
struct audit_line {
    struct audit_hash prev;
    struct audit_link link; /* behind it */
};

enum audit_finding {
    AUDIT_LINE_GOOD,
    AUDIT_LINE_FOREIGN,  /* none that a trail writes; *line is as before */
    AUDIT_LINE_ALTERED,  /* its hash is not that of its bytes */
    AUDIT_LINE_MISPLACED /* good by itself, but its prev or seq does not follow the line before */
};

/* A line without its newline; any bytes are safe. former NULL: its place is not checked. */
enum audit_finding audit_check(struct text text, const struct audit_link *former,
                               struct audit_line *line);

#endif
