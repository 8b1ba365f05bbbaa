/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/fetch.h - HTTP requests to other servers, asynchronous, for a poll loop.
 *
 * libcurl's multi interface with its sockets and timeout handed to the owner's zmq_poll. Only http
 * and https, no redirects, certificates are checked, answers are bounded. One thread. Callbacks run
 * in fetch_process() only, never inside libcurl: they may start and abort transfers. */
#ifndef SOS_RUNTIME_FETCH_H
#define SOS_RUNTIME_FETCH_H

#include <zmq.h>

#include "actors/runtime/service.h"

enum {
    FETCH_TRANSFERS_MAX = 64,
    FETCH_POLL_ITEMS_MAX =
        4 * FETCH_TRANSFERS_MAX /* two addresses tried at once, the resolver's pair */
};

struct fetcher;
struct transfer;

struct fetch_callbacks {
    /* A piece of a streamed body; http_status is 2xx. */
    void (*on_data)(void *context, void *handle, long http_status, struct bytes piece);
    /* Once, the transfer is gone when it returns. body: all that was not streamed. TIMEOUT,
     * UNAVAILABLE, TOO_LARGE, INVALID (the URL), BAD_GATEWAY (an answer that is not HTTP, or ended
     * early). */
    void (*on_done)(void *context, void *handle, enum status status, const struct error *error,
                    long http_status, struct bytes body);
    void *context;
};

enum status fetch_open(struct fetcher **fetcher_p, const struct fetch_callbacks *callbacks,
                       struct error *error);
void fetch_close(struct fetcher **fetcher_p); /* aborts what runs */

/* Copies what it needs. BUSY beyond FETCH_TRANSFERS_MAX, INVALID for other schemes. */
enum status fetch_start(struct fetcher *fetcher, const struct outcome_http *request, void *handle,
                        struct transfer **transfer, struct error *error);
void fetch_abort(struct fetcher *fetcher, struct transfer *transfer); /* no callback comes */

/* Fills what must be polled, at most FETCH_POLL_ITEMS_MAX; returns how many. */
size_t fetch_poll_items(const struct fetcher *fetcher, zmq_pollitem_t *items);
uint64_t fetch_deadline_us(const struct fetcher *fetcher); /* monotonic; UINT64_MAX: none */
/* items: as filled, after the poll. */
void fetch_process(struct fetcher *fetcher, const zmq_pollitem_t *items, size_t count,
                   uint64_t monotonic_us);

#endif
