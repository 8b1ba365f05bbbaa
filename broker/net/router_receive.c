/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <zmq.h>

#include "broker/net/router_state.h"
#include "kernel/identity.h"

enum {
    BATCH = 256,                 /* frames in a turn */
    BATCH_MIN = 16,              /* even when the core has enough to do */
    KEPT_MAX = 4 * 1024 * 1024,  /* of frames that are not worked off: nothing is read beyond it */
    LINK_TURN_BYTES = 32 * 1024, /* of the frames kept of one link, in a turn */
};

static uint64_t
session_of(zmq_msg_t *frame)
{
    const char *text = zmq_msg_gets(frame, ZAP_SESSION);
    return text ? strtoull(text, NULL, 10) : 0;
}

static unsigned
rights_of(const struct key_entry *entry)
{
    unsigned rights = 0;
    if (entry->act_for_others)
        rights |= CORE_ACT_FOR_OTHERS;
    if (strcmp(entry->identity, "user:operator") == 0)
        rights |= CORE_OPERATOR;
    return rights;
}

/* The key table has the last word: the key may have been revoked since the handshake. */
static bool
is_still_allowed(struct router *router, zmq_msg_t *frame, struct key_entry *entry)
{
    const char *key = zmq_msg_gets(frame, ZAP_KEY);
    const char *identity = zmq_msg_gets(frame, "User-Id");
    if (!key || !identity || strlen(key) >= sizeof entry->curve_public_key)
        return false;
    if (identity_is_anonymous(text_of(identity)) && strlen(identity) < sizeof entry->identity) {
        /* Nobody's key, or that of somebody who was unknown a moment ago; never a revoked one. */
        struct key_entry known;
        if (keytable_find(router->keys, text_of(key), &known) && known.revoked)
            return false;
        *entry = (struct key_entry){0};
        memcpy(entry->identity, identity, strlen(identity));
        memcpy(entry->curve_public_key, key, strlen(key));
        return true;
    }
    return keytable_find(router->keys, text_of(key), entry) && !entry->revoked &&
           strcmp(entry->identity, identity) == 0;
}

/* The first frame of a session. NULL: it is not heard. */
static struct link *
admit_link(struct router *router, uint64_t session, zmq_msg_t *routing_id, zmq_msg_t *frame)
{
    int fd = zmq_msg_get(frame, ZMQ_SRCFD);
    const uint8_t *id = zmq_msg_data(routing_id);
    size_t id_size = zmq_msg_size(routing_id);

    monitor_drain(router->monitor, router->now.monotonic_us);
    if (fd < 0 || !monitor_claim(router->monitor, fd, session))
        return NULL;
    /* A peer that names itself could take over a name that answers are still sent to. */
    bool is_made_here = id_size == ROUTING_ID_SIZE && id[0] == 0;
    struct key_entry entry;
    if (!is_made_here || !is_still_allowed(router, frame, &entry)) {
        monitor_cut(router->monitor, fd, session);
        return NULL;
    }
    struct link *link = links_add(&router->links, session, fd, (struct bytes){id, id_size});
    if (!link)
        return NULL;
    link->since_us = router->now.monotonic_us;
    struct error error = ERROR_INIT;
    enum status status = core_connected(router->core, session, text_of(entry.identity),
                                        rights_of(&entry), router->now, &error);
    core_key(router->core, session, text_of(entry.curve_public_key));
    if (status != STATUS_OK) {
        log_warn(router->options->logger, "%s is not let in: %s", entry.identity, error.message);
        link_condemn(&router->links, link);
    }
    return link;
}

static void
hand_in(struct router *router, struct link *link, zmq_msg_t *frame)
{
    size_t size = zmq_msg_size(frame), taken = 0;
    if (!link->kept) /* else behind what came before */
        taken = core_receive(router->core, link->session, (struct bytes){zmq_msg_data(frame), size},
                             router->now);
    if (taken < size && !link->ended && !link_keep(&router->links, link, frame, taken))
        core_misbehaved(router->core, link->session, "no_memory", router->now);
}

static void
take_frame(struct router *router, zmq_msg_t *routing_id, zmq_msg_t *frame, bool whole)
{
    uint64_t session = session_of(frame);
    struct link *link = session ? links_find(&router->links, session) : NULL;
    if (!link && session)
        link = admit_link(router, session, routing_id, frame);
    if (!link || link->ended) {
        metric_add(router->frames_unknown, 1);
        return;
    }
    link->taken += zmq_msg_size(frame) + WIRE_OVERHEAD;
    if (whole)
        hand_in(router, link, frame);
    else
        core_misbehaved(router->core, session, "several_frames", router->now);
}

/* False: nothing is waiting. */
static bool
receive(struct router *router)
{
    zmq_msg_t routing_id, frame, rest;
    zmq_msg_init(&routing_id);
    if (zmq_msg_recv(&routing_id, router->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&routing_id);
        return false;
    }
    zmq_msg_init(&frame);
    bool whole = zmq_msg_more(&routing_id) && zmq_msg_recv(&frame, router->socket, 0) >= 0;
    bool more = whole && zmq_msg_more(&frame);
    whole = whole && !more;
    while (more) {
        zmq_msg_init(&rest);
        more = zmq_msg_recv(&rest, router->socket, 0) >= 0 && zmq_msg_more(&rest);
        zmq_msg_close(&rest);
    }
    take_frame(router, &routing_id, &frame, whole);
    zmq_msg_close(&frame);
    zmq_msg_close(&routing_id);
    return true;
}

/* One turn of what is kept of a link: no more than one that just came may bring. */
static void
work_off_link(struct router *router, struct link *link)
{
    size_t done = 0;
    while (link->kept && done < LINK_TURN_BYTES) {
        struct bytes rest = link_rest(link);
        size_t taken = core_receive(router->core, link->session, rest, router->now);
        link_took(&router->links, link, taken);
        done += taken + sizeof *link->kept;
        if (taken < rest.size)
            return;
    }
}

void
router_work_off(struct router *router)
{
    struct list_node *unfinished = &router->links.unfinished;
    const struct list_node *last = unfinished->prev, *node = NULL;
    while (!list_is_empty(unfinished) && node != last && !core_wants_flush(router->core)) {
        struct link *link = CONTAINER_OF(unfinished->next, struct link, unfinished);
        node = &link->unfinished;
        list_remove(&link->unfinished);
        list_append(unfinished, &link->unfinished);
        work_off_link(router, link);
    }
}

bool
router_receive_all(struct router *router)
{
    for (int count = 0; count < BATCH; count++) {
        if (router->links.kept_bytes >= KEPT_MAX ||
            (count >= BATCH_MIN && core_wants_flush(router->core)))
            return false;
        if (!receive(router))
            return true;
    }
    return false;
}
