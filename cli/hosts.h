/* SPDX-License-Identifier: Apache-2.0 */
/* cli/hosts.h - starts the parts of a swarm inside this process from a home's files: the broker,
 * the gateway, services. Used by the processes that `sos up` runs and by `sos up --single`. */
#ifndef SOS_CLI_HOSTS_H
#define SOS_CLI_HOSTS_H

#include "actors/runtime/actor.h"
#include "broker/net/broker.h"
#include "gateway/gateway.h"
#include "kernel/config.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/status.h"

/* The services that this binary holds; ends with NULL. */
extern const struct service *const hosted_services[];
const struct service *hosted_service(const char *name);

/* A store of a home: of a service that holds one, or the broker's inboxes. */
struct host_store {
    const char *service; /* who makes a checkpoint of it */
    char folder[128];    /* below the home */
    uint32_t schema;
};
enum { HOST_STORES_MAX = 16 };
size_t host_stores(struct host_store stores[static HOST_STORES_MAX]);

struct host_environment {
    const char *home;
    const struct config *config;
    const struct clock *clock;
    const struct logger
        *logger; /* its service field names the part; lives as long as what is started */
};

/* With ports=auto every port setting becomes 0. With `keep`, ports become those that the home's
 * broker and gateway had last, so that after a restart they are found where they were. */
enum status host_choose_ports(struct config *config, const char *home, bool keep,
                              struct error *error);

/* Writes config/swarm.json with the actual endpoint. */
enum status host_broker(struct broker **broker_p, const struct host_environment *environment,
                        struct error *error);

/* Writes run/gateway.json: {"pid":…,"bind":…,"ports":{"engine":6060,…}}. */
enum status host_gateway(struct gateway **gateway_p, const struct host_environment *environment,
                         struct error *error);

enum status host_service(struct actor **actor_p, const struct host_environment *environment,
                         const struct service *service, struct error *error);

/* Ports as the gateway wrote them, and its bind address. */
struct host_ports {
    char bind[64];
    struct gateway_port ports[GATEWAY_PORTS_MAX];
    char names[GATEWAY_PORTS_MAX][24];
    size_t count;
};
enum status host_ports_load(struct host_ports *ports, const char *home, struct error *error);
uint16_t host_port(const struct host_ports *ports, const char *name); /* 0: no such door */

/* The base URL of a door, "http://127.0.0.1:6060". */
void host_url(const struct host_ports *ports, const char *name, char *url, size_t size);

#endif
