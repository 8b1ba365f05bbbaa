/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_op.h"

#include <stdlib.h>

static uint8_t *
keep(uint8_t *at, const void *data, size_t size)
{
    if (size > 0)
        memcpy(at, data, size);
    return at + size;
}

struct mail_op *
mail_op_new(enum mail_op_type type, struct text name, struct text source, struct text text,
            struct bytes record)
{
    size_t size = name.size + source.size + text.size + record.size;
    struct mail_op *op = malloc(sizeof *op + size);
    if (!op)
        return NULL;
    *op = (struct mail_op){.type = type};
    buffer_init(&op->out);
    uint8_t *at = op->storage;
    op->name = (struct text){(const char *)at, name.size};
    at = keep(at, name.data, name.size);
    op->source = (struct text){(const char *)at, source.size};
    at = keep(at, source.data, source.size);
    op->text = (struct text){(const char *)at, text.size};
    at = keep(at, text.data, text.size);
    op->record = (struct bytes){at, record.size};
    keep(at, record.data, record.size);
    return op;
}

void
mail_op_destroy(struct mail_op **op_p)
{
    struct mail_op *op = *op_p;
    if (!op)
        return;
    free(op->seqs);
    free(op->rows);
    buffer_clear(&op->out);
    free(op);
    *op_p = NULL;
}
