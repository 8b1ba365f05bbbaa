/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/links.h"

#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "kernel/assert.h"
#include "kernel/message.h"

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
    list_init(&links->backlogged);
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
    buffer_init(&link->backlog);
    list_append(&links->all, &link->all);
    table_insert(&links->by_session, &link->node,
                 table_hash(&links->by_session, session_key(&session)));
    return link;
}

void
links_remove(struct links *links, struct link *link)
{
    list_remove(&link->all);
    list_remove(&link->backlogged);
    list_remove(&link->condemned);
    table_remove(&links->by_session, &link->node);
    buffer_clear(&link->backlog);
    free(link);
}

static enum core_sent
send_frame(struct links *links, const struct link *link, struct bytes frame)
{
    int flags = ZMQ_SNDMORE | ZMQ_DONTWAIT;
    if (zmq_send(links->router, link->routing_id, ROUTING_ID_SIZE, flags) < 0)
        return errno == EHOSTUNREACH ? CORE_GONE : CORE_FULL;
    if (zmq_send(links->router, frame.data, frame.size, ZMQ_DONTWAIT) < 0)
        return CORE_FULL;
    return CORE_SENT;
}

static void
end(struct link *link)
{
    link->ended = true;
    list_remove(&link->backlogged);
    buffer_clear(&link->backlog);
}

enum core_sent
link_send(struct links *links, struct link *link, struct bytes frame)
{
    if (link->ended)
        return CORE_GONE;
    enum core_sent sent = CORE_FULL;
    if (!list_is_linked(&link->backlogged))
        sent = send_frame(links, link, frame);
    if (sent == CORE_GONE)
        end(link);
    if (sent != CORE_FULL)
        return sent;

    if (link->backlog.size + frame.size > LINK_BACKLOG_MAX)
        return CORE_FULL;
    if (!buffer_reserve(&link->backlog, frame.size)) {
        link->backlog.failed = false;
        return CORE_FULL;
    }
    buffer_append(&link->backlog, frame.data, frame.size);
    if (!list_is_linked(&link->backlogged))
        list_append(&links->backlogged, &link->backlogged);
    return CORE_SENT;
}

void
link_condemn(struct links *links, struct link *link)
{
    end(link);
    if (!list_is_linked(&link->condemned))
        list_append(&links->condemned, &link->condemned);
}

/* How many bytes of whole records fit a frame. The broker wrote them: they are well-formed. */
static size_t
frame_size(const struct buffer *backlog, size_t offset)
{
    size_t end_of_frame = offset;
    while (end_of_frame < backlog->size) {
        const uint8_t *at = backlog->data + end_of_frame;
        size_t record =
            ((size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3]) + 4;
        if (end_of_frame + record - offset > FRAME_SIZE_MAX)
            break;
        end_of_frame += record;
    }
    ASSERT(end_of_frame > offset && end_of_frame <= backlog->size);
    return end_of_frame - offset;
}

static void
flush(struct links *links, struct link *link)
{
    size_t offset = 0;
    while (offset < link->backlog.size) {
        size_t size = frame_size(&link->backlog, offset);
        enum core_sent sent =
            send_frame(links, link, (struct bytes){link->backlog.data + offset, size});
        if (sent == CORE_GONE) {
            end(link); /* the monitor tells of it */
            return;
        }
        if (sent == CORE_FULL)
            break;
        offset += size;
    }
    if (offset == link->backlog.size) {
        list_remove(&link->backlogged);
        buffer_clear(&link->backlog);
        return;
    }
    if (offset > 0) {
        memmove(link->backlog.data, link->backlog.data + offset, link->backlog.size - offset);
        link->backlog.size -= offset;
    }
}

bool
links_flush(struct links *links)
{
    struct list_node *node = links->backlogged.next;
    while (node != &links->backlogged) {
        struct list_node *next = node->next;
        flush(links, CONTAINER_OF(node, struct link, backlogged));
        node = next;
    }
    return !list_is_empty(&links->backlogged);
}
