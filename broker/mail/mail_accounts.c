/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/mail/mail_accounts.h"

#include <stdlib.h>

static const struct bytes FLOOR_KEY = {(const uint8_t *)"floor", 5};

bool
accounts_init(struct accounts *accounts, const uint8_t key[static TABLE_KEY_SIZE])
{
    *accounts = (struct accounts){.idle_count = 0};
    list_init(&accounts->touched_inboxes);
    list_init(&accounts->touched_senders);
    list_init(&accounts->idle);
    return table_init(&accounts->inboxes, key) && table_init(&accounts->senders, key);
}

static void
free_all(struct table *table)
{
    for (size_t i = 0; i < table->slot_count; i++) {
        struct table_node *node = table->slots[i];
        while (node) {
            struct table_node *next = node->next;
            free(CONTAINER_OF(node, struct account, node)); /* the first member of both kinds */
            node = next;
        }
    }
    table_clear(table);
}

void
accounts_clear(struct accounts *accounts)
{
    free_all(&accounts->inboxes);
    free_all(&accounts->senders);
}

/* ---- finding and making */

static struct account *
find(const struct table *table, struct text name, uint64_t *hash)
{
    *hash = table_hash(table, (struct bytes){(const uint8_t *)name.data, name.size});
    for (struct table_node *node = table_first(table, *hash); node; node = table_next(node)) {
        struct account *account = CONTAINER_OF(node, struct account, node);
        if (text_equal(account->name, name))
            return account;
    }
    return NULL;
}

struct inbox *
accounts_find_inbox(const struct accounts *accounts, struct text name)
{
    uint64_t hash;
    return (struct inbox *)find(&accounts->inboxes, name, &hash);
}

struct sender *
accounts_find_sender(const struct accounts *accounts, struct text name)
{
    uint64_t hash;
    return (struct sender *)find(&accounts->senders, name, &hash);
}

static void
set_up(struct account *account, char *name_bytes, struct text name)
{
    memcpy(name_bytes, name.data, name.size);
    account->name = (struct text){name_bytes, name.size};
}

struct inbox *
accounts_inbox(struct accounts *accounts, struct text name)
{
    uint64_t hash;
    struct account *found = find(&accounts->inboxes, name, &hash);
    if (found)
        return (struct inbox *)found;
    struct inbox *inbox = calloc(1, sizeof *inbox + name.size);
    if (!inbox)
        return NULL;
    set_up(&inbox->account, inbox->name_bytes, name);
    inbox->live.next_number = accounts->floor_live + 1;
    inbox->live.low_number = inbox->live.next_number;
    inbox->live.next_dead = inbox->live.next_number;
    inbox->kept = inbox->live;
    table_insert(&accounts->inboxes, &inbox->account.node, hash);
    accounts_touch_inbox(accounts, inbox);
    return inbox;
}

struct sender *
accounts_sender(struct accounts *accounts, struct text name)
{
    uint64_t hash;
    struct account *found = find(&accounts->senders, name, &hash);
    if (found)
        return (struct sender *)found;
    struct sender *sender = calloc(1, sizeof *sender + name.size);
    if (!sender)
        return NULL;
    set_up(&sender->account, sender->name_bytes, name);
    table_insert(&accounts->senders, &sender->account.node, hash);
    accounts_touch_sender(accounts, sender);
    return sender;
}

void
accounts_touch_inbox(struct accounts *accounts, struct inbox *inbox)
{
    struct account *account = &inbox->account;
    if (account->touched)
        return;
    if (list_is_linked(&account->link)) {
        list_remove(&account->link);
        accounts->idle_count--;
    }
    account->touched = true;
    list_append(&accounts->touched_inboxes, &account->link);
}

void
accounts_touch_sender(struct accounts *accounts, struct sender *sender)
{
    if (sender->account.touched)
        return;
    sender->account.touched = true;
    list_append(&accounts->touched_senders, &sender->account.link);
}

