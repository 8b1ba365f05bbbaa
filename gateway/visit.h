/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/visit.h - one HTTP call as the gateway's front sees it, and how it is answered. Internal
 * to front.c, own.c and visit.c. */
#ifndef SOS_GATEWAY_VISIT_H
#define SOS_GATEWAY_VISIT_H

#include "gateway/cors.h"
#include "gateway/figures.h"
#include "gateway/guard.h"
#include "gateway/health.h"
#include "gateway/http.h"
#include "gateway/routes.h"
#include "gateway/session/exchange.h"
#include "gateway/translate.h"
#include "gateway/uri.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/trace.h"

struct visit;
struct socket;

enum { FRONT_RANDOM_SIZE = 24 * 64 };

struct front {
    struct bus bus;
    const struct clock *clock;
    const struct logger *logger;
    struct http *http;
    struct cors cors;
    struct guard guard;
    struct routes *routes;
    struct translator *translator;
    struct exchanges *exchanges;
    const struct contract *bus_contract; /* of service:bus; NULL: there is none */
    struct json_parser *parser;          /* of what comes over WebSockets */
    struct socket *sockets;              /* all */
    struct socket *dirty;                /* those that have something to write */
    struct visit *lasting;               /* streams of events that last until the client leaves */
    uint64_t comment_us;                 /* when something is said on those again */
    size_t streams;                      /* sockets, and those */
    size_t streams_max;
    struct health *health;
    struct figures *figures;
    struct buffer scratch;
    struct visit *spare;
    size_t spare_count;
    uint8_t random[FRONT_RANDOM_SIZE]; /* for new traces: one system call for many */
    size_t random_left;
    bool draining;
};

enum visit_purpose {
    VISIT_ANSWERED,  /* in on_head already */
    VISIT_OPERATION, /* goes over the bus */
    VISIT_METRICS,
    VISIT_SOCKET /* a WebSocket */
};

struct visit {
    struct front *front;
    struct http_call *call;
    enum visit_purpose purpose;
    enum door port; /* DOORS: the unified one */
    enum door door; /* whose metrics are asked */
    struct trace trace;
    uint64_t started_us;
    uint64_t begun_us; /* an endless answer; 0: none did */
    struct socket *socket;
    exchange_handle exchange;
    bool streaming;        /* a stream of events has begun */
    bool lasting;          /* in front.lasting */
    exchange_handle probe; /* of a lasting one: its answer says that it was not refused */
    struct route_match match;
    struct uri uri;
    struct buffer storage;       /* of uri */
    struct visit *before, *next; /* among the lasting or the spare ones */
};

/* On whose behalf the gateway calls. */
extern const char visit_principal[];

/* What an answer has beside the headers of every answer. */
struct visit_answer {
    unsigned status;
    const char *content_type; /* NULL: no body */
    enum http_body body_type;
    struct text body;
    const char *allow;
    const char *location;
    const char *security_policy;
    const char *cache_control;
    const char *websocket_accept;
    uint32_t retry_after; /* seconds; 0: none */
    bool preflight;
};

void visit_answer(struct visit *visit, const struct visit_answer *answer);
/* 200 with what is in body, which is taken; the refusal of STATUS_NOMEM when it has failed. */
void visit_give(struct visit *visit, const char *content_type, struct buffer *body);

/* The head of a stream of events. */
void visit_stream(struct visit *visit);

/* 101 for a WebSocket. */
void visit_upgrade(struct visit *visit, const char *websocket_accept);

/* The error body of a status with error's words, or with the payload of a refusal that came over
 * the bus. */
void visit_refuse(struct visit *visit, enum status status, const struct error *error);
void visit_refuse_payload(struct visit *visit, enum status status, struct bytes payload,
                          const struct visit_answer *more);
/* As visit_refuse, with another HTTP status or further headers in `more`. */
void visit_refuse_with(struct visit *visit, enum status status, const struct error *error,
                       const struct visit_answer *more);

#endif
