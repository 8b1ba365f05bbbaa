/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/mail/mail_squads.h"

#include <stdlib.h>

#include "broker/core/mail_op.h"
#include "kernel/assert.h"

enum { BYTES_MAX = 8 << 20 /* of squads in memory that nobody uses now */ };

bool
squads_init(struct squads *squads, const uint8_t key[static TABLE_KEY_SIZE])
{
    *squads = (struct squads){.bytes = 0};
    list_init(&squads->all);
    list_init(&squads->changed);
    return table_init(&squads->table, key);
}

static void
drop(struct squads *squads, struct squad *squad)
{
    table_remove(&squads->table, &squad->node);
    list_remove(&squad->link);
    squads->bytes -= squad->bytes;
    for (size_t i = 0; i < squad->count; i++)
        free((void *)(uintptr_t)squad->members[i].data);
    free(squad->members);
    free(squad);
}

static void
drop_all(struct squads *squads, struct list_node *list)
{
    while (!list_is_empty(list))
        drop(squads, CONTAINER_OF(list->next, struct squad, link));
}

void
squads_clear(struct squads *squads)
{
    if (squads->table.slots) {
        drop_all(squads, &squads->all);
        drop_all(squads, &squads->changed);
    }
    table_clear(&squads->table);
}

/* ---- members */

