/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_ready.h"

#include <stdlib.h>

#include "broker/core/mail_form.h"

/* Of those that were read the records stand in the answer; one that arrived brought its own. */
static struct bytes
record_of(const struct mail_op *op, const struct mail_row *row)
{
    if (op->type != MAIL_READ)
        return op->record;
    return (struct bytes){op->out.data + row->offset, row->record_size};
}

static size_t
size_of(const struct mail_op *op)
{
    return sizeof *op + (op->type == MAIL_READ ? op->out.size : op->record.size);
}

static void
put(struct core *core, struct inbox *inbox, struct mail_op **op_p)
{
    struct mail_op *op = *op_p;
    *op_p = NULL;
    op->next = NULL;
    inbox->read = op->rows[op->row_count - 1].seq;
    *inbox->ready_end = op;
    inbox->ready_end = &op->next;
    inbox->ready_rows += op->row_count;
    inbox->ready_bytes += size_of(op);
    core->mail->ready_bytes += size_of(op);
}

static void
drop_first(struct core *core, struct inbox *inbox)
{
    struct mail_op *op = inbox->ready;
    inbox->ready = op->next;
    if (!inbox->ready)
        inbox->ready_end = &inbox->ready;
    inbox->ready_rows -= op->row_count - inbox->ready_at;
    inbox->ready_at = 0;
    inbox->ready_bytes -= size_of(op);
    core->mail->ready_bytes -= size_of(op);
    mail_op_destroy(&op);
}

void
ready_drop(struct core *core, struct inbox *inbox)
{
    if (!inbox->ready)
        return;
    while (inbox->ready)
        drop_first(core, inbox);
    inbox->read = inbox->given;
    inbox->more = true;
}

const struct mail_row *
ready_next(struct core *core, struct inbox *inbox, struct bytes *record)
{
    while (inbox->ready) {
        const struct mail_op *op = inbox->ready;
        while (inbox->ready_at < op->row_count) {
            const struct mail_row *row = &op->rows[inbox->ready_at];
            if (!mail_form_is_expired(row->expires_us, core->now.wall_us)) {
                *record = record_of(op, row);
                return row;
            }
            inbox->given = row->seq;
            inbox->ready_at++;
            inbox->ready_rows--;
        }
        drop_first(core, inbox);
    }
    return NULL;
}

void
ready_pass(struct core *core, struct inbox *inbox)
{
    inbox->given = inbox->ready->rows[inbox->ready_at].seq;
    inbox->ready_at++;
    inbox->ready_rows--;
    if (inbox->ready_at == inbox->ready->row_count)
        drop_first(core, inbox);
}

void
ready_add(struct core *core, struct inbox *inbox, struct mail_op **op_p)
{
    if ((*op_p)->row_count > 0)
        put(core, inbox, op_p);
}

bool
ready_keep(struct core *core, struct inbox *inbox, struct mail_op **op_p)
{
    struct mail_op *op = *op_p;
    struct mail_row *row = calloc(1, sizeof *row);
    if (!row)
        return false;
    *row = (struct mail_row){
        .seq = op->seq, .expires_us = op->expires_us, .record_size = (uint32_t)op->record.size};
    op->rows = row;
    op->row_count = 1;
    put(core, inbox, op_p);
    return true;
}
