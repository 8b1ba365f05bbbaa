/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/state.h - the core's data; for the files of broker/core alone.
 *
 * Who owns whom: core owns peers and services; a peer owns the requests it made and its instance; a
 * service owns nothing, it lists. A peer that must go is marked doomed and taken out by
 * peers_reap() when no record of it is being worked on. */
#ifndef SOS_BROKER_CORE_STATE_H
#define SOS_BROKER_CORE_STATE_H

#include "broker/core/access.h"
#include "broker/core/core.h"
#include "broker/core/figures.h"
#include "broker/core/list.h"
#include "broker/core/outbound.h"
#include "broker/core/table.h"
#include "kernel/curve.h"
#include "kernel/message.h"
#include "kernel/timers.h"

enum {
    SERVICES_MAX = 1024,     /* names that requests wait for; ready services are not limited */
    REQUESTS_DEFAULT = 1024, /* in flight to an instance that names no limit */
    TTL_DEFAULT_MS = 30000,
    TTL_MAX_MS = 600000,
    PEERS_PER_BEAT = 1000,    /* peers, for each heartbeat_ms more between heartbeats … */
    CROWD_BEATS_MAX = 10,     /* … up to these */
    SILENT_BEATS = 3,         /* heartbeats missed until a peer is taken for dead */
    REFUSED_MAX = 100,        /* refused records of a peer in a minute */
    HELLO_ANSWER_US = 100000, /* hello_required is said this often at most */
    TAPS_PEER_MAX = 2,
    TAPS_GATE_MAX = 6,          /* of one that shows them to several others */
    TOKEN_CHECKS_PER_SECOND = 5 /* of one peer: a signature check costs the routing thread */
};

struct core;
struct grants;
struct mail;
struct channels;
struct subscriber;
struct presence;
struct known;

struct peer {
    struct table_node node;
    struct list_node all;
    struct list_node doomed_link;
    struct list_node requests; /* made by it */
    size_t request_count;
    size_t waiting_count; /* of them in waiting rooms */
    size_t waiting_bytes;
    struct instance *instance; /* when it is ready as a service */
    struct timer timer;        /* next heartbeat or end of patience */
    struct outbound outbound;
    peer_number number;
    uint64_t heard_us;
    uint64_t sent_us;
    uint64_t heartbeat_us; /* as its hello was answered */
    uint64_t refused_since_us;
    uint64_t hello_answered_us;
    uint64_t checked_since_us;
    uint32_t refused;
    uint32_t token_checks;
    uint32_t taps;
    uint32_t asks; /* of its records, ask.c */
    unsigned rights;
    enum access access;
    char key[CURVE_KEY_TEXT_SIZE]; /* "": core_key() was not called */
    bool greeted;
    bool doomed;
    uint64_t greeted_us;           /* wall clock of its hello */
    struct list_node consumers;    /* mail.c: that it has, streams included */
    struct subscriber *subscriber; /* channel.c: of the session itself */
    struct known *known;           /* presence.c: its identity, while the session lasts */
    struct list_node of_known;
    struct grants *grants;    /* bus_allow(): rights that tokens of this session gave */
    uint64_t mail_rate_ns;    /* mail_send.c: its token bucket */
    uint32_t mail_unanswered; /* sends that wait for the disk */
    struct text identity;     /* the bytes behind the struct */
    char identity_bytes[];
};

struct request;
struct ground_set;

/* The capability that something rests on, and its parent, by their keyed hashes; 0: none. */
struct ground {
    uint64_t id;
    uint64_t parent;
    uint64_t expires_us; /* wall clock */
};

/* What an operation of the broker's own keeps with a request that it answers later. */
struct request_work {
    void (*ended)(struct core *core, struct request *request); /* releases request->work */
    void (*credited)(struct core *core,
                     struct request *request); /* the caller took chunks; or NULL */
    /* Does it rest on one of these, beside request->ground? Or NULL. */
    bool (*rests_on)(const struct request *request, const struct ground_set *revoked);
};

