/* SPDX-License-Identifier: Apache-2.0 */
/* JetStream: what --durable is measured against. Messages go into a stream on disk; the server acks
 * one when it is written, but not synced. A client's subject is its own, in a stream that keeps
 * what it gets; a publisher's is a work queue, where an acked message is gone, as in an inbox.
 * --keys: the CA, for TLS. */
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "load.h"

enum { FLUSH_MS = 5000, LOOK_MS = 20, SUBJECT_SIZE = 64, PENDING_MAX = 16384, WINDOW = 1024 };

static const char kept_subject[] = "bench.kept.*";
static const char queue_subject[] = "bench.queue";
static const char credit_subject[] = "bench.credit";

struct transport {
    const struct load_options *options;
    struct load *load;
    natsOptions *nats_options;
    natsConnection *connection;
    natsSubscription *subscription;
    jsCtx *stream;
    char subject[SUBJECT_SIZE]; /* that is sent to */
    unsigned unacked;
    pthread_mutex_t lock; /* the load belongs to one thread at a time */
    pthread_cond_t changed;
};

static void
check(natsStatus status, const char *what)
{
    if (status != NATS_OK)
        load_fail(what, natsStatus_GetText(status));
}

static void
hand_on(struct transport *transport, natsMsg *message)
{
    load_received(transport->load, (const uint8_t *)natsMsg_GetData(message),
                  (size_t)natsMsg_GetDataLength(message));
}

/* On a thread of the library, as all that follow. */
static void
on_ack(jsCtx *stream, natsMsg *message, jsPubAck *ack, jsPubAckErr *problem, void *context)
{
    (void)stream, (void)ack;
    struct transport *transport = context;
    if (problem)
        load_fail("the stream said", problem->ErrText);
    pthread_mutex_lock(&transport->lock);
    transport->unacked--;
    if (transport->options->role == ROLE_CLIENT)
        hand_on(transport, message);
    else
        load_pump(transport->load);
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
    natsMsg_Destroy(message);
}

static void
on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
           void *context)
{
    (void)connection, (void)subscription;
    struct transport *transport = context;
    pthread_mutex_lock(&transport->lock);
    hand_on(transport, message);
    if (transport->options->role == ROLE_SUBSCRIBER)
        check(natsMsg_Ack(message, NULL), "ack");
    if (load_ended(transport->load))
        pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
    natsMsg_Destroy(message);
}

static void
make_stream(struct transport *transport, const char *name, const char *subject,
            jsRetentionPolicy retention)
{
    jsStreamConfig config;
    jsErrCode code = 0;
    check(jsStreamConfig_Init(&config), "describe a stream");
    config.Name = name;
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Retention = retention;
    check(js_AddStream(NULL, transport->stream, &config, NULL, &code), "make a stream");
}

static void
open_streams(struct transport *transport)
{
    jsOptions options;
    check(jsOptions_Init(&options), "make options");
    options.PublishAsync.MaxPending = PENDING_MAX;
    options.PublishAsync.AckHandler = on_ack;
    options.PublishAsync.AckHandlerClosure = transport;
    check(natsConnection_JetStream(&transport->stream, transport->connection, &options),
          "use streams");
    make_stream(transport, "KEPT", kept_subject, js_LimitsPolicy);
    make_stream(transport, "QUEUE", queue_subject, js_WorkQueuePolicy);
}

static void
subscribe(struct transport *transport)
{
    jsSubOptions options;
    switch (transport->options->role) {
    case ROLE_CLIENT:
        snprintf(transport->subject, SUBJECT_SIZE, "bench.kept.%u", transport->options->index);
        return;
    case ROLE_PUBLISHER:
        snprintf(transport->subject, SUBJECT_SIZE, "%s", queue_subject);
        check(natsConnection_Subscribe(&transport->subscription, transport->connection,
                                       credit_subject, on_message, transport),
              "subscribe");
        break;
    case ROLE_SUBSCRIBER:
        check(jsSubOptions_Init(&options), "make options");
        options.ManualAck = true;
        options.Config.AckPolicy = js_AckExplicit;
        options.Config.MaxAckPending = WINDOW;
        check(js_Subscribe(&transport->subscription, transport->stream, queue_subject, on_message,
                           transport, NULL, &options, NULL),
              "subscribe");
        break;
    default:
        load_fail("jetstream", "no such role");
    }
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
    pthread_cond_init(&transport->changed, NULL);
    check(natsOptions_Create(&transport->nats_options), "make options");
    check(natsOptions_SetURL(transport->nats_options, options->address), "set the address");
    if (options->keys) {
        check(natsOptions_SetSecure(transport->nats_options, true), "use TLS");
        check(natsOptions_LoadCATrustedCertificates(transport->nats_options, options->keys),
              "read the certificate");
    }
    check(natsOptions_SetSendAsap(transport->nats_options, options->at_once), "set options");
    check(natsConnection_Connect(&transport->connection, transport->nats_options), "connect");
    open_streams(transport);
    subscribe(transport);
    check(natsConnection_FlushTimeout(transport->connection, FLUSH_MS), "subscribe");
    return transport;
}

bool
transport_send(struct transport *transport, const uint8_t *data, size_t size)
{
    natsStatus status = NATS_OK;
    if (transport->options->role == ROLE_SUBSCRIBER) {
        status = natsConnection_Publish(transport->connection, credit_subject, data, (int)size);
    } else {
        if (transport->unacked == transport->options->in_flight)
            return false;
        transport->unacked++;
        status = js_PublishAsync(transport->stream, transport->subject, data, (int)size, NULL);
    }
    check(status, "send");
    return true;
}

void
transport_run(struct transport *transport)
{
    pthread_mutex_lock(&transport->lock);
    load_pump(transport->load);
    while (!load_ended(transport->load) || transport->unacked > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&transport->changed, &transport->lock, &until);
    }
    pthread_mutex_unlock(&transport->lock);
    check(natsConnection_FlushTimeout(transport->connection, FLUSH_MS), "flush");
}

void
transport_close(struct transport *transport)
{
    if (transport->subscription)
        check(natsSubscription_Unsubscribe(transport->subscription), "unsubscribe");
    natsSubscription_Destroy(transport->subscription);
    jsCtx_Destroy(transport->stream);
    natsConnection_Destroy(transport->connection);
    natsOptions_Destroy(transport->nats_options);
    nats_Close();
    pthread_cond_destroy(&transport->changed);
    pthread_mutex_destroy(&transport->lock);
    free(transport);
}
