/* SPDX-License-Identifier: Apache-2.0 */
/* What time does: delayed mail arrives, mail that nobody took expires. Both stand in the order of
 * their time, so only rows that are due are looked at. */
#include "broker/mail/mailbox_state.h"

enum { RETRY_US = 1000000 };

struct sweep {
    struct mailbox *mailbox;
    size_t rows;
    size_t bytes;
    uint64_t next_us; /* when the first row that was left is due */
    uint64_t expired;
};

static bool
is_enough(struct sweep *sweep, uint64_t time_us, size_t size)
{
    bool full =
        sweep->rows >= MAIL_STEP_ROWS || (sweep->rows > 0 && sweep->bytes + size > MAIL_STEP_BYTES);
    if (time_us > sweep->mailbox->now.wall_us || full) {
        sweep->next_us = time_us;
        return true;
    }
    sweep->rows++;
    sweep->bytes += size;
    return false;
}

static enum status
delete_key(struct mailbox *mailbox, enum mail_space space, struct bytes key)
{
    return store_batch_add(mailbox->batch, STORE_DELETE, (store_space)space, key,
                           (struct bytes){NULL, 0});
}

/* ---- delayed mail */

static enum status
move_in(struct mailbox *mailbox, struct inbox *inbox, struct bytes key, const struct letter *letter)
{
    enum status status = letters_put(mailbox, inbox, letter);
    if (status == STATUS_OK)
        status = letters_announce(mailbox, inbox, inbox->live.next_number);
    if (status == STATUS_OK)
        status = delete_key(mailbox, MAIL_SPACE_DELAYED, key);
    if (status != STATUS_OK)
        return status;
    letters_count_in(mailbox, inbox, letter);
    count_down(&inbox->live.delayed, 1);
    return STATUS_OK;
}

static enum status
drop_delayed(struct sweep *sweep, struct inbox *inbox, struct bytes key,
             const struct letter *letter)
{
    struct mailbox *mailbox = sweep->mailbox;
    enum status status = delete_key(mailbox, MAIL_SPACE_DELAYED, key);
    if (status != STATUS_OK)
        return status;
    letters_count_off(mailbox, inbox, letter);
    count_down(&inbox->live.delayed, 1);
    sweep->expired++;
    return STATUS_OK;
}

static enum status
take_delayed(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct sweep *sweep = context;
    struct mailbox *mailbox = sweep->mailbox;
    struct letter letter;
    struct text name;
    uint64_t time_us;
    uint64_t number;
    if (!mail_key_read_time(key, &time_us, &name, &number))
        return mail_refuse_row(MAIL_SPACE_DELAYED, (struct text){NULL, 0}, 0, error);
    if (!letter_decode(value, &letter))
        return mail_refuse_row(MAIL_SPACE_DELAYED, name, number, error);
    if (is_enough(sweep, time_us, value.size))
        return STATUS_PENDING;
    struct inbox *inbox = accounts_inbox(&mailbox->accounts, name);
    if (!inbox)
        return STATUS_NOMEM;
    struct mail_savepoint before = mailbox_save(mailbox);
    bool over = letter.expires_us != 0 && letter.expires_us <= mailbox->now.wall_us;
    enum status status =
        over ? drop_delayed(sweep, inbox, key, &letter) : move_in(mailbox, inbox, key, &letter);
    if (status != STATUS_OK)
        mailbox_back(mailbox, &before);
    return status;
}

/* ---- expiry */

static enum status
drop_message(struct sweep *sweep, struct inbox *inbox, uint64_t number, const struct letter *letter)
{
    enum status status = letters_delete(sweep->mailbox, inbox, number, letter);
    if (status != STATUS_OK)
        return status;
    letters_count_out(sweep->mailbox, inbox, number);
    letters_count_off(sweep->mailbox, inbox, letter);
    sweep->expired++;
    return STATUS_OK;
}