static int
compare(struct text a, struct text b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, common);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Where it stands, or would. */
static size_t
place_of(const struct squad *squad, struct text member)
{
    size_t low = 0;
    size_t high = squad->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(squad->members[middle], member) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
squad_has(const struct squad *squad, struct text member)
{
    size_t place = place_of(squad, member);
    return place < squad->count && text_equal(squad->members[place], member);
}

static enum status
insert(struct squads *squads, struct squad *squad, struct text member)
{
    if (squad->count == squad->capacity) {
        size_t capacity = squad->capacity ? squad->capacity * 2 : 8;
        struct text *members = reallocarray(squad->members, capacity, sizeof *members);
        if (!members)
            return STATUS_NOMEM;
        squad->members = members;
        squad->capacity = capacity;
    }
    char *copy = text_copy(member);
    if (!copy)
        return STATUS_NOMEM;
    size_t place = place_of(squad, member);
    memmove(squad->members + place + 1, squad->members + place,
            (squad->count - place) * sizeof *squad->members);
    squad->members[place] = (struct text){copy, member.size};
    squad->count++;
    size_t bytes = member.size + 1 + sizeof *squad->members;
    squad->bytes += bytes;
    squads->bytes += bytes;
    return STATUS_OK;
}

static void
mark_changed(struct squads *squads, struct squad *squad)
{
    squad->changed = true;
    list_remove(&squad->link);
    list_append(&squads->changed, &squad->link);
}

enum status
squads_add(struct squads *squads, struct squad *squad, struct text member)
{
    ASSERT(squad->count < MAIL_SQUAD_MAX);
    enum status status = insert(squads, squad, member);
    if (status == STATUS_OK)
        mark_changed(squads, squad);
    return status;
}

void
squads_remove(struct squads *squads, struct squad *squad, struct text member)
{
    size_t place = place_of(squad, member);
    size_t bytes = squad->members[place].size + 1 + sizeof *squad->members;
    free((void *)(uintptr_t)squad->members[place].data);
    squad->count--;
    memmove(squad->members + place, squad->members + place + 1,
            (squad->count - place) * sizeof *squad->members);
    squad->bytes -= bytes;
    squads->bytes -= bytes;
    mark_changed(squads, squad);
}

/* ---- finding */

static enum status
fill(struct squads *squads, struct squad *squad, struct bytes row, struct error *error)
{
    struct text member;
    size_t count;
    size_t at = 0;
    if (!squad_row_is_fit(row, &count)) {
        char shown[64];
        error_copy_text(shown, sizeof shown, squad->name);
        error_set(error, "the row of squad %s cannot be read", shown);
        return STATUS_STORE_FAILED;
    }
    squad->stored = true;
    while (squad_row_next(row, &at, &member))
        if (insert(squads, squad, member) != STATUS_OK)
            return STATUS_NOMEM;
    return STATUS_OK;
}

static enum status
load(struct squads *squads, struct store *store, struct squad *squad, struct error *error)
{
    struct buffer row;
    buffer_init(&row);
    struct bytes key = {(const uint8_t *)squad->name.data, squad->name.size};
    enum status status = store_get(store, MAIL_SPACE_SQUAD, key, &row, error);
    if (status == STATUS_OK)
        status = fill(squads, squad, buffer_bytes(&row), error);
    else if (status == STATUS_NOT_FOUND)
        status = STATUS_OK;
    buffer_clear(&row);
    return status;
}

enum status
squads_find(struct squads *squads, struct store *store, struct text name, struct squad **squad_p,
            struct error *error)
{
    uint64_t hash =
        table_hash(&squads->table, (struct bytes){(const uint8_t *)name.data, name.size});
    for (struct table_node *node = table_first(&squads->table, hash); node;
         node = table_next(node)) {
        struct squad *squad = CONTAINER_OF(node, struct squad, node);
        if (text_equal(squad->name, name)) {
            if (!squad->changed) {
                list_remove(&squad->link);
                list_append(&squads->all, &squad->link);
            }
            *squad_p = squad;
            return STATUS_OK;
        }
    }
    struct squad *squad = calloc(1, sizeof *squad + name.size);
    if (!squad)
        return STATUS_NOMEM;
    memcpy(squad->name_bytes, name.data, name.size);
    squad->name = (struct text){squad->name_bytes, name.size};
    squad->bytes = sizeof *squad + name.size;
    squads->bytes += squad->bytes;
    table_insert(&squads->table, &squad->node, hash);
    list_append(&squads->all, &squad->link);
    enum status status = load(squads, store, squad, error);
    if (status != STATUS_OK)
        drop(squads, squad);
    else
        *squad_p = squad;
    return status;
}

/* ---- the batch */

static enum status
write_one(const struct squad *squad, struct store_batch *batch)
{
    struct bytes key = {(const uint8_t *)squad->name.data, squad->name.size};
    uint8_t *value;
    if (squad->count == 0)
        return squad->stored ? store_batch_add(batch, STORE_DELETE, MAIL_SPACE_SQUAD, key,
                                               (struct bytes){NULL, 0})
                             : STATUS_OK;
    enum status status = store_batch_put(batch, MAIL_SPACE_SQUAD, key,
                                         squad_row_size(squad->members, squad->count), &value);
    if (status == STATUS_OK)
        squad_row_encode(squad->members, squad->count, value);
    return status;
}

enum status
squads_write(struct squads *squads, struct store_batch *batch)
{
    enum status status = STATUS_OK;
    for (struct list_node *node = squads->changed.next;
         status == STATUS_OK && node != &squads->changed; node = node->next)
        status = write_one(CONTAINER_OF(node, struct squad, link), batch);
    return status;
}

static void
drop_oldest(struct squads *squads)
{
    while (squads->bytes > BYTES_MAX && !list_is_empty(&squads->all))
        drop(squads, CONTAINER_OF(squads->all.next, struct squad, link));
}

void
squads_keep(struct squads *squads)
{
    while (!list_is_empty(&squads->changed)) {
        struct squad *squad = CONTAINER_OF(squads->changed.next, struct squad, link);
        squad->changed = false;
        squad->stored = squad->count > 0;
        list_remove(&squad->link);
        list_append(&squads->all, &squad->link);
    }
    drop_oldest(squads);
}

void
squads_revert(struct squads *squads)
{
    drop_all(squads, &squads->changed); /* the rows know how they were */
    drop_oldest(squads);
}
