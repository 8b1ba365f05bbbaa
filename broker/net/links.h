/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/links.h - the ROUTER's side of each session: its routing id, and the frames of it that
 * the core has not taken whole yet, oldest first. One thread. */
#ifndef SOS_BROKER_NET_LINKS_H
#define SOS_BROKER_NET_LINKS_H

#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#include "broker/core/core.h"
#include "broker/core/list.h"
#include "broker/core/outbound.h"
#include "broker/core/table.h"
#include "kernel/bytes.h"
#include "platform/pool.h"

enum { ROUTING_ID_SIZE = 5 /* as the ROUTER makes them: a zero and a number */ };

/* taken: bytes of it that the core has. */
struct kept_frame {
    struct kept_frame *next;
    zmq_msg_t frame;
    size_t taken;
};

struct link {
    struct table_node node;
    struct list_node all;
    struct list_node unfinished; /* linked: frames are kept */
    struct list_node condemned;  /* linked: to be closed */
    uint64_t session;
    uint64_t since_us; /* its first frame */
    uint64_t taken;    /* bytes of the frames that came, with what the wire adds to each */
    int fd;
    bool ended; /* nothing is taken from it or given to it any more */
    uint8_t routing_id[ROUTING_ID_SIZE];
    struct kept_frame *kept;
    struct kept_frame **kept_end;
};

struct links {
    void *router;
    struct table by_session;
    struct list_node all;
    struct list_node unfinished;
    struct list_node condemned;
    size_t kept_bytes; /* of all */
};

bool links_init(struct links *links, void *router);
void links_clear(struct links *links);

struct link *links_find(const struct links *links, uint64_t session);
/* NULL when out of memory. */
struct link *links_add(struct links *links, uint64_t session, int fd, struct bytes routing_id);
void links_remove(struct links *links, struct link *link);

/* The bytes are copied. */
enum core_sent link_send(struct links *links, struct link *link, struct bytes frame);
/* Without a copy. When it was SENT the parcel is libzmq's, whose thread gives it to `used`; that
 * pool lives until the socket's context is no more. */
enum core_sent link_give(struct links *links, struct link *link, struct parcel **parcel_p,
                         struct pool *used);

/* Keeps the frame, of which `taken` bytes are done with, behind those kept already; it is empty
 * afterwards. False when out of memory. */
bool link_keep(struct links *links, struct link *link, zmq_msg_t *frame, size_t taken);
/* What is left of the first frame that is kept; none: no bytes. */
struct bytes link_rest(const struct link *link);
/* The core took so many bytes of it. */
void link_took(struct links *links, struct link *link, size_t size);

/* No more of it; its connection is to be closed by the owner, who takes it off `condemned`. */
void link_condemn(struct links *links, struct link *link);

#endif
