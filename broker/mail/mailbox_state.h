/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mailbox_state.h - the mailbox's data, and what its files have in common; for
 * broker/mail alone.
 *
 * Questions that write are planned one after the other into one batch, which is then committed.
 * A plan that fails leaves batch and figures as they were before it. */
#ifndef SOS_BROKER_MAIL_MAILBOX_STATE_H
#define SOS_BROKER_MAIL_MAILBOX_STATE_H

#include "broker/mail/mail_accounts.h"
#include "broker/mail/mail_gone.h"
#include "broker/mail/mail_known.h"
#include "broker/mail/mail_squads.h"
#include "broker/mail/mailbox.h"

enum {
    MAIL_BATCH_BYTES = 8 << 20,    /* a batch that holds so much takes no further question */
    MAIL_COPIES_BYTES = 32 << 20,  /* of one message to a squad */
    MAIL_MEMBERSHIPS_MAX = 1024,   /* squads that one inbox is in */
    MAIL_STEP_ROWS = 1024,         /* that one sweep, or "all dead letters", moves */
    MAIL_STEP_BYTES = 8 << 20,     /* … and their bytes */
    MAIL_FIGURES_ROWS = 64 * 1024, /* looked at for one listing of inboxes */
    MAIL_IDLE_MAX = 16384          /* inboxes without anything that are remembered */
};

struct mail_list {
    struct mail_op *first;
    struct mail_op **end; /* where the next one goes */
};

struct mailbox {
    struct store *store; /* borrowed */
    struct mailbox_limits limits;
    struct accounts accounts;
    struct squads squads;
    struct known *known;
    struct now now;
    uint64_t delayed_due_us; /* wall clock; not later than the first of its rows */
    uint64_t expiry_due_us;
    uint64_t retry_us; /* monotonic: no sweep before, the last one failed */
    uint64_t expired;  /* messages that nobody took in time, since it was opened */

    /* the batch under way */
    struct store_batch *batch;
    struct gone gone;
    struct mail_list arrived;
    bool has_no_room; /* for more rows: only those that delete are planned */
    struct error no_room;

    struct buffer row;                       /* scratch: one row read back */
    struct inbox *receivers[MAIL_SQUAD_MAX]; /* scratch: of one message */
};

/* ---- batches (mailbox.c) */
void mailbox_begin(struct mailbox *mailbox, struct now now, uint64_t bytes);
/* Writes it, or takes everything back; arrivals go to the list. */
enum status mailbox_commit(struct mailbox *mailbox, struct mail_list *arrived, struct error *error);

/* Where the batch stands: plans of several steps go back to it. */
struct mail_savepoint {
    size_t writes;
    struct mail_op **arrived;
};
struct mail_savepoint mailbox_save(const struct mailbox *mailbox);
void mailbox_back(struct mailbox *mailbox, const struct mail_savepoint *savepoint);

void mail_list_init(struct mail_list *list);
void mail_list_clear(struct mail_list *list);
/* Behind the last one of *first. */
void mail_list_move(struct mail_op **first, struct mail_list *list);

/* ---- plans */
typedef enum status mail_step(struct mailbox *mailbox, struct mail_op *op, struct error *error);
mail_step mail_plan_append;      /* mail_append.c */
mail_step mail_plan_remove;      /* mail_settle.c */
mail_step mail_plan_tried;       /* mail_settle.c */
mail_step mail_plan_kill;        /* mail_settle.c */
mail_step mail_plan_dead_replay; /* mail_dead.c */
mail_step mail_plan_dead_drop;   /* mail_dead.c */
mail_step mail_plan_join;        /* mail_members.c */
mail_step mail_plan_leave;       /* mail_members.c */
mail_step mail_plan_memory_push; /* mail_memory.c */

/* ---- answers from what is committed */
mail_step mail_answer_read;          /* mail_read.c */
mail_step mail_answer_read_one;      /* mail_read.c */
mail_step mail_answer_dead_read;     /* mail_read.c */
mail_step mail_answer_figures;       /* mail_figures.c */
mail_step mail_answer_members;       /* mail_members.c */
mail_step mail_answer_memory_recall; /* mail_memory.c */
mail_step mail_answer_checkpoint;    /* mail_figures.c */

/* ---- rows (mail_letters.c) */

/* Puts the letter into the inbox as its next message, with its mark of expiry; counts nothing. */
enum status letters_put(struct mailbox *mailbox, const struct inbox *inbox,
                        const struct letter *letter);
/* … and now counts it: the number it has. Bytes are the caller's to count. */
uint64_t letters_count_in(struct mailbox *mailbox, struct inbox *inbox,
                          const struct letter *letter);
void letters_count_out(struct mailbox *mailbox, struct inbox *inbox, uint64_t number);
/* Deletes a message with its mark of expiry; counts nothing. */
enum status letters_delete(struct mailbox *mailbox, const struct inbox *inbox, uint64_t number,
                           const struct letter *letter);
/* Reads back the row of space MESSAGE or DEAD into mailbox->row; whole: with its record. NOT_FOUND
 * also when the batch deletes it. */
enum status letters_get(struct mailbox *mailbox, enum mail_space space, const struct inbox *inbox,
                        uint64_t number, bool whole, struct letter *letter, struct error *error);
/* It leaves the mailbox: takes its bytes off the inbox's and everything off the sender's. */
void letters_count_off(struct mailbox *mailbox, struct inbox *inbox, const struct letter *letter);
/* MAIL_ARRIVED. NOMEM. */
enum status letters_announce(struct mailbox *mailbox, const struct inbox *inbox, uint64_t number);

enum status mail_refuse_row(enum mail_space space, struct text name, uint64_t number,
                            struct error *error);

/* Appends a row to the answer: reason and record behind out. NOMEM. */
enum status mail_answer_row(struct mail_op *op, uint64_t number, const struct letter *letter);

#endif
