/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_state.h - what the core knows of inboxes; for the files mail*.c alone.
 *
 * Who owns whom: mail owns inboxes and tickets; an inbox owns its consumers and entries. An inbox
 * is there while somebody takes from it or messages of it are out; all of it can be made anew from
 * the mailbox at any time. An entry is a message that was given out and has not ended: its bytes
 * are not kept, a redelivery reads them again. */
#ifndef SOS_BROKER_CORE_MAIL_STATE_H
#define SOS_BROKER_CORE_MAIL_STATE_H

#include "broker/core/mail.h"
#include "broker/core/outbound.h"

enum {
    MAIL_UNANSWERED_MAX = 4096,     /* sends of one peer that wait for the disk */
    MAIL_IDS_MAX = 256,             /* of one ack, nack or extend */
    MAIL_HELD_MAX = 4096,           /* entries of one inbox, redeliveries included */
    MAIL_HELD_WINDOWS = 4,          /* so many times all windows, at most */
    MAIL_CONSUMERS_MAX = 256,       /* of one inbox */
    MAIL_READ_ROWS_MIN = 8,         /* at once: twice what all may take … */
    MAIL_READ_ROWS = 1024,          /* … within these */
    MAIL_READ_BYTES = 1 << 20,      /* at once */
    MAIL_READS_MAX = 32,            /* single messages of one inbox that are being read */
    MAIL_WATCH_READS_MAX = 64,      /* the same, for those who only watch */
    MAIL_READY_BYTES_MAX = 64 << 20 /* rows in memory, of all inboxes */
};

#define MAIL_RETRY_US UINT64_C(5000)      /* the mailbox had no room */
#define MAIL_FAILED_US UINT64_C(1000000)  /* the disk failed */
#define MAIL_LINGER_US UINT64_C(60000000) /* nobody takes: late acks are known for so long */
#define MAIL_AGAIN_US UINT64_C(1000000)   /* before the second delivery; then twice, four times */
#define MAIL_ACK_MS_MAX UINT64_C(3600000)

enum entry_state {
    ENTRY_OUT,     /* a consumer has it: in its `held` */
    ENTRY_AGAIN,   /* to be given out again as soon as somebody has room: in the inbox's `again` */
    ENTRY_DELAYED, /* the same, when its timer fires; this and the rest: in the inbox's `rest` */
    ENTRY_READING, /* its bytes are being read */
    ENTRY_ENDING   /* its end is being written */
};

struct entry {
    struct table_node node; /* by inbox and id */
    struct list_node link;
    struct inbox *inbox;
    struct consumer *consumer; /* OUT */
    struct timer timer;        /* DELAYED; ENDING that failed */
    struct uuid id;
    uint64_t seq;
    uint64_t extended_us;   /* monotonic: not taken for lost before */
    uint64_t ticket;        /* who wants to know of its end; 0 nobody */
    struct mail_op *failed; /* ENDING: to be asked again */
    uint32_t tries;         /* deliveries that came to nothing */
    enum entry_state state;
    bool dies; /* ENDING as a dead letter */
};

struct inbox {
    struct table_node node;  /* by name */
    struct list_node takers; /* consumers with room, in turn */
    struct list_node others; /* without */
    struct list_node watchers;
    struct list_node again; /* entries */
    struct list_node rest;
    struct list_node takes; /* tickets: each bus_inbox that has got nothing yet */
    struct timer timer;     /* look again; or: nobody came */
    uint64_t number;        /* never used twice: tag of its questions */
    uint64_t given;         /* number of the last message that was given out */
    uint64_t read;          /* of the last one in memory */
    uint64_t arrived;       /* of the last one heard of */
    uint64_t arrived_then;  /* when the rows were asked for */
    uint64_t asked_behind;  /* the number behind which they were asked for */
    uint64_t left_us;       /* when the last consumer went */
    struct mail_op *ready;  /* to be given out, in order (mail_ready.h) */
    struct mail_op **ready_end;
    size_t ready_at; /* in the first of them */
    size_t ready_rows;
    size_t ready_bytes;
    uint64_t room;    /* messages that the takers have room for */
    uint64_t windows; /* of all who take */
    size_t consumer_count;
    size_t entry_count;
    size_t out_count;
    size_t delayed_count;
    size_t ending_count;
    size_t failed_count; /* of those ending */
    uint32_t reads;      /* single messages asked for, for entries */
    uint32_t watch_reads;
    bool more;    /* behind `read` there may be messages */
    bool reading; /* they are being read */
    bool busy;    /* being worked on: not freed, not entered again */
    struct text name;
    char name_bytes[];
};

struct consumer {
    struct list_node link;      /* in its inbox */
    struct list_node peer_link; /* a session's is the first */
    struct list_node held;      /* entries, the oldest first */
    struct inbox *inbox;
    struct peer *peer;
    mail_deliver_fn *deliver;
    void *context;
    uint32_t window;
    uint32_t count; /* of held */
    uint32_t ack_ms;
    uint32_t offered; /* its part of inbox->room */
    bool watch;
    bool session;      /* a peer's subscription */
    bool subscribing;  /* its subscribe is not answered yet */
    bool closed;       /* what a bus_inbox took: ends by itself when nothing is held */
    bool paused;       /* takes nothing now */
    uint64_t since_us; /* when its oldest became that */
    struct timer timer;
    struct room_watch room_watch; /* of a session */
};

struct ticket;
/* An answer for it, or an entry that ended for it (op is NULL then). It may end the ticket. */
typedef void ticket_fn(struct core *core, struct ticket *ticket, struct mail_op *op);

/* Somebody who waits for answers: a call (its kept request) or a record flagged confirm. */
struct ticket {
    struct table_node node; /* by number */
    uint64_t number;
    struct request *request; /* NULL: a record */
    peer_number peer;        /* of a record */
    struct uuid id;          /* of the record, or of what the call made */
    ticket_fn *answered;
    size_t left; /* entries that are ending */
    uint64_t count;
    enum status status; /* why some did not */
    struct buffer out;  /* packed items of the answer */
    uint32_t items;
    const char *word; /* what is counted */
    /* bus_inbox: */
    struct consumer *consumer;
    struct list_node take_link; /* in the inbox, while it waits for messages */
    struct timer timer;
    bool waits;
};

struct mail {
    struct core *core;
    struct table inboxes;
    struct table entries;
    struct table tickets;
    uint64_t last_number;
    struct mail_op *backlog; /* questions that must be asked, and could not yet */
    struct mail_op **backlog_end;
    struct timer retry;
    size_t asked; /* questions without an answer */
    size_t ready_bytes;
    bool closing;
};

/* The tag of a ticket's question; that of an inbox's is the inbox's number, that of a send record
 * the peer's. */
#define MAIL_TICKET_TAG (UINT64_C(1) << 63)

#endif
