/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/session/exchange.h - one call on its way over the bus: from the request to the reply,
 * chunk by chunk.
 *
 * Who makes it knows its exchange by a handle of slot and generation: one that is over is never
 * taken for the exchange that has its slot since. Towards the bus a slot stays in its place as long
 * as the table lives, and the peer promises no callback after a cancel. Credit is given back as
 * chunks leave to the client, so that a slow client holds at most one window of them. One thread.
 */
#ifndef SOS_GATEWAY_SESSION_EXCHANGE_H
#define SOS_GATEWAY_SESSION_EXCHANGE_H

#include "gateway/session/bus.h"
#include "kernel/bytes.h"
#include "kernel/status.h"

struct exchanges;

typedef uint64_t exchange_handle; /* 0 is none */

/* Where an answer goes. Exactly one of reply and refuse is called per exchange, after any number of
 * chunks. */
struct exchange_sink {
    void (*reply)(void *context, struct bytes payload);
    void (*refuse)(void *context, enum status status,
                   struct bytes payload); /* payload as error_pack() */
    /* Anything but OK cancels the call, and refuse follows with that status: BAD_GATEWAY for what
     * cannot be read, BUSY for what cannot be held. NULL unless a stream is asked for. */
    enum status (*chunk)(void *context, struct bytes payload);
};

struct exchange_request {
    const char *service; /* "memory" */
    const char *type;    /* "memory_store" */
    unsigned flags;      /* enum operation_flag */
    uint32_t ttl_ms;
    struct bytes payload;
    struct text capability;
    struct text principal;       /* empty: the gateway itself */
    struct text idempotency_key; /* empty: none */
    const struct trace *trace;
    bool stream;
    const struct exchange_sink *sink;
    void *context; /* of the sink */
};

/* NULL when out of memory. */
struct exchanges *exchanges_new(const struct bus *bus);
/* Abandons what is under way. */
void exchanges_destroy(struct exchanges **exchanges_p);

/* OK: the sink is called later, and *handle names the exchange until then. Otherwise nothing was
 * begun: BUSY, TOO_LARGE, NOMEM … */
enum status exchange_begin(struct exchanges *exchanges, const struct exchange_request *request,
                           exchange_handle *handle, struct error *error);

/* Asks the service how it is. A service that takes what one peer asks in its order, as the broker
 * does, has not refused what was asked before when the answer comes. */
enum status exchange_probe(struct exchanges *exchanges, const char *service,
                           const struct trace *trace, const struct exchange_sink *sink,
                           void *context, exchange_handle *handle);

/* The client left: cancels on the bus, the sink is not called again. Unknown handles are ignored.
 * Not for an exchange whose sink is being called: chunk() ends it by what it returns. */
void exchange_abandon(struct exchanges *exchanges, exchange_handle handle);

/* Every chunk so far has left to the client. */
void exchange_drained(struct exchanges *exchanges, exchange_handle handle);

/* The gateway ends: whatever is under way is cancelled and answered with this status. */
void exchanges_end(struct exchanges *exchanges, enum status status, const struct error *error);

size_t exchanges_count(const struct exchanges *exchanges);

#endif
