/* SPDX-License-Identifier: Apache-2.0 */
/* NATS: a queue group of workers, subjects for the rest. --keys: the CA, for TLS. --at-once: the
 * connection sends each message by itself; else its flusher gathers them, as it does by default. */
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "load.h"

enum { FLUSH_MS = 5000, LOOK_MS = 20 };

static const char work_subject[] = "bench.work";
static const char data_subject[] = "bench.data";
static const char credit_subject[] = "bench.credit";

struct transport {
    const struct load_options *options;
    struct load *load;
    natsOptions *nats_options;
    natsConnection *connection;
    natsSubscription *subscription;
    natsInbox *inbox;
    const char *reply_to; /* of the request being answered */
    pthread_mutex_t lock; /* the load belongs to one thread at a time */
    pthread_cond_t ended;
};

static void
check(natsStatus status, const char *what)
{
    if (status != NATS_OK)
        load_fail(what, natsStatus_GetText(status));
}

/* On a thread of the library. */
static void
on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
           void *context)
{
    (void)connection, (void)subscription;
    struct transport *transport = context;
    pthread_mutex_lock(&transport->lock);
    transport->reply_to = natsMsg_GetReply(message);
    load_received(transport->load, (const uint8_t *)natsMsg_GetData(message),
                  (size_t)natsMsg_GetDataLength(message));
    if (load_ended(transport->load))
        pthread_cond_signal(&transport->ended);
    pthread_mutex_unlock(&transport->lock);
    natsMsg_Destroy(message);
}

static void
subscribe(struct transport *transport)
{
    natsStatus status = NATS_OK;
    switch (transport->options->role) {
    case ROLE_WORKER:
        status = natsConnection_QueueSubscribe(&transport->subscription, transport->connection,
                                               work_subject, "workers", on_message, transport);
        break;
    case ROLE_CLIENT:
        check(natsInbox_Create(&transport->inbox), "make an inbox");
        status = natsConnection_Subscribe(&transport->subscription, transport->connection,
                                          transport->inbox, on_message, transport);
        break;
    case ROLE_PUBLISHER:
        status = natsConnection_Subscribe(&transport->subscription, transport->connection,
                                          credit_subject, on_message, transport);
        break;
    case ROLE_SUBSCRIBER:
        status = natsConnection_Subscribe(&transport->subscription, transport->connection,
                                          data_subject, on_message, transport);
        break;
    default:
        load_fail("nats", "no such role");
    }
    check(status, "subscribe");
    check(natsSubscription_SetPendingLimits(transport->subscription, -1, -1), "set limits");
}

struct transport *
transport_open(const struct load_options *options, struct load *load)
{
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        load_fail("start", "out of memory");
    transport->options = options;
    transport->load = load;
    pthread_mutex_init(&transport->lock, NULL);
    pthread_cond_init(&transport->ended, NULL);
    check(natsOptions_Create(&transport->nats_options), "make options");
    check(natsOptions_SetURL(transport->nats_options, options->address), "set the address");
    if (options->keys) {
        check(natsOptions_SetSecure(transport->nats_options, true), "use TLS");
        check(natsOptions_LoadCATrustedCertificates(transport->nats_options, options->keys),
              "read the certificate");
    }
    check(natsOptions_SetSendAsap(transport->nats_options, options->at_once), "set options");
    check(natsConnection_Connect(&transport->connection, transport->nats_options), "connect");
    subscribe(transport);
    check(natsConnection_FlushTimeout(transport->connection, FLUSH_MS), "subscribe");
    return transport;
}

bool
transport_send(struct transport *transport, const uint8_t *data, size_t size)
{
    natsConnection *connection = transport->connection;
    natsStatus status = NATS_OK;
    switch (transport->options->role) {
    case ROLE_CLIENT:
        status = natsConnection_PublishRequest(connection, work_subject, transport->inbox, data,
                                               (int)size);
        break;
    case ROLE_WORKER:
        status = natsConnection_Publish(connection, transport->reply_to, data, (int)size);
        break;
    case ROLE_PUBLISHER:
        status = natsConnection_Publish(connection, data_subject, data, (int)size);
        break;
    case ROLE_SUBSCRIBER:
        status = natsConnection_Publish(connection, credit_subject, data, (int)size);
        break;
    default:
        break;
    }
    check(status, "send");
    return true;
}

void
transport_run(struct transport *transport)
{
    pthread_mutex_lock(&transport->lock);
    load_pump(transport->load);
    while (!load_ended(transport->load)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&transport->ended, &transport->lock, &until);
    }
    pthread_mutex_unlock(&transport->lock);
    check(natsConnection_FlushTimeout(transport->connection, FLUSH_MS), "flush");
}

void
transport_close(struct transport *transport)
{
    natsSubscription_Destroy(transport->subscription);
    natsConnection_Destroy(transport->connection);
    natsOptions_Destroy(transport->nats_options);
    natsInbox_Destroy(transport->inbox);
    nats_Close();
    pthread_cond_destroy(&transport->ended);
    pthread_mutex_destroy(&transport->lock);
    free(transport);
}