static enum status
take_expired(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct sweep *sweep = context;
    struct mailbox *mailbox = sweep->mailbox;
    struct letter letter;
    struct text name;
    uint64_t time_us;
    uint64_t number;
    if (!mail_key_read_time(key, &time_us, &name, &number))
        return mail_refuse_row(MAIL_SPACE_EXPIRY, (struct text){NULL, 0}, 0, error);
    if (is_enough(sweep, time_us, value.size))
        return STATUS_PENDING;
    struct inbox *inbox = accounts_find_inbox(&mailbox->accounts, name);
    struct mail_savepoint before = mailbox_save(mailbox);
    enum status status =
        inbox ? letters_get(mailbox, MAIL_SPACE_MESSAGE, inbox, number, false, &letter, error)
              : STATUS_NOT_FOUND;
    if (status == STATUS_OK && letter.expires_us == time_us)
        status = drop_message(sweep, inbox, number, &letter);
    else if (status == STATUS_OK || status == STATUS_NOT_FOUND)
        status = delete_key(mailbox, MAIL_SPACE_EXPIRY, key); /* a mark that nothing bears */
    if (status != STATUS_OK)
        mailbox_back(mailbox, &before);
    return status;
}

/* ---- both */

static enum status
pass(struct sweep *sweep, enum mail_space space, store_row_fn *take, uint64_t *due_us,
     struct error *error)
{
    sweep->rows = 0;
    sweep->bytes = 0;
    sweep->next_us = UINT64_MAX;
    enum status status = store_scan(sweep->mailbox->store, (store_space)space,
                                    (struct bytes){NULL, 0}, false, take, sweep, error);
    if (status != STATUS_OK && status != STATUS_PENDING)
        return status;
    *due_us = sweep->next_us;
    return STATUS_OK;
}

/* Expiry first: mail that arrives below may expire soon, and lowers what is due. */
static enum status
plan_all(struct sweep *sweep, struct error *error)
{
    struct mailbox *mailbox = sweep->mailbox;
    uint64_t wall_us = mailbox->now.wall_us;
    enum status status = STATUS_OK;
    if (mailbox->expiry_due_us <= wall_us)
        status = pass(sweep, MAIL_SPACE_EXPIRY, take_expired, &mailbox->expiry_due_us, error);
    if (status != STATUS_OK || mailbox->delayed_due_us > wall_us)
        return status;
    if (mailbox->has_no_room) {
        *error = mailbox->no_room;
        return STATUS_STORE_FAILED;
    }
    return pass(sweep, MAIL_SPACE_DELAYED, take_delayed, &mailbox->delayed_due_us, error);
}

static uint64_t
lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

enum status
mailbox_sweep(struct mailbox *mailbox, struct mail_op **arrived, struct now now,
              struct error *error)
{
    struct sweep sweep = {.mailbox = mailbox};
    struct mail_list list;
    struct error local = ERROR_INIT;
    struct error commit_error = ERROR_INIT;
    uint64_t delayed_us = mailbox->delayed_due_us;
    uint64_t expiry_us = mailbox->expiry_due_us;

    mailbox_begin(mailbox, now, 0);
    enum status failure = plan_all(&sweep, &local);
    accounts_forget(&mailbox->accounts, MAIL_IDLE_MAX, MAIL_STEP_ROWS);
    /* What was planned before a failure counts all the same. */
    mail_list_init(&list);
    enum status status = mailbox_commit(mailbox, &list, &commit_error);
    if (status == STATUS_OK) {
        mailbox->expired += sweep.expired;
        status = failure;
    } else {
        local = commit_error;
    }
    mail_list_move(arrived, &list);
    if (status == STATUS_OK)
        return STATUS_OK;
    mailbox->delayed_due_us = lower(delayed_us, mailbox->delayed_due_us);
    mailbox->expiry_due_us = lower(expiry_us, mailbox->expiry_due_us);
    mailbox->retry_us = now.monotonic_us + RETRY_US;
    if (error)
        *error = local;
    return status;
}

/* ---- when */

static uint64_t
to_monotonic(uint64_t wall_us, struct now now)
{
    if (wall_us == UINT64_MAX)
        return UINT64_MAX;
    uint64_t left_us = wall_us > now.wall_us ? wall_us - now.wall_us : 0;
    return left_us < UINT64_MAX - now.monotonic_us ? now.monotonic_us + left_us : UINT64_MAX;
}

uint64_t
mailbox_due_us(const struct mailbox *mailbox, struct now now)
{
    uint64_t due_us = to_monotonic(lower(mailbox->delayed_due_us, mailbox->expiry_due_us), now);
    due_us = lower(due_us, known_due_us(mailbox->known));
    if (mailbox->accounts.idle_count > MAIL_IDLE_MAX + MAIL_STEP_ROWS)
        due_us = now.monotonic_us;
    return due_us < mailbox->retry_us ? mailbox->retry_us : due_us;
}
