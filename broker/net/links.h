/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/links.h - the ROUTER's side of each session: its routing id, and what its pipe did not
 * take.
 *
 * A record goes out as a frame of its own. When the pipe is full (SNDHWM), records gather behind it
 * in order, up to LINK_BACKLOG_MAX, and leave as frames of many as soon as it takes them: a burst
 * is not a stuck peer. One thread. */
#ifndef SOS_BROKER_NET_LINKS_H
#define SOS_BROKER_NET_LINKS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/core.h"
#include "broker/core/list.h"
#include "broker/core/table.h"
#include "kernel/bytes.h"

enum {
    ROUTING_ID_SIZE = 5, /* as the ROUTER makes them: a zero and a number */
    LINK_BACKLOG_MAX = 1024 * 1024
};

struct link {
    struct table_node node;
    struct list_node all;
    struct list_node backlogged; /* linked: something waits in backlog */
    struct list_node condemned;  /* linked: to be closed */
    uint64_t session;
    uint64_t since_us; /* its first frame */
    uint64_t taken;    /* bytes of the frames that came, with what the wire adds to each */
    int fd;
    bool ended; /* nothing is taken from it or given to it any more */
    uint8_t routing_id[ROUTING_ID_SIZE];
    struct buffer backlog;
};

struct links {
    void *router;
    struct table by_session;
    struct list_node all;
    struct list_node backlogged;
    struct list_node condemned;
};

bool links_init(struct links *links, void *router);
void links_clear(struct links *links);

struct link *links_find(const struct links *links, uint64_t session);
/* NULL when out of memory. */
struct link *links_add(struct links *links, uint64_t session, int fd, struct bytes routing_id);
void links_remove(struct links *links, struct link *link);

enum core_sent link_send(struct links *links, struct link *link, struct bytes frame);

/* No more of it; its connection is to be closed by the owner, who takes it off `condemned`. */
void link_condemn(struct links *links, struct link *link);

/* Tries what waits. True: some still does. */
bool links_flush(struct links *links);

#endif
