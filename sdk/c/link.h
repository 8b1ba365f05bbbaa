/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/c/link.h - doubly linked lists whose links stand in their entries. A list is a link by
 * itself; taking an entry out twice is harmless. */
#ifndef SOS_SDK_LINK_H
#define SOS_SDK_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *previous, *next;
};

/* The entry of type `type` whose member `member` is this link. */
#define LINK_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void
link_init(struct link *list)
{
    list->previous = list;
    list->next = list;
}

static inline bool
link_is_empty(const struct link *list)
{
    return list->next == list;
}

static inline void
link_after(struct link *link, struct link *place)
{
    link->previous = place;
    link->next = place->next;
    place->next->previous = link;
    place->next = link;
}

static inline void
link_append(struct link *link, struct link *list)
{
    link_after(link, list->previous);
}

static inline void
link_remove(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link_init(link);
}

#endif
