/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/mail/mail_gone.h"

#include <stdlib.h>

enum { SIZE_MIN = 256 };

struct gone_row {
    const void *owner;
    uint64_t number;
    uint32_t round; /* 0: never used */
    unsigned kind;
};

/* Numbers are given by the mailbox and nobody chooses owners' addresses: mixing is enough. */
static size_t
home_of(const struct gone *gone, const void *owner, unsigned kind, uint64_t number)
{
    uint64_t mixed = (uint64_t)(uintptr_t)owner * 0x9e3779b97f4a7c15u;
    mixed ^= (number + kind) * 0xc2b2ae3d27d4eb4fu;
    mixed ^= mixed >> 29;
    return (size_t)(mixed * 0x165667b19e3779f9u >> 32) & (gone->size - 1);
}

/* The row of it, or the free one where it belongs. */
static struct gone_row *
find(const struct gone *gone, const void *owner, unsigned kind, uint64_t number)
{
    size_t at = home_of(gone, owner, kind, number);
    for (;; at = (at + 1) & (gone->size - 1)) {
        struct gone_row *row = &gone->rows[at];
        if (row->round != gone->round)
            return row;
        if (row->owner == owner && row->number == number && row->kind == kind)
            return row;
    }
}

bool
gone_has(const struct gone *gone, const void *owner, unsigned kind, uint64_t number)
{
    return gone->count > 0 && find(gone, owner, kind, number)->round == gone->round;
}

static bool
grow(struct gone *gone)
{
    struct gone larger = {.size = gone->size ? gone->size * 2 : SIZE_MIN, .round = 1};
    larger.rows = calloc(larger.size, sizeof *larger.rows);
    if (!larger.rows)
        return false;
    for (size_t i = 0; i < gone->size; i++) {
        const struct gone_row *row = &gone->rows[i];
        if (row->round != gone->round)
            continue;
        struct gone_row *to = find(&larger, row->owner, row->kind, row->number);
        *to = *row;
        to->round = larger.round;
        larger.count++;
    }
    free(gone->rows);
    *gone = larger;
    return true;
}

bool
gone_add(struct gone *gone, const void *owner, unsigned kind, uint64_t number)
{
    if (gone->count * 2 >= gone->size && !grow(gone))
        return false;
    struct gone_row *row = find(gone, owner, kind, number);
    if (row->round != gone->round)
        gone->count++;
    *row = (struct gone_row){owner, number, gone->round, kind};
    return true;
}

void
gone_reset(struct gone *gone)
{
    gone->count = 0;
    if (++gone->round == 0) { /* all rounds were used: the oldest would come to life again */
        gone->round = 1;
        for (size_t i = 0; i < gone->size; i++)
            gone->rows[i].round = 0;
    }
}

void
gone_clear(struct gone *gone)
{
    free(gone->rows);
    *gone = (struct gone){.rows = NULL};
}
