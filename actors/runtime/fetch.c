/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "kernel/assert.h"

enum { CONNECT_MS_MAX = 10000 };

struct transfer {
    TAILQ_ENTRY(transfer) link;
    void *handle;
    CURL *easy;
    struct curl_slist *headers;
    struct buffer body; /* of the answer, not handed over yet */
    size_t received;
    size_t answer_max;
    bool stream;
    bool too_large;
    bool done; /* libcurl is finished with it */
    CURLcode code;
    char words[CURL_ERROR_SIZE];
};

TAILQ_HEAD(transfers, transfer);

struct watch {
    curl_socket_t socket;
    short events;
};

struct fetcher {
    CURLM *multi;
    struct fetch_callbacks callbacks;
    struct transfers transfers;
    size_t count;
    struct watch watches[FETCH_POLL_ITEMS_MAX];
    size_t watch_count;
    bool timeout_set; /* libcurl asked to be called */
    long timeout_ms;  /* from when it asked; the deadline is fixed at the next look at the clock */
    bool deadline_fixed;
    uint64_t deadline_us;
};

/* ---- what libcurl asks for */

static int
on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context)
{
    (void)easy;
    (void)socket_context;
    struct fetcher *fetcher = context;
    size_t at = 0;
    while (at < fetcher->watch_count && fetcher->watches[at].socket != socket)
        at++;
    if (what == CURL_POLL_REMOVE) {
        if (at < fetcher->watch_count)
            fetcher->watches[at] = fetcher->watches[--fetcher->watch_count];
        return 0;
    }
    if (at == fetcher->watch_count) {
        if (at == FETCH_POLL_ITEMS_MAX)
            return -1;
        fetcher->watch_count++;
    }
    short events = 0;
    if (what & CURL_POLL_IN)
        events |= ZMQ_POLLIN;
    if (what & CURL_POLL_OUT)
        events |= ZMQ_POLLOUT;
    fetcher->watches[at] = (struct watch){socket, events};
    return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct fetcher *fetcher = context;
    fetcher->timeout_set = timeout_ms >= 0;
    fetcher->timeout_ms = timeout_ms;
    fetcher->deadline_fixed = false;
    return 0;
}

static size_t
on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t bytes = size * count;
    if (bytes > transfer->answer_max - transfer->received) {
        transfer->too_large = true;
        return 0;
    }
    transfer->received += bytes;
    buffer_append(&transfer->body, data, bytes);
    return transfer->body.failed ? 0 : bytes;
}

/* ---- life */

enum status
fetch_open(struct fetcher **fetcher_p, const struct fetch_callbacks *callbacks, struct error *error)
{
    struct fetcher *fetcher = calloc(1, sizeof *fetcher);
    if (!fetcher)
        return STATUS_NOMEM;
    TAILQ_INIT(&fetcher->transfers);
    fetcher->callbacks = *callbacks;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(fetcher);
        error_set(error, "libcurl cannot be initialised");
        return STATUS_UNAVAILABLE;
    }
    fetcher->multi = curl_multi_init();
    if (!fetcher->multi) {
        fetch_close(&fetcher);
        return STATUS_NOMEM;
    }
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, 16L);
    *fetcher_p = fetcher;
    return STATUS_OK;
}

static void
destroy_transfer(struct fetcher *fetcher, struct transfer *transfer)
{
    if (!transfer->done)
        curl_multi_remove_handle(fetcher->multi, transfer->easy);
    TAILQ_REMOVE(&fetcher->transfers, transfer, link);
    fetcher->count--;
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    buffer_clear(&transfer->body);
    free(transfer);
}

void
fetch_close(struct fetcher **fetcher_p)
{
    struct fetcher *fetcher = *fetcher_p;
    if (!fetcher)
        return;
    struct transfer *transfer;
    while ((transfer = TAILQ_FIRST(&fetcher->transfers)) != NULL)
        destroy_transfer(fetcher, transfer);
    if (fetcher->multi)
        curl_multi_cleanup(fetcher->multi);
    curl_global_cleanup();
    free(fetcher);
    *fetcher_p = NULL;
}

void
fetch_abort(struct fetcher *fetcher, struct transfer *transfer)
{
    destroy_transfer(fetcher, transfer);
}

/* ---- start */

/* A proxy of the environment must not see, nor swallow, what stays on this machine. */
static bool
is_loopback(const char *url)
{
    bool loopback = false;
    char *host = NULL;
    CURLU *parsed = curl_url();
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        loopback = strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
                   strcmp(host, "[::1]") == 0;
    curl_free(host);
    curl_url_cleanup(parsed);
    return loopback;
}

static bool
add_header(struct transfer *transfer, const char *header)
{
    struct curl_slist *headers = curl_slist_append(transfer->headers, header);
    if (!headers)
        return false;
    transfer->headers = headers;
    return true;
}

static bool
set_headers(struct transfer *transfer, const struct outcome_http *request)
{
    for (size_t i = 0; request->headers && request->headers[i]; i++)
        if (!add_header(transfer, request->headers[i]))
            return false;
    /* No round trip for "100 Continue". */
    return add_header(transfer, "Expect:");
}

static bool
set_method(CURL *easy, const struct outcome_http *request)
{
    if (request->body.size > 0 || strcmp(request->method, "POST") == 0) {
        if (curl_easy_setopt(easy, CURLOPT_POST, 1L) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size) !=
                CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS,
                             request->body.size ? (const char *)request->body.data : "") !=
                CURLE_OK)
            return false;
    } else if (strcmp(request->method, "HEAD") == 0) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    }
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
}

