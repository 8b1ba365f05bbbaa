/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/links.h"

#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "kernel/assert.h"

static struct bytes
session_key(const uint64_t *session)
{
    return (struct bytes){(const uint8_t *)session, sizeof *session};
}

bool
links_init(struct links *links, void *router)
{
    uint8_t key[TABLE_KEY_SIZE];
    links->router = router;
    list_init(&links->all);
    list_init(&links->unfinished);
    links->kept_bytes = 0;
    list_init(&links->condemned);
    return table_make_key(key) && table_init(&links->by_session, key);
}

void
links_clear(struct links *links)
{
    if (!links->by_session.slots)
        return;
    while (!list_is_empty(&links->all))
        links_remove(links, CONTAINER_OF(links->all.next, struct link, all));
    table_clear(&links->by_session);
}

struct link *
links_find(const struct links *links, uint64_t session)
{
    uint64_t hash = table_hash(&links->by_session, session_key(&session));
    for (struct table_node *node = table_first(&links->by_session, hash); node;
         node = table_next(node)) {
        struct link *link = CONTAINER_OF(node, struct link, node);
        if (link->session == session)
            return link;
    }
    return NULL;
}

struct link *
links_add(struct links *links, uint64_t session, int fd, struct bytes routing_id)
{
    ASSERT(routing_id.size == ROUTING_ID_SIZE);
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->session = session;
    link->fd = fd;
    memcpy(link->routing_id, routing_id.data, ROUTING_ID_SIZE);
    link->kept_end = &link->kept;
    list_append(&links->all, &link->all);
    table_insert(&links->by_session, &link->node,
                 table_hash(&links->by_session, session_key(&session)));
    return link;
}

static size_t
cost(struct kept_frame *kept)
{
    return sizeof *kept + zmq_msg_size(&kept->frame);
}

static void
drop_first(struct links *links, struct link *link)
{
    struct kept_frame *kept = link->kept;
    links->kept_bytes -= cost(kept);
    link->kept = kept->next;
    if (!link->kept)
        link->kept_end = &link->kept;
    zmq_msg_close(&kept->frame);
    free(kept);
}

static void
drop_kept(struct links *links, struct link *link)
{
    while (link->kept)
        drop_first(links, link);
    list_remove(&link->unfinished);
}

void
links_remove(struct links *links, struct link *link)
{
    drop_kept(links, link);
    list_remove(&link->all);
    list_remove(&link->condemned);
    table_remove(&links->by_session, &link->node);
    free(link);
}

/* Says whom the next frame is for. */
static enum core_sent
address(struct links *links, struct link *link)
{
    int flags = ZMQ_SNDMORE | ZMQ_DONTWAIT;
    if (zmq_send(links->router, link->routing_id, ROUTING_ID_SIZE, flags) >= 0)
        return CORE_SENT;
    if (errno != EHOSTUNREACH)
        return CORE_FULL;
    link->ended = true; /* the monitor tells of it */
    return CORE_GONE;
}

enum core_sent
link_send(struct links *links, struct link *link, struct bytes frame)
{
    if (link->ended)
        return CORE_GONE;
    enum core_sent sent = address(links, link);
    if (sent != CORE_SENT)
        return sent;
    return zmq_send(links->router, frame.data, frame.size, ZMQ_DONTWAIT) < 0 ? CORE_FULL
                                                                             : CORE_SENT;
}

/* On libzmq's thread, or at once when the message was not sent. */
static void
give_back(void *data, void *hint)
{
    (void)data;
    struct parcel *parcel = hint;
    if (!parcel->held)
        pool_give(parcel->owner, parcel);
}

enum core_sent
link_give(struct links *links, struct link *link, struct parcel **parcel_p, struct pool *used)
{
    if (link->ended)
        return CORE_GONE;
    struct parcel *parcel = *parcel_p;
    zmq_msg_t message;
    parcel->owner = used;
    parcel->held = false;
    if (zmq_msg_init_data(&message, parcel->data, parcel->size, give_back, parcel) != 0)
        return CORE_FULL;
    enum core_sent sent = address(links, link);
    if (sent == CORE_SENT && zmq_msg_send(&message, links->router, ZMQ_DONTWAIT) < 0)
        sent = CORE_FULL;
    if (sent == CORE_SENT)
        *parcel_p = NULL;
    else
        parcel->held = true;
    zmq_msg_close(&message);
    return sent;
}

bool
link_keep(struct links *links, struct link *link, zmq_msg_t *frame, size_t taken)
{
    struct kept_frame *kept = malloc(sizeof *kept);
    if (!kept)
        return false;
    kept->next = NULL;
    kept->taken = taken;
    zmq_msg_init(&kept->frame);
    zmq_msg_move(&kept->frame, frame);
    links->kept_bytes += cost(kept);
    *link->kept_end = kept;
    link->kept_end = &kept->next;
    if (!list_is_linked(&link->unfinished))
        list_append(&links->unfinished, &link->unfinished);
    return true;
}

struct bytes
link_rest(const struct link *link)
{
    struct kept_frame *kept = link->kept;
    if (!kept)
        return (struct bytes){NULL, 0};
    const uint8_t *data = zmq_msg_data(&kept->frame);
    return (struct bytes){data + kept->taken, zmq_msg_size(&kept->frame) - kept->taken};
}

void
link_took(struct links *links, struct link *link, size_t size)
{
    if (!link->kept)
        return; /* it was condemned for what it said */
    link->kept->taken += size;
    if (link_rest(link).size == 0)
        drop_first(links, link);
    if (!link->kept)
        list_remove(&link->unfinished);
}

void
link_condemn(struct links *links, struct link *link)
{
    link->ended = true;
    drop_kept(links, link);
    if (!list_is_linked(&link->condemned))
        list_append(&links->condemned, &link->condemned);
}