struct service {
    struct table_node node;
    struct list_node all;
    struct list_node instances;
    struct list_node waiting; /* requests */
    size_t instance_count;
    size_t waiting_count;
    size_t waiting_bytes;
    struct metric *depth;
    bool known; /* was ready once: kept for its figures */
    struct text name;
    char name_bytes[];
};

struct instance {
    struct list_node link; /* in its service */
    struct list_node requests;
    struct service *service;
    struct peer *peer;
    struct room_watch room; /* on: too much waits for the peer */
    uint32_t in_flight;
    uint32_t requests_max;
    bool single;
};

/* One direction of a stream. */
struct direction {
    uint32_t credit;
    uint64_t seq; /* of the next chunk */
    bool ended;
};

struct held_chunk {
    struct held_chunk *next;
    size_t size;
    uint8_t bytes[];
};

struct request {
    struct table_node node;
    struct list_node peer_link; /* in its requester */
    struct list_node link;      /* in its instance, or in the service's waiting room */
    struct timer timer;
    struct uuid id;
    struct peer *requester;
    struct service *service;             /* NULL: the broker's own */
    struct instance *instance;           /* NULL: waiting */
    const struct request_work *work_ops; /* of the broker's own */
    void *work;
    uint64_t arrived_us;
    uint64_t deadline_us;
    struct direction down; /* instance to requester */
    struct direction up;
    uint8_t *copy; /* its record: while it waits, and beyond when it may be sent again */
    size_t copy_size;
    struct held_chunk *chunks; /* that came while it waited */
    size_t chunk_bytes;
    bool waiting;
    bool kept; /* copy counts into core->kept_bytes */
    bool idempotent;
    bool chunk_passed;
    struct ground ground; /* of the broker's own: what allows it */
    bool has_trace;       /* for the tap: what the broker answers belongs to it */
    uint8_t trace[24];
    struct text type; /* the bytes behind the struct */
    char type_bytes[];
};

struct core {
    struct core_options options;
    struct core_sink sink;
    struct ed25519_public_key *capability_keys;
    struct uuid_source ids;
    struct now now;
    uint64_t started_us;
    uint64_t resumed_us; /* the core itself was not run until then: nobody is blamed for it */
    struct table peers;
    struct table requests;
    struct table services;
    struct list_node all_peers;
    struct list_node all_services;
    struct list_node doomed;
    struct list_node taps;
    struct list_node listens; /* listen.c: streams with something to send */
    size_t tap_count;
    uint64_t tap_last;                /* number of the newest */
    const struct message *under_work; /* by admit_frame(); or NULL */
    size_t tap_type_size;             /* tap_note_type() */
    char tap_type[MESSAGE_TYPE_MAX];
    size_t listen_bytes; /* what all of those keep */
    struct authoriser *authoriser;
    struct ground ground;       /* what the last right of the record under work rests on */
    struct timer grounds_timer; /* looks whether something that is kept rests on an expired one */
    uint64_t grounds_expire_us; /* the first of them, wall clock; 0: nothing rests on any */
    uint64_t grounds_looked_us; /* when all were looked at last, monotonic */
    bool is_confirmed;          /* service:identity has said yes to the record under work */
    struct list_node asks;      /* ask.c */
    size_t ask_count;
    size_t ask_bytes;
    struct accesses *accesses;
    size_t anonymous_count; /* sessions */
    struct mail *mail;
    enum core_mail_health mail_health;
    struct channels *channels;
    struct presence *presence;
    size_t unknown_services; /* names that only requests brought up */
    size_t kept_bytes;
    struct timers timers;
    struct sending sending;
    uint32_t taken; /* records in this turn, until core_flush() */
    struct metrics *metrics;
    struct figures figures;
    struct buffer record;  /* the broker's own record under way */
    struct buffer payload; /* its payload */
    char verdict[96];      /* what became of the record under work, for the tap */
};

/* What became of a record: static words, or core->verdict. */
#define VERDICT_FORWARDED "forwarded"
#define VERDICT_HELD "held"
#define VERDICT_ANSWERED "answered"
#define VERDICT_DROPPED "dropped"
#define VERDICT_ACCEPTED "accepted"

#endif
