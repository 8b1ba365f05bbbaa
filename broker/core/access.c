/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/access.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/list.h"
#include "broker/core/state.h"
#include "kernel/contract.h"
#include "kernel/identity.h"

#define IDENTITY_SERVICE_ID "service:identity"

static const char *const words[ACCESSES] = {
#define ACCESS_WORD(id, word) word,
    ACCESS_MAP(ACCESS_WORD)
#undef ACCESS_WORD
};

struct access_row {
    struct table_node node;
    struct list_node link;
    enum access access;
    size_t size;
    char identity[];
};

struct accesses {
    struct table by_identity;
    struct list_node all;
};

const char *
access_word(enum access access)
{
    return words[access];
}

bool
access_parse(struct text word, enum access *access)
{
    for (int i = 0; i < ACCESSES; i++) {
        if (text_equal_string(word, words[i])) {
            *access = (enum access)i;
            return true;
        }
    }
    return false;
}

/* ---- who has less than full */

struct accesses *
accesses_new(const uint8_t hash_key[static 16])
{
    struct accesses *accesses = calloc(1, sizeof *accesses);
    if (!accesses)
        return NULL;
    list_init(&accesses->all);
    if (!table_init(&accesses->by_identity, hash_key))
        accesses_destroy(&accesses);
    return accesses;
}

void
accesses_destroy(struct accesses **accesses_p)
{
    struct accesses *accesses = *accesses_p;
    if (!accesses)
        return;
    while (!list_is_empty(&accesses->all)) {
        struct access_row *row = CONTAINER_OF(accesses->all.next, struct access_row, link);
        list_remove(&row->link);
        free(row);
    }
    table_clear(&accesses->by_identity);
    free(accesses);
    *accesses_p = NULL;
}

static struct bytes
key_of(struct text identity)
{
    return (struct bytes){(const uint8_t *)identity.data, identity.size};
}

static struct access_row *
find(const struct accesses *accesses, struct text identity)
{
    if (accesses->by_identity.count == 0)
        return NULL;
    uint64_t hash = table_hash(&accesses->by_identity, key_of(identity));
    for (struct table_node *node = table_first(&accesses->by_identity, hash); node;
         node = table_next(node)) {
        struct access_row *row = CONTAINER_OF(node, struct access_row, node);
        if (text_equal(identity, (struct text){row->identity, row->size}))
            return row;
    }
    return NULL;
}

enum status
access_set(struct accesses *accesses, struct text identity, enum access access)
{
    struct access_row *row = find(accesses, identity);
    if (access == ACCESS_FULL) {
        if (row) {
            table_remove(&accesses->by_identity, &row->node);
            list_remove(&row->link);
            free(row);
        }
        return STATUS_OK;
    }
    if (!row) {
        row = calloc(1, sizeof *row + identity.size);
        if (!row)
            return STATUS_NOMEM;
        row->size = identity.size;
        memcpy(row->identity, identity.data, identity.size);
        list_append(&accesses->all, &row->link);
        table_insert(&accesses->by_identity, &row->node,
                     table_hash(&accesses->by_identity, key_of(identity)));
    }
    row->access = access;
    return STATUS_OK;
}

enum access
access_of(const struct accesses *accesses, struct text identity)
{
    if (identity_is_anonymous(identity))
        return ACCESS_ONBOARDING;
    const struct access_row *row = find(accesses, identity);
    return row ? row->access : ACCESS_FULL;
}

void
access_each(const struct accesses *accesses,
            void (*each)(void *context, struct text identity, enum access access), void *context)
{
    for (struct list_node *node = accesses->all.next; node != &accesses->all; node = node->next) {
        const struct access_row *row = CONTAINER_OF(node, struct access_row, link);
        each(context, (struct text){row->identity, row->size}, row->access);
    }
}

size_t
access_count(const struct accesses *accesses)
{
    return accesses->by_identity.count;
}

/* ---- what each allows */

static const struct operation *
operation_of(const struct message *message)
{
    struct text target = message->target;
    if (!text_starts_with(target, "service:"))
        return NULL;
    const struct contract *contract = contract_find(
        (struct text){target.data + strlen("service:"), target.size - strlen("service:")});
    return contract ? contract_operation(contract, message->type) : NULL;
}

static bool
names_itself(const struct message *message, struct text identity)
{
    struct value payload;
    struct text id;
    return value_parse(message->payload, &payload) && value_find_text(&payload, "id", &id) &&
           text_equal(id, identity);
}