static bool
holds_nothing(const struct inbox_figures *figures)
{
    return figures->waiting == 0 && figures->delayed == 0 && figures->dead == 0 &&
           figures->memory_count == 0 && figures->squads == 0;
}

void
accounts_forget(struct accounts *accounts, size_t idle_max, size_t most)
{
    for (; accounts->idle_count > idle_max && most > 0; most--) {
        struct inbox *inbox = CONTAINER_OF(accounts->idle.next, struct inbox, account.link);
        accounts_touch_inbox(accounts, inbox);
        inbox->account.forgotten = true;
        if (accounts->floor_live < inbox->live.next_number)
            accounts->floor_live = inbox->live.next_number;
        if (accounts->floor_live < inbox->live.next_dead)
            accounts->floor_live = inbox->live.next_dead;
    }
}

/* ---- writing */

static struct bytes
key_of(const struct account *account)
{
    return (struct bytes){(const uint8_t *)account->name.data, account->name.size};
}

static enum status
write_inbox(const struct inbox *inbox, struct store_batch *batch)
{
    uint8_t row[INBOX_ROW_SIZE];
    const struct account *account = &inbox->account;
    if (account->forgotten)
        return store_batch_add(batch, STORE_DELETE, MAIL_SPACE_INBOX, key_of(account),
                               (struct bytes){NULL, 0});
    if (!account->stored && holds_nothing(&inbox->live))
        return STATUS_OK;
    inbox_encode(&inbox->live, row);
    return store_batch_add(batch, STORE_PUT, MAIL_SPACE_INBOX, key_of(account),
                           (struct bytes){row, sizeof row});
}

static enum status
write_sender(const struct sender *sender, struct store_batch *batch)
{
    uint8_t row[SENDER_ROW_SIZE];
    const struct account *account = &sender->account;
    if (sender->live.count == 0)
        return account->stored ? store_batch_add(batch, STORE_DELETE, MAIL_SPACE_SENDER,
                                                 key_of(account), (struct bytes){NULL, 0})
                               : STATUS_OK;
    sender_encode(&sender->live, row);
    return store_batch_add(batch, STORE_PUT, MAIL_SPACE_SENDER, key_of(account),
                           (struct bytes){row, sizeof row});
}

static enum status
write_floor(const struct accounts *accounts, struct store_batch *batch)
{
    uint8_t row[FLOOR_ROW_SIZE];
    if (accounts->floor_live == accounts->floor_kept)
        return STATUS_OK;
    floor_encode(accounts->floor_live, row);
    return store_batch_add(batch, STORE_PUT, MAIL_SPACE_OWN, FLOOR_KEY,
                           (struct bytes){row, sizeof row});
}

enum status
accounts_write(struct accounts *accounts, struct store_batch *batch)
{
    enum status status = write_floor(accounts, batch);
    for (struct list_node *node = accounts->touched_inboxes.next;
         status == STATUS_OK && node != &accounts->touched_inboxes; node = node->next)
        status = write_inbox(CONTAINER_OF(node, struct inbox, account.link), batch);
    for (struct list_node *node = accounts->touched_senders.next;
         status == STATUS_OK && node != &accounts->touched_senders; node = node->next)
        status = write_sender(CONTAINER_OF(node, struct sender, account.link), batch);
    return status;
}

/* ---- after the batch */

static void
settle_inbox(struct accounts *accounts, struct inbox *inbox)
{
    inbox->account.touched = false;
    list_remove(&inbox->account.link);
    if (!holds_nothing(&inbox->live))
        return;
    if (!inbox->account.stored) {
        table_remove(&accounts->inboxes, &inbox->account.node);
        free(inbox);
        return;
    }
    list_append(&accounts->idle, &inbox->account.link);
    accounts->idle_count++;
}

static void
settle_sender(struct accounts *accounts, struct sender *sender)
{
    sender->account.touched = false;
    list_remove(&sender->account.link);
    if (sender->live.count > 0)
        return;
    table_remove(&accounts->senders, &sender->account.node);
    free(sender);
}

