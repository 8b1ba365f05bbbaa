/* SPDX-License-Identifier: Apache-2.0 */
/* cli/health.h - asks the parts of a running swarm how they are, over the bus. */
#ifndef SOS_CLI_HEALTH_H
#define SOS_CLI_HEALTH_H

#include "cli/command.h"
#include "kernel/bytes.h"

/* Returns OK once the broker, every hosted service and the gateway's doors say "ok". Nothing is
 * polled: the broker holds a request for a service that is not there yet. TIMEOUT names who is
 * missing. */
enum status health_await(struct cli *cli, uint32_t timeout_ms, struct error *error);

/* One health map (msgpack) of service "bus" or a service; appended to out. */
struct peer;
enum status health_ask(struct peer *peer, const char *service, uint32_t timeout_ms,
                       struct buffer *out, struct error *error);

/* The same of the gateway, which is no service of the bus: asked at its unified port. Its status is
 * also that of the services behind it. UNAVAILABLE says what came instead. Waits at most timeout_ms
 * for each step. */
enum status health_ask_gateway(const char *home, uint32_t timeout_ms, struct buffer *out,
                               struct error *error);

#endif