/* Who is not active yet says who it is, proves it, looks how far it is. */
static bool
is_onboarding(const struct message *message, struct text identity)
{
    if (text_equal_string(message->target, IDENTITY_SERVICE_ID))
        return text_equal_string(message->type, "identity_identify") ||
               text_equal_string(message->type, "identity_verify") ||
               (text_equal_string(message->type, "identity_get") &&
                names_itself(message, identity));
    return text_equal_string(message->target, BUS_IDENTITY) &&
           text_equal_string(message->type, "health_check");
}

/* What no contract names may write. */
static bool
is_reading(const struct message *message)
{
    const struct operation *operation = operation_of(message);
    return operation ? (operation->flags & OPERATION_READ) && !(operation->flags & OPERATION_WRITE)
                     : text_equal_string(message->type, "health_check");
}

enum may { MAY_NOT, MAY, MAY_REQUEST /* as the access says */ };

/* A row per kind that a peer may say. */
static const struct {
    enum kind kind;
    enum may read_only, onboarding;
} kinds[] = {
    {KIND_HELLO, MAY, MAY},
    {KIND_HEARTBEAT, MAY, MAY},
    {KIND_BYE, MAY, MAY},
    {KIND_ERROR, MAY, MAY},
    {KIND_REQUEST, MAY_REQUEST, MAY_REQUEST},
    {KIND_CANCEL, MAY, MAY},
    {KIND_CONTROL, MAY, MAY_NOT}, /* credit, extend; key changes are service:identity's */
    {KIND_ACK, MAY, MAY_NOT},
    {KIND_NACK, MAY, MAY_NOT},
    {KIND_SUBSCRIBE, MAY, MAY_NOT},
    {KIND_UNSUBSCRIBE, MAY, MAY_NOT},
};

static bool
allows(enum access access, const struct message *message, struct text identity)
{
    if (access == ACCESS_FULL)
        return true;
    if (access == ACCESS_NONE)
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind != message->kind)
            continue;
        enum may may = access == ACCESS_READ_ONLY ? kinds[i].read_only : kinds[i].onboarding;
        if (may != MAY_REQUEST)
            return may == MAY;
        return access == ACCESS_READ_ONLY ? is_reading(message) : is_onboarding(message, identity);
    }
    return false;
}

static enum status
refuse(enum access access, const struct message *message, struct text identity, struct error *error)
{
    struct text what = message->type.size ? message->type : text_of(kind_word(message->kind));
    if (access == ACCESS_READ_ONLY)
        error_set_word(error, "suspended",
                       "%.*s is suspended: it may receive and read, %.*s is neither",
                       TEXT_ARGS(identity), TEXT_ARGS(what));
    else if (access == ACCESS_NONE)
        error_set_word(error, "not_active", "%.*s is terminated: nothing is allowed, not %.*s",
                       TEXT_ARGS(identity), TEXT_ARGS(what));
    else
        error_set_word(error, "not_active",
                       "%.*s is not active: identity_identify, identity_verify and identity_get "
                       "of itself are allowed, not %.*s",
                       TEXT_ARGS(identity), TEXT_ARGS(what));
    return STATUS_FORBIDDEN;
}

/* Whom a request acts for, by its contract. */
static struct text
subject_of(const struct message *message)
{
    struct text subject = {NULL, 0};
    struct value payload;
    const struct operation *operation =
        message->kind == KIND_REQUEST ? operation_of(message) : NULL;
    if (operation && operation->capability_subject && value_parse(message->payload, &payload))
        value_find_text(&payload, operation->capability_subject, &subject);
    return subject;
}

enum status
access_check(struct core *core, const struct peer *peer, const struct message *message,
             struct error *error)
{
    const struct accesses *accesses = core->accesses;
    enum access access = peer->access;
    if (!allows(access, message, peer->identity))
        return refuse(access, message, peer->identity, error);
    /* Who speaks for others brings what they may not say either; the identity service looks after
     * those that are not active. */
    if (!(peer->rights & CORE_ACT_FOR_OTHERS) || access_count(accesses) == 0 ||
        text_equal_string(peer->identity, IDENTITY_SERVICE_ID))
        return STATUS_OK;
    const struct text others[] = {message->principal, subject_of(message)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        access = others[i].size > 0 ? access_of(accesses, others[i]) : ACCESS_FULL;
        if (!allows(access, message, others[i]))
            return refuse(access, message, others[i], error);
    }
    return STATUS_OK;
}
