/* SPDX-License-Identifier: Apache-2.0 */
/* A broker core with scripted peers: no sockets, and a clock that the test moves. */
#ifndef SOS_TESTS_BROKER_CORE_FIXTURE_H
#define SOS_TESTS_BROKER_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/core.h"
#include "kernel/message.h"
#include "kernel/pack.h"

enum { PEERS = 8, OUTBOX_MAX = 2048, PINS = 4 };

/* What the core sent to one peer, whole frames in order. */
struct outbox {
    struct bytes frames[OUTBOX_MAX];
    size_t count;
    size_t read;   /* frames that were taken whole */
    size_t offset; /* and bytes of the next one */
    bool full;     /* the next sends are refused */
    bool gone;
    const char *cut; /* reason */
};

struct fake_mail;

struct fixture_tap;

struct fixture {
    struct core *core;
    struct fake_mail *mail; /* fixture_mail.h; NULL: the broker has no inboxes */
    struct core_options options;
    struct now now;
    struct uuid_source ids;
    struct outbox outboxes[PEERS];
    bool takes_parcels;   /* large frames are given, from the next restart on */
    struct parcel *given; /* the last of them */
    size_t given_count;
    const char *identities[PEERS];
    struct buffer frame; /* the last one that was made */
    struct uuid last_id;
    struct message received; /* of the last take(); views into an outbox */
    struct {
        char service[64];
        struct pin pin;
    } pins[PINS];
    size_t pin_count;
    size_t pins_set;
    bool pins_fail;
    char listed_after[64];
    uint32_t listed_limit;
    size_t keys_added;
    size_t keys_revoked;
    size_t keys_forgotten;
    bool access_fails;
    size_t capabilities_revoked; /* written, all in all */
    bool revoke_fails;
    struct fixture_tap *tap;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Makes the core again with f->options. */
void fixture_restart(struct fixture *f);
void advance_ms(struct fixture *f, uint64_t ms); /* and ticks */

/* Peer numbers are 1 to 7. */
void join(struct fixture *f, peer_number peer, const char *identity, unsigned rights);
void greet(struct fixture *f, peer_number peer); /* hello, and its answer taken */
void join_greeted(struct fixture *f, peer_number peer, const char *identity);
/* join_greeted and ready as service:<name>. */
void join_service(struct fixture *f, peer_number peer, const char *name, bool single,
                  uint32_t requests_max);
void say_ready(struct fixture *f, peer_number peer, const char *service, bool single,
               uint32_t requests_max, const struct uuid *store, uint64_t epoch);

/* Fills version, id (unless set), source (unless set) and sends it as a frame of its own. Its id is
 * returned. */
struct uuid say(struct fixture *f, peer_number peer, struct message record);
/* Appends to f->frame instead; deliver() sends it. */
struct uuid add_record(struct fixture *f, peer_number peer, struct message record);
void deliver(struct fixture *f, peer_number peer);

struct uuid ask(struct fixture *f, peer_number peer, const char *service, uint32_t flags,
                uint32_t ttl_ms);
void answer(struct fixture *f, peer_number peer, const struct uuid *request, const char *text);

/* The next record that the peer was sent into f->received; fails the test when there is none. */
const struct message *take(struct fixture *f, peer_number peer);
/* The peer takes nothing more, and as much waits for it as may: what comes now finds it full. Until
 * full is false again and 2 ms have passed. */
void choke(struct fixture *f, peer_number peer);

/* As take(), passing over heartbeats; checks kind. */
const struct message *take_kind(struct fixture *f, peer_number peer, enum kind kind);
bool has_nothing(struct fixture *f, peer_number peer);

/* The machine word of a failed reply or error. */
void assert_refused(const struct message *record, enum status status, const char *word);
bool was_cut(const struct fixture *f, peer_number peer);
double count_of(struct fixture *f,
                const char *line); /* a series in the metrics' text, -1 when absent */

/* Of the mailbox. */
bool fixture_mail_ask(void *context, struct mail_op **op_p);
void fixture_mail_clear(struct fixture *f);

#endif
