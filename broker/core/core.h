/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/core.h - the broker as a function: events in, effects out through a sink.
 *
 * No socket, file, thread or clock inside: the owner (broker/net, or a test) hands in what peers
 * sent and what time it is, and is told what to send and whom to cut. docs/PROTOCOL.md says what
 * each record means; the core keeps to it and knows no service's meaning.
 *
 * One thread. The sink is called inside core_ functions and must not call back into the core. */
#ifndef SOS_BROKER_CORE_CORE_H
#define SOS_BROKER_CORE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/access.h"
#include "broker/core/mail_op.h"
#include "broker/core/pin.h"
#include "kernel/audit.h"
#include "kernel/bytes.h"
#include "kernel/capability.h"
#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/id.h"
#include "kernel/log.h"
#include "kernel/metrics.h"
#include "kernel/revocations.h"
#include "kernel/status.h"

struct core;
struct parcel;
struct tap_opening;
struct tap_sighting;
struct tap_chunk;

enum { CORE_TURN_RECORDS = 64 /* of one frame, in one turn */ };

/* Chosen by the owner, below 2^63, never used twice in a core's life. */
typedef uint64_t peer_number;

enum core_right {
    CORE_ACT_FOR_OTHERS = 1u << 0, /* may set a principal */
    CORE_OPERATOR = 1u << 1        /* may read metrics and the directory */
};

enum core_sent {
    CORE_SENT,
    CORE_FULL, /* the peer does not keep up; nothing was sent */
    CORE_GONE  /* there is no such peer any more */
};

struct core_sink {
    void *context;
    /* One frame; the bytes are copied or sent before it returns. Never blocks. */
    enum core_sent (*send)(void *context, peer_number peer, struct bytes frame);
    /* The same for a large frame (outbound.h), whose memory is the sink's when it was SENT: it
     * comes back through core_take_back(), or is freed. Else it stays the core's. May be NULL: then
     * send copies those too. */
    enum core_sent (*give)(void *context, peer_number peer, struct parcel **parcel_p);
    /* Close this connection. The core has forgotten the peer already or is about to; frames that
     * still come from it must not be handed in. */
    void (*cut)(void *context, peer_number peer, const char *reason);

    /* The key table. add: ALREADY_EXISTS word "key_exists" when the key is another identity's;
     * access is the identity's. access: sets it. revoke: *count = keys that were revoked, all or
     * this one (public_key not empty). forget: an identity that has no more than onboarding, and
     * its key, are as if they had never been there. list: appends one packed array of at most limit
     * keys, in the order they were added, from the one behind `after` on (empty: from the first);
     * *more: others follow. NOT_FOUND word "key_unknown": there is no key `after`. */
    enum status (*key_add)(void *context, struct text identity, struct text public_key,
                           enum access access, struct error *error);
    enum status (*key_access)(void *context, struct text identity, enum access access,
                              struct error *error);
    enum status (*key_revoke)(void *context, struct text identity, struct text public_key,
                              uint64_t *count, struct error *error);
    enum status (*key_forget)(void *context, struct text identity, struct text public_key,
                              struct error *error);
    enum status (*key_list)(void *context, struct text after, uint32_t limit, struct buffer *out,
                            bool *more, struct error *error);
    /* Which store a service is pinned to, and the highest epoch seen of it. find: false when to
     * none. set: lasting when it returns OK, else as if never set. */
    bool (*pin_find)(void *context, struct text service, struct pin *pin);
    enum status (*pin_set)(void *context, struct text service, const struct pin *pin,
                           struct error *error);
    /* The durable mailbox. True: the question is taken, *op_p is NULL now, and comes back through
     * core_mail_done(). False: too much waits there; the op stays the core's. May be NULL: then
     * there are no inboxes. */
    bool (*mail)(void *context, struct mail_op **op_p);

    /* The taps' worker (tap_gather.h behind a queue). open, return: what is pointed at is taken
     * over. put: false when the queue is full. Chunks come back through core_tap_chunk(). May be
     * NULL: then there is no tap. */
    void (*tap_open)(void *context, struct tap_opening **opening_p);
    void (*tap_close)(void *context, uint64_t tap);
    bool (*tap_put)(void *context, const struct tap_sighting *sighting);
    void (*tap_return)(void *context, struct tap_chunk **chunk_p);
    /* Keeps revoked capabilities: lasting when it returns OK. They count in any case. May be NULL:
     * then nothing outlasts this start. */
    enum status (*revoke)(void *context, const struct revocation *list, size_t count,
                          struct error *error);
    /* The audit trail. ticket: 0 when nobody waits, else core_audited() answers. False: it cannot
     * take the entry. May be NULL: then nothing is audited. */
    bool (*audit)(void *context, const struct audit_entry *entry, uint64_t ticket);
};

