/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/broker.h - runs the broker: ROUTER socket with CURVE, ZAP, key table, monitor, timers
 * around the core. */
#ifndef SOS_BROKER_NET_BROKER_H
#define SOS_BROKER_NET_BROKER_H

#include "kernel/capability.h"
#include "kernel/clock.h"
#include "kernel/config.h"
#include "kernel/curve.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/status.h"

struct broker;

struct broker_options {
    const char *bind;                                 /* "127.0.0.1" */
    uint16_t port;                                    /* 0: any free one */
    const struct curve_keys *keys;                    /* of the broker; copied */
    const char *key_table;                            /* path of data/broker/keys.json */
    const char *revoked;                              /* path of data/broker/revoked; NULL: revoked
                                                       * capabilities are forgotten at the end */
    const char *mail_folder;                          /* data/broker/mail; NULL: no inboxes */
    const char *audit;                                /* path of data/audit/bus.jsonl; NULL: none */
    const struct config *config;                      /* outlives the broker; the BROKER_ limits */
    const struct ed25519_public_key *capability_keys; /* for bus:tap; copied */
    size_t capability_key_count;
    const struct clock *clock;
    const struct logger *logger;
};

/* Binds and starts the broker's thread (a CZMQ actor). UNAVAILABLE names address, port and setting
 * when the port is taken. */
enum status broker_start(struct broker **broker_p, const struct broker_options *options,
                         struct error *error);
void broker_stop(struct broker **broker_p);

const char *broker_endpoint(const struct broker *broker); /* "tcp://127.0.0.1:6066", actual port */

/* Readable when the broker ended by itself (ZAP thread died, …). */
void *broker_pipe(struct broker *broker);
const struct error *broker_failure(const struct broker *broker);

#endif
