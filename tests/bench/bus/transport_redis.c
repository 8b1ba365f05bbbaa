/* SPDX-License-Identifier: Apache-2.0 */
/* Redis: publish/subscribe, in the clear. Redis knows no queue group, so clients take the workers
 * in turn; and no reply address, so a message begins with who is to be answered. A connection that
 * subscribed can say nothing else: each role has a second one. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { NAME_SIZE = 64, MESSAGE_MAX = 65536 + 4, WAIT_MS = 100 };

struct transport {
    const struct load_options *options;
    struct load *load;
    redisContext *listening;
    redisContext *saying;
    uint32_t client; /* of the request being answered */
    unsigned next_worker;
    bool waiting; /* commands that were not written yet */
    uint8_t message[MESSAGE_MAX];
};

static redisContext *
connect_to(const char *address)
{
    char host[NAME_SIZE];
    const char *colon = strrchr(address, ':');
    if (!colon || colon - address >= NAME_SIZE)
        load_fail("--address", "expected host:port");
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    redisContext *context = redisConnect(host, atoi(colon + 1));
    if (!context || context->err)
        load_fail("connect", context ? context->errstr : NULL);
    return context;
}

static void
name_of(char name[static NAME_SIZE], const char *kind, unsigned index)
{
    snprintf(name, NAME_SIZE, "bench.%s.%u", kind, index);
}

struct transport *
transport_open(const struct load_options *options, struct load *load)
{
    static const char *const kinds[] = {[ROLE_CLIENT] = "client",
                                        [ROLE_WORKER] = "worker",
                                        [ROLE_PUBLISHER] = "credit",
                                        [ROLE_SUBSCRIBER] = "data"};
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport || options->role > ROLE_SUBSCRIBER)
        load_fail("start", "out of memory, or no such role");
    char name[NAME_SIZE];
    bool alone = options->role == ROLE_CLIENT || options->role == ROLE_WORKER;
    transport->options = options;
    transport->load = load;
    transport->listening = connect_to(options->address);
    transport->saying = connect_to(options->address);
    name_of(name, kinds[options->role], alone ? options->index : 0);
    redisReply *reply = redisCommand(transport->listening, "SUBSCRIBE %s", name);
    if (!reply)
        load_fail("subscribe", transport->listening->errstr);
    freeReplyObject(reply);
    return transport;
}

static void
write_out(struct transport *transport)
{
    int done = 0;
    while (!done)
        if (redisBufferWrite(transport->saying, &done) != REDIS_OK)
            load_fail("send", transport->saying->errstr);
    transport->waiting = false;
}

bool
transport_send(struct transport *transport, const uint8_t *data, size_t size)
{
    char name[NAME_SIZE];
    uint32_t client = transport->options->index;
    switch (transport->options->role) {
    case ROLE_CLIENT:
        name_of(name, "worker", transport->next_worker++ % transport->options->workers);
        break;
    case ROLE_WORKER:
        client = transport->client;
        name_of(name, "client", client);
        break;
    case ROLE_PUBLISHER:
        name_of(name, "data", 0);
        break;
    default:
        name_of(name, "credit", 0);
    }
    memcpy(transport->message, &client, sizeof client);
    memcpy(transport->message + sizeof client, data, size);
    const char *arguments[] = {"PUBLISH", name, (const char *)transport->message};
    const size_t sizes[] = {7, strlen(name), sizeof client + size};
    if (redisAppendCommandArgv(transport->saying, 3, arguments, sizes) != REDIS_OK)
        load_fail("send", transport->saying->errstr);
    transport->waiting = true;
    if (transport->options->at_once)
        write_out(transport);
    return true;
}

static void
take(struct transport *transport, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        load_fail("redis said", reply->str);
    /* "message", the channel, the bytes; anything else only says that a command was done. */
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[2]->type != REDIS_REPLY_STRING || reply->element[2]->len < 4)
        return;
    const redisReply *message = reply->element[2];
    memcpy(&transport->client, message->str, sizeof transport->client);
    load_received(transport->load, (const uint8_t *)message->str + sizeof transport->client,
                  (size_t)message->len - sizeof transport->client);
}

static void
read_from(struct transport *transport, redisContext *context)
{
    void *reply;
    if (redisBufferRead(context) != REDIS_OK)
        load_fail("receive", context->errstr);
    while (redisGetReplyFromReader(context, &reply) == REDIS_OK && reply) {
        take(transport, reply);
        freeReplyObject(reply);
    }
    if (context->err)
        load_fail("receive", context->errstr);
}

void
transport_run(struct transport *transport)
{
    while (!load_ended(transport->load)) {
        load_pump(transport->load);
        if (transport->waiting)
            write_out(transport);
        struct pollfd items[] = {{transport->listening->fd, POLLIN, 0},
                                 {transport->saying->fd, POLLIN, 0}};
        poll(items, 2, WAIT_MS);
        if (items[0].revents)
            read_from(transport, transport->listening);
        if (items[1].revents)
            read_from(transport, transport->saying);
    }
    if (transport->waiting)
        write_out(transport);
}

void
transport_close(struct transport *transport)
{
    redisFree(transport->listening);
    redisFree(transport->saying);
    free(transport);
}