static bool
set_options(struct transfer *transfer, const struct outcome_http *request)
{
    CURL *easy = transfer->easy;
    long timeout_ms = request->timeout_ms ? (long)request->timeout_ms : CONNECT_MS_MAX;
    long connect_ms = timeout_ms < CONNECT_MS_MAX ? timeout_ms : CONNECT_MS_MAX;
    return curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "sos/" SOS_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->words) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK &&
           (!is_loopback(request->url) || curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK) &&
           set_method(easy, request);
}

enum status
fetch_start(struct fetcher *fetcher, const struct outcome_http *request, void *handle,
            struct transfer **transfer_p, struct error *error)
{
    if (fetcher->count >= FETCH_TRANSFERS_MAX) {
        error_set(error, "%d HTTP requests are running", FETCH_TRANSFERS_MAX);
        return STATUS_BUSY;
    }
    if (strncasecmp(request->url, "http://", 7) != 0 &&
        strncasecmp(request->url, "https://", 8) != 0) {
        error_set(error, "url: expected http:// or https://");
        return STATUS_INVALID;
    }
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return STATUS_NOMEM;
    transfer->handle = handle;
    transfer->stream = request->stream;
    transfer->answer_max = request->answer_max;
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !set_headers(transfer, request) || !set_options(transfer, request) ||
        curl_multi_add_handle(fetcher->multi, transfer->easy) != CURLM_OK) {
        curl_easy_cleanup(transfer->easy);
        curl_slist_free_all(transfer->headers);
        free(transfer);
        error_set(error, "the HTTP request cannot be set up");
        return STATUS_NOMEM;
    }
    TAILQ_INSERT_TAIL(&fetcher->transfers, transfer, link);
    fetcher->count++;
    *transfer_p = transfer;
    return STATUS_OK;
}

/* ---- the loop */

size_t
fetch_poll_items(const struct fetcher *fetcher, zmq_pollitem_t *items)
{
    for (size_t i = 0; i < fetcher->watch_count; i++)
        items[i] = (zmq_pollitem_t){.fd = fetcher->watches[i].socket,
                                    .events = fetcher->watches[i].events};
    return fetcher->watch_count;
}

/* libcurl's timer is relative: without a look at the clock since then it counts as due. */
uint64_t
fetch_deadline_us(const struct fetcher *fetcher)
{
    if (!fetcher->timeout_set)
        return UINT64_MAX;
    return fetcher->deadline_fixed ? fetcher->deadline_us : 0;
}

static void
collect_done(struct fetcher *fetcher)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(fetcher->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        char *private = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        struct transfer *transfer = (struct transfer *)(void *)private;
        curl_multi_remove_handle(fetcher->multi, easy); /* frees the message */
        transfer->code = code;
        transfer->done = true;
    }
}

static enum status
judge(const struct transfer *transfer, struct error *error)
{
    if (transfer->too_large) {
        error_set(error, "the answer is larger than %zu bytes", transfer->answer_max);
        return STATUS_TOO_LARGE;
    }
    if (transfer->code == CURLE_OK)
        return STATUS_OK;
    error_set(error, "%s",
              transfer->words[0] ? transfer->words : curl_easy_strerror(transfer->code));
    switch (transfer->code) {
    case CURLE_OPERATION_TIMEDOUT:
        return STATUS_TIMEOUT;
    case CURLE_URL_MALFORMAT:
        return STATUS_INVALID;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_WRITE_ERROR:
        return STATUS_NOMEM;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return STATUS_UNAVAILABLE;
    default:
        return STATUS_BAD_GATEWAY;
    }
}

static long
http_status_of(const struct transfer *transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static bool
has_piece(const struct transfer *transfer)
{
    long status = http_status_of(transfer);
    return transfer->stream && transfer->body.size > 0 && status >= 200 && status < 300;
}

/* Callbacks may abort any transfer: after each one the walk begins anew. */
static bool
deliver_one(struct fetcher *fetcher)
{
    struct transfer *transfer;
    TAILQ_FOREACH(transfer, &fetcher->transfers, link)
    {
        void *handle = transfer->handle;
        long status = http_status_of(transfer);
        struct buffer body = transfer->body;
        if (has_piece(transfer)) {
            buffer_init(&transfer->body);
            fetcher->callbacks.on_data(fetcher->callbacks.context, handle, status,
                                       buffer_bytes(&body));
            buffer_clear(&body);
            return true;
        }
        if (transfer->done) {
            struct error error = ERROR_INIT;
            enum status result = judge(transfer, &error);
            buffer_init(&transfer->body);
            destroy_transfer(fetcher, transfer);
            fetcher->callbacks.on_done(fetcher->callbacks.context, handle, result, &error, status,
                                       buffer_bytes(&body));
            buffer_clear(&body);
            return true;
        }
    }
    return false;
}

void
fetch_process(struct fetcher *fetcher, const zmq_pollitem_t *items, size_t count,
              uint64_t monotonic_us)
{
    int running;
    for (size_t i = 0; i < count; i++) {
        int events = 0;
        if (items[i].revents & ZMQ_POLLIN)
            events |= CURL_CSELECT_IN;
        if (items[i].revents & ZMQ_POLLOUT)
            events |= CURL_CSELECT_OUT;
        if (items[i].revents & ZMQ_POLLERR)
            events |= CURL_CSELECT_ERR;
        if (events)
            curl_multi_socket_action(fetcher->multi, items[i].fd, events, &running);
    }
    if (fetcher->timeout_set && fetcher->deadline_fixed && monotonic_us >= fetcher->deadline_us) {
        fetcher->timeout_set = false; /* set again from within when there is more to wait for */
        curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    if (fetcher->timeout_set && !fetcher->deadline_fixed) {
        fetcher->deadline_us = monotonic_us + (uint64_t)fetcher->timeout_ms * 1000;
        fetcher->deadline_fixed = true;
    }
    collect_done(fetcher);
    while (deliver_one(fetcher))
        ;
}
