/* SPDX-License-Identifier: Apache-2.0 */
/* cli/top_model.h - what `sos top` knows of a swarm: fed with answers of service:bus and with the
 * records of a header tap, read by its view. Pure; bounded whatever comes. */
#ifndef SOS_CLI_TOP_MODEL_H
#define SOS_CLI_TOP_MODEL_H

#include "cli/latency.h"
#include "cli/tap_calls.h"

enum {
    TOP_SERVICES_MAX = 64,
    TOP_OPERATIONS_MAX = 256,
    TOP_ROWS_MAX = 64, /* inboxes, peers */
    TOP_HISTORY = 60,  /* seconds of the curve */
    TOP_BOUNDS_MAX = 32,
    TOP_NAME_MAX = 64
};

struct top_service {
    char name[TOP_NAME_MAX];
    uint64_t instances, in_flight, waiting;
};

/* One type of message to one service. */
struct top_operation {
    char service[TOP_NAME_MAX];
    char type[TOP_NAME_MAX];
    struct latency latency;
};

struct top_inbox {
    char name[TOP_NAME_MAX];
    uint64_t waiting, unacked, delayed, dead, bytes;
};

struct top_peer {
    char name[TOP_NAME_MAX];
    uint64_t sessions, in_flight, subscriptions;
    bool online;
};

/* What the metrics say at one moment. */
struct top_figures {
    uint64_t at_us; /* monotonic; 0: none yet */
    double uptime_seconds;
    double requests, records, mail, events; /* so far */
    double refused, dropped, cut, tap_dropped, handshakes;
    size_t bound_count;
    double bounds[TOP_BOUNDS_MAX]; /* of sos_bus_request_seconds: upper bounds, … */
    double counts[TOP_BOUNDS_MAX]; /* … and how many were below */
};

struct top_model {
    uint64_t now_us;   /* monotonic */
    uint64_t since_us; /* the first record could come */
    uint64_t peers, pending;
    struct top_service services[TOP_SERVICES_MAX];
    size_t service_count;
    struct top_operation *operations; /* TOP_OPERATIONS_MAX */
    size_t operation_count;
    struct top_inbox inboxes[TOP_ROWS_MAX];
    size_t inbox_count;
    struct top_peer peer_rows[TOP_ROWS_MAX];
    size_t peer_count;
    struct top_figures now, before; /* before: some ten seconds ago, at most */
    struct top_figures past[10];
    size_t past_count;
    double history[TOP_HISTORY]; /* requests a second, the newest last */
    size_t history_count;
    uint64_t tap_dropped; /* of its own tap */
    struct tap_calls *calls;
};

struct top_model *top_model_new(uint64_t now_us); /* NULL when out of memory */
void top_model_destroy(struct top_model **model_p);

/* Answers of the operations of that name; anything is safe. */
void top_take_directory(struct top_model *model, struct bytes payload);
void top_take_metrics(struct top_model *model, struct bytes payload, uint64_t now_us);
void top_take_inboxes(struct top_model *model, struct bytes payload);
void top_take_peers(struct top_model *model, struct bytes payload);
/* One chunk of the tap. */
void top_take_tap(struct top_model *model, struct bytes payload, uint64_t now_us);

/* A second; 0 while there is but one sample. */
double top_rate(const struct top_model *model, double now, double before);
/* Seconds within which that share of the requests was answered; negative: there was none. */
double top_percentile(const struct top_model *model, double share);
/* Everything that was asked of a service in the last 10 to 20 s. */
struct latency_sum top_service_latency(const struct top_model *model, const char *service);
/* Seconds that the sums of so many slots cover by now. */
double top_window_seconds(const struct top_model *model, unsigned slots);

#endif
