/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mail_accounts.h - what each inbox and each sender has: in memory, and as rows that
 * are written in the batch of what changes them.
 *
 * `live` is as the batch under way will have it, `kept` as the store has it. Whoever changes `live`
 * touches the account first. One thread. */
#ifndef SOS_BROKER_MAIL_MAIL_ACCOUNTS_H
#define SOS_BROKER_MAIL_MAIL_ACCOUNTS_H

#include "broker/core/list.h"
#include "broker/core/table.h"
#include "broker/mail/mail_rows.h"

struct account {
    struct table_node node;
    struct list_node link; /* in touched, or in idle */
    bool touched;
    bool stored;    /* has a row */
    bool forgotten; /* loses it with the batch under way */
    struct text name;
};

struct inbox {
    struct account account;
    struct inbox_figures live;
    struct inbox_figures kept;
    char name_bytes[];
};

struct sender {
    struct account account;
    struct sender_figures live;
    struct sender_figures kept;
    char name_bytes[];
};

struct accounts {
    struct table inboxes;
    struct table senders;
    struct list_node touched_inboxes;
    struct list_node touched_senders;
    struct list_node idle; /* inboxes that hold nothing, the longest idle first */
    size_t idle_count;
    uint64_t floor_live; /* numbers of inboxes that were forgotten lie below */
    uint64_t floor_kept;
};

/* key: random, secret. */
bool accounts_init(struct accounts *accounts, const uint8_t key[static TABLE_KEY_SIZE]);
void accounts_clear(struct accounts *accounts);
/* STORE_FAILED, NOMEM, VALIDATION naming the row. */
enum status accounts_load(struct accounts *accounts, struct store *store, struct error *error);

/* NULL: nobody ever had it. */
struct inbox *accounts_find_inbox(const struct accounts *accounts, struct text name);
struct sender *accounts_find_sender(const struct accounts *accounts, struct text name);
/* Finds or makes it; NULL when out of memory. Its name is fit. */
struct inbox *accounts_inbox(struct accounts *accounts, struct text name);
struct sender *accounts_sender(struct accounts *accounts, struct text name);

void accounts_touch_inbox(struct accounts *accounts, struct inbox *inbox);
void accounts_touch_sender(struct accounts *accounts, struct sender *sender);

static inline uint64_t
inbox_count(const struct inbox *inbox)
{
    return inbox->live.waiting + inbox->live.delayed + inbox->live.dead;
}

/* Counters never go below zero, whatever the rows say. */
static inline void
count_down(uint64_t *counter, uint64_t by)
{
    *counter = *counter > by ? *counter - by : 0;
}

/* Forgets inboxes that hold nothing, the longest idle first, until idle_max are left, at most
 * `most`: so that names somebody made up once do not fill memory and disk. */
void accounts_forget(struct accounts *accounts, size_t idle_max, size_t most);

/* Puts the rows of everything touched into the batch. NOMEM. */
enum status accounts_write(struct accounts *accounts, struct store_batch *batch);
/* The batch is on disk, or is not. */
void accounts_keep(struct accounts *accounts);
void accounts_revert(struct accounts *accounts);

#endif
