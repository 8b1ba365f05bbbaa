/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/router.h - the broker's thread: the ROUTER socket around the core. */
#ifndef SOS_BROKER_NET_ROUTER_H
#define SOS_BROKER_NET_ROUTER_H

#include "broker/net/broker.h"
#include "broker/net/keytable.h"

struct router;

enum { ROUTER_ENDPOINT_SIZE = 300 };

/* Everything but the loop: context, authentication, monitor, ROUTER bound. Called in the thread
 * that will run it. options and keys outlive it. */
enum status router_open(struct router **router_p, const struct broker_options *options,
                        struct keytable *keys, struct error *error);
void router_close(struct router **router_p);

const char *router_endpoint(const struct router *router);

/* Runs until something is to be read from control (a ZMQ socket; left unread), or until it cannot
 * go on: then error says why. */
enum status router_run(struct router *router, void *control, struct error *error);

#endif