struct core_options {
    uint64_t epoch;       /* differs from that of every earlier start */
    uint8_t hash_key[16]; /* secret, random */
    uint32_t heartbeat_ms;
    uint32_t stream_credit;
    size_t peers_max;
    size_t pending_max;
    size_t pending_peer_max;
    size_t held_max;
    size_t held_bytes_max;
    uint32_t hold_ms;
    uint32_t mail_rate; /* messages a second of one sender */
    size_t channels_max;
    size_t channel_history_max;
    size_t channel_history_bytes_max; /* of one channel */
    size_t channel_bytes_max;         /* of all */
    bool require_capabilities;
    const struct ed25519_public_key *capability_keys; /* copied */
    size_t capability_key_count;
    const struct logger *logger; /* may be NULL */
};

/* The limits with their defaults; epoch and hash_key are the caller's to set. */
struct core_options core_options_default(void);

/* options and sink are copied. NULL when out of memory. */
struct core *core_new(const struct core_options *options, const struct core_sink *sink,
                      struct now now);
void core_destroy(struct core **core_p);

/* A peer authenticated as `identity` (checked by the owner). BUSY: peers_max are there
 * already, cut it. NOMEM. */
enum status core_connected(struct core *core, peer_number peer, struct text identity,
                           unsigned rights, struct now now, struct error *error);
/* The CURVE key it came with, so that one key can be revoked among several of an identity. */
void core_key(struct core *core, peer_number peer, struct text public_key);
/* What an identity may do, as the key table has it: for those who have less than full, before
 * anybody connects. NOMEM. */
enum status core_access(struct core *core, struct text identity, enum access access);
/* These were revoked in an earlier start: before anybody connects. Errors as revocations_add(). */
enum status core_capabilities_revoked(struct core *core, const struct revocation *list,
                                      size_t count, struct now now, struct error *error);
/* Its connection is gone. An unknown peer is ignored. */
void core_disconnected(struct core *core, peer_number peer, struct now now);
/* Takes at most CORE_TURN_RECORDS records of a frame and returns how many bytes that were; the rest
 * is to be handed in after the next core_flush(), before newer frames of this peer, so that no peer
 * keeps the others waiting. Any bytes are safe. Of an unknown peer all is taken and ignored. */
size_t core_receive(struct core *core, peer_number peer, struct bytes frame, struct now now);
/* Enough was taken in: core_flush() is due before anything else is read. */
bool core_wants_flush(const struct core *core);
/* Frames that one peer sent in a form that never stands for a record (several ZMQ frames …):
 * counted and cut. */
void core_misbehaved(struct core *core, peer_number peer, const char *what, struct now now);
/* Cuts every session of this identity: its keys were revoked. */
void core_revoked(struct core *core, struct text identity, struct now now);

/* An answer of the mailbox, or an arrival; owned from here on. */
void core_mail_done(struct core *core, struct mail_op **op_p, struct now now);

enum core_mail_health {
    CORE_MAIL_OK,
    CORE_MAIL_FULL,  /* nothing new is kept: the disk is full */
    CORE_MAIL_FAILED /* nothing is written */
};
/* The mailbox is so from now on. OK until told otherwise. */
void core_mail_is(struct core *core, enum core_mail_health health, struct now now);

/* A chunk of a tap is ready; owned from here on. */
void core_tap_chunk(struct core *core, struct tap_chunk **chunk_p, struct now now);
/* The entry with this ticket is on disk, or could not be written. */
void core_audited(struct core *core, uint64_t ticket, bool written, struct now now);

/* Memory that the sink was given. */
void core_take_back(struct core *core, struct parcel **parcel_p);

/* Everything that was waiting has been handed in: what was gathered leaves. Returns when
 * core_tick() and core_flush() are to be called next (monotonic), UINT64_MAX when nothing waits. */
uint64_t core_flush(struct core *core, struct now now);
/* Does what is due; returns when to be called next. What it says leaves at the next flush. */
uint64_t core_tick(struct core *core, struct now now);

size_t core_peer_count(const struct core *core);
struct metrics *core_metrics(struct core *core);

#endif
