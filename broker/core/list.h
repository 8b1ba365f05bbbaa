/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/list.h - a doubly linked list whose links stand in its members. */
#ifndef SOS_BROKER_CORE_LIST_H
#define SOS_BROKER_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The same struct is head and link; a link outside any list has a NULL next. */
struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

/* The struct of `type` whose `member` is at pointer. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void
list_init(struct list_node *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool
list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

static inline bool
list_is_linked(const struct list_node *node)
{
    return node->next != NULL;
}

static inline void
list_append(struct list_node *head, struct list_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void
list_remove(struct list_node *node)
{
    if (!node->next)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = NULL;
    node->prev = NULL;
}

#endif
