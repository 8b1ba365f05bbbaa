/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_op.h - what the core asks of the durable mailbox, and what it hears back.
 *
 * One struct makes the way there and back: the core fills the question, gives it away through
 * core_sink.mail(), and gets it again, answered, through core_mail_done(), which frees it. In
 * between it belongs to the mailbox (broker/mail), which works on another thread. Answers come in
 * the order of their questions; everything that an answer says is on disk. MAIL_ARRIVED is told
 * without having been asked for, after the answer that made the message.
 *
 * What is read is the newest state: it may hold a message whose own answer or arrival comes only
 * after that of the reading question. Numbers of an inbox grow with each message and never come
 * again; some are never used.
 *
 * A question that writes and is answered STORE_FAILED (words "storage_full", "storage_failed") or
 * NOMEM changed nothing; UNKNOWN_OUTCOME (word "storage_failed"): it may or may not have. Asking
 * again is harmless for all but MAIL_MEMORY_PUSH and MAIL_DEAD_REPLAY. */
#ifndef SOS_BROKER_CORE_MAIL_OP_H
#define SOS_BROKER_CORE_MAIL_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/id.h"
#include "kernel/status.h"

enum {
    MAIL_ATTEMPTS_MAX = 4, /* deliveries, until a message is a dead letter */
    MAIL_SQUAD_MAX = 1024, /* members */
    MAIL_MEMORY_ITEMS = 50,
    MAIL_MEMORY_ITEM_MAX = 16 * 1024,
    MAIL_REASON_MAX = 512
};

enum mail_op_type {
    /* source, id, name (an inbox, or a squad: then `squad`), record (as it came: the source in its
     * header is `source`), expires_us and due_us (wall clock, 0 none). Answer: count = inboxes that
     * got it, 0 = it was known already. Errors with the words of docs/PROTOCOL.md. For an inbox
     * (no squad, not delayed) the answer stands for its MAIL_ARRIVED as well: `seq` is the
     * message's number; else `seq` is 0. */
    MAIL_APPEND,
    /* A message is in inbox `name` now, number `seq` (of a squad's mail, delayed, or replayed). */
    MAIL_ARRIVED,
    /* The messages of inbox `name` with numbers above `seq`: at most limit, at most bytes_max of
     * records but at least one. Answer: rows; more. Expired ones are left out (and dropped). */
    MAIL_READ,
    /* The one message `seq` of inbox `name`. Answer: one row, or NOT_FOUND. */
    MAIL_READ_ONE,
    /* Message `seq` of inbox `name` was handled. Fine when it is not there any more. */
    MAIL_REMOVE,
    /* Message `seq` was tried `attempts` times; kept with it. */
    MAIL_TRIED,
    /* Message `seq` becomes a dead letter: attempts, text = reason. */
    MAIL_KILL,
    /* Dead letters of inbox `name` above number `seq`, at most limit and bytes_max. Answer: rows
     * (text of the reason before the record, see mail_row), more, count = all of this inbox. */
    MAIL_DEAD_READ,
    /* seqs/seq_count (all of them when seq_count is 0): back into the inbox, or gone. Answer:
     * count; unknown numbers stay in seqs (seq_count is then their number); left. Each replayed one
     * arrives. */
    MAIL_DEAD_REPLAY,
    MAIL_DEAD_DROP,
    /* Member `source` of squad `name`. Answer: count = members. */
    MAIL_JOIN,
    MAIL_LEAVE,
    MAIL_MEMBERS, /* answer: out = packed array of identities */
    /* Working memory of `name`. PUSH: record = the item, packed; count. RECALL: limit; out =
     * packed array of {item, at} newest first. */
    MAIL_MEMORY_PUSH,
    MAIL_MEMORY_RECALL,
    /* Inboxes that match the glob `name`, at most limit. Answer: out = packed array of {agent_id,
     * waiting, delayed, dead, bytes}; `unacked` is the core's to add. */
    MAIL_FIGURES,
    /* text = folder: a copy of the store for a backup. */
    MAIL_CHECKPOINT
};

/* One message as it is kept. */
struct mail_row {
    uint64_t seq;
    uint64_t kept_us;    /* wall clock, when it was taken on; of a dead letter when it died */
    uint64_t expires_us; /* 0: never */
    uint32_t attempts;
    uint32_t reason_size; /* of a dead letter: that many bytes of text stand before the record */
    uint32_t record_size;
    size_t offset; /* in mail_op.out: there stands the reason, and right behind it the record */
};

struct mail_op {
    struct mail_op *next; /* the owner's */
    enum mail_op_type type;
    uint64_t tag; /* the core's, untouched */

    /* the question; texts and record are views into `storage` */
    bool squad;
    struct text name;
    struct text source;
    struct text text;
    struct bytes record;
    struct uuid id;
    uint64_t seq;
    uint64_t expires_us;
    uint64_t due_us;
    uint32_t attempts;
    uint32_t limit;
    uint32_t bytes_max;
    uint64_t *seqs; /* owned */
    size_t seq_count;

    /* the answer */
    enum status status;
    struct error error;
    uint64_t count;
    uint64_t left;
    bool more;
    struct mail_row *rows; /* owned */
    size_t row_count;
    struct buffer out;

    uint8_t storage[];
};

/* Copies name, source, text and record behind the struct; the rest is zero. NULL when out of
 * memory. */
struct mail_op *mail_op_new(enum mail_op_type type, struct text name, struct text source,
                            struct text text, struct bytes record);
void mail_op_destroy(struct mail_op **op_p);

#endif