void
accounts_keep(struct accounts *accounts)
{
    while (!list_is_empty(&accounts->touched_inboxes)) {
        struct inbox *inbox =
            CONTAINER_OF(accounts->touched_inboxes.next, struct inbox, account.link);
        inbox->kept = inbox->live;
        inbox->account.stored =
            !inbox->account.forgotten && (inbox->account.stored || !holds_nothing(&inbox->live));
        settle_inbox(accounts, inbox);
    }
    while (!list_is_empty(&accounts->touched_senders)) {
        struct sender *sender =
            CONTAINER_OF(accounts->touched_senders.next, struct sender, account.link);
        sender->kept = sender->live;
        sender->account.stored = true;
        settle_sender(accounts, sender);
    }
    accounts->floor_kept = accounts->floor_live;
}

void
accounts_revert(struct accounts *accounts)
{
    while (!list_is_empty(&accounts->touched_inboxes)) {
        struct inbox *inbox =
            CONTAINER_OF(accounts->touched_inboxes.next, struct inbox, account.link);
        inbox->live = inbox->kept;
        inbox->account.forgotten = false;
        settle_inbox(accounts, inbox);
    }
    while (!list_is_empty(&accounts->touched_senders)) {
        struct sender *sender =
            CONTAINER_OF(accounts->touched_senders.next, struct sender, account.link);
        sender->live = sender->kept;
        settle_sender(accounts, sender);
    }
    accounts->floor_live = accounts->floor_kept;
}

/* ---- loading */

static enum status
refuse_row(struct error *error, const char *what, struct bytes key)
{
    struct text name = {(const char *)key.data, key.size};
    char shown[64];
    error_copy_text(shown, sizeof shown, name);
    error_set(error, "the row of %s %s cannot be read", what, shown);
    return STATUS_VALIDATION;
}

static enum status
load_inbox(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct accounts *accounts = context;
    struct text name = {(const char *)key.data, key.size};
    struct inbox_figures figures;
    if (!mail_name_is_fit(name) || !inbox_decode(value, &figures))
        return refuse_row(error, "inbox", key);
    struct inbox *inbox = accounts_inbox(accounts, name);
    if (!inbox)
        return STATUS_NOMEM;
    inbox->live = figures;
    inbox->kept = figures;
    inbox->account.stored = true;
    settle_inbox(accounts, inbox);
    return STATUS_OK;
}

static enum status
load_sender(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct accounts *accounts = context;
    struct text name = {(const char *)key.data, key.size};
    struct sender_figures figures;
    if (!mail_name_is_fit(name) || !sender_decode(value, &figures))
        return refuse_row(error, "sender", key);
    struct sender *sender = accounts_sender(accounts, name);
    if (!sender)
        return STATUS_NOMEM;
    sender->live = figures;
    sender->kept = figures;
    sender->account.stored = true;
    settle_sender(accounts, sender);
    return STATUS_OK;
}

static enum status
load_floor(struct accounts *accounts, struct store *store, struct error *error)
{
    struct buffer row;
    buffer_init(&row);
    enum status status = store_get(store, MAIL_SPACE_OWN, FLOOR_KEY, &row, error);
    if (status == STATUS_OK && !floor_decode(buffer_bytes(&row), &accounts->floor_kept)) {
        error_set(error, "the row \"floor\" cannot be read");
        status = STATUS_VALIDATION;
    }
    buffer_clear(&row);
    accounts->floor_live = accounts->floor_kept;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status
accounts_load(struct accounts *accounts, struct store *store, struct error *error)
{
    struct bytes all = {NULL, 0};
    enum status status = load_floor(accounts, store, error);
    if (status == STATUS_OK)
        status = store_scan(store, MAIL_SPACE_INBOX, all, false, load_inbox, accounts, error);
    if (status == STATUS_OK)
        status = store_scan(store, MAIL_SPACE_SENDER, all, false, load_sender, accounts, error);
    return status;
}
