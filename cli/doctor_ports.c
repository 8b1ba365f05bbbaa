/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_ports.c - can every port be had, and who has it now? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/home.h"
#include "cli/hosts.h"
#include "cli/listeners.h"

struct place {
    enum option_id option;
    const char *door; /* as the gateway names it; NULL: the broker's */
};

static const struct place places[] = {
    {OPTION_BROKER_PORT, NULL},
    {OPTION_GATEWAY_PORT, "unified"},
    {OPTION_GATEWAY_ENGINE_PORT, "engine"},
    {OPTION_GATEWAY_MEMORY_PORT, "memory"},
    {OPTION_GATEWAY_MEMORY_PORT2, "memory2"},
    {OPTION_GATEWAY_ECONOMY_PORT, "economy"},
    {OPTION_GATEWAY_TOOLS_PORT, "tools"},
    {OPTION_GATEWAY_TOOLS_PORT2, "tools2"},
    {OPTION_GATEWAY_IDENTITY_PORT, "identity"},
    {OPTION_GATEWAY_VOICE_PORT, "voice"},
};
enum { PLACES = sizeof places / sizeof places[0] };

/* The port in config/swarm.json; 0: it says none. */
static uint16_t
broker_port(const struct doctor *doctor)
{
    struct connection connection;
    uint16_t port = 0;
    if (home_connection(doctor->home, HOME_OPERATOR_KEY, &connection, NULL) != STATUS_OK)
        return 0;
    const char *colon = strrchr(connection.endpoint, ':');
    if (colon)
        port = (uint16_t)strtoul(colon + 1, NULL, 10);
    connection_clear(&connection);
    return port;
}

/* What runs has the ports that it took; else those of the settings count. */
static uint16_t
port_of(const struct doctor *doctor, const struct host_ports *taken, const struct place *place)
{
    uint16_t port = 0;
    if (doctor->swarm_pid)
        port = place->door ? host_port(taken, place->door) : broker_port(doctor);
    if (port == 0 && strcmp(config_string(doctor->config, OPTION_PORTS), "auto") != 0)
        port = (uint16_t)config_uint(doctor->config, place->option);
    return port;
}

static const char *
address_of(const struct doctor *doctor, const struct place *place)
{
    return config_string(doctor->config, place->door ? OPTION_GATEWAY_BIND : OPTION_BROKER_BIND);
}

static void
check_bound(struct doctor *doctor, const struct place *place, uint16_t port, int failure)
{
    struct listener owner;
    const char *key = option_key(place->option);
    const char *address = address_of(doctor, place);
    if (failure == EADDRINUSE) {
        listener_find(doctor->host->root, port, &owner);
        if (doctor->swarm_pid && listener_is_of(doctor->host->root, &owner, doctor->swarm_pid))
            return;
        if (owner.pid)
            doctor_add(doctor, FINDING_ERROR, key, "end that program, or set another port",
                       "port %u of %s is taken by %s (pid %ld)", port, address, owner.program,
                       owner.pid);
        else if (owner.found)
            doctor_add(doctor, FINDING_ERROR, key, "end that program, or set another port",
                       "port %u of %s is taken by a program of user %u", port, address, owner.user);
        else
            doctor_add(doctor, FINDING_ERROR, key,
                       "find out by whom (ss -ltnp), or set another port", "port %u of %s is taken",
                       port, address);
    } else if (failure == EADDRNOTAVAIL) {
        doctor_add(doctor, FINDING_ERROR, place->door ? "gateway.bind" : "broker.bind",
                   "bind an address of this host, or 127.0.0.1", "%s is no address of this host",
                   address);
    } else if (failure == EACCES) {
        doctor_add(doctor, FINDING_ERROR, key,
                   "set a port from 1024 on, or grant "
                   "CAP_NET_BIND_SERVICE",
                   "port %u may not be taken by this user", port);
    } else if (failure) {
        doctor_add(doctor, FINDING_WARNING, key, "see what is wrong with the network",
                   "port %u of %s cannot be tried: %s", port, address, strerror(failure));
    } else if (doctor->swarm_pid) {
        doctor_add(doctor, FINDING_ERROR, key, "see why: sos logs; then sos down and sos up",
                   "nobody listens at port %u of %s, though the swarm runs", port, address);
    }
}

static void
check_twice(struct doctor *doctor, const uint16_t ports[static PLACES], size_t which)
{
    for (size_t i = 0; i < which; i++)
        if (ports[i] && ports[i] == ports[which])
            doctor_add(doctor, FINDING_ERROR, option_key(places[which].option), "set another port",
                       "port %u is also that of %s", ports[which], option_key(places[i].option));
}

void
doctor_check_ports(struct doctor *doctor)
{
    struct host_ports taken = {0};
    uint16_t ports[PLACES];
    size_t looked = 0;
    if (doctor->swarm_pid && host_ports_load(&taken, doctor->home, NULL) != STATUS_OK)
        doctor_add(doctor, FINDING_ERROR, "run/gateway.json",
                   "see why the gateway did not write it: sos logs gateway",
                   "cannot be read, though the swarm runs");
    for (size_t i = 0; i < PLACES; i++) {
        ports[i] = port_of(doctor, &taken, &places[i]);
        if (ports[i] == 0)
            continue;
        looked++;
        check_twice(doctor, ports, i);
        check_bound(doctor, &places[i], ports[i],
                    doctor->host->bind(address_of(doctor, &places[i]), ports[i]));
    }
    if (findings_of(&doctor->findings, "ports") > 0)
        return;
    if (looked == 0)
        doctor_add(doctor, FINDING_OK, "", "", "the swarm will take free ones (ports=auto)");
    else if (doctor->swarm_pid)
        doctor_add(doctor, FINDING_OK, "", "", "%zu ports, all the swarm's", looked);
    else
        doctor_add(doctor, FINDING_OK, "", "", "%zu ports, all free", looked);
}
