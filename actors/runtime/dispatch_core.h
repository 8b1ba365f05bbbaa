/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/dispatch_core.h - what the files of dispatch share: dispatch.c takes in, rights.c
 * lets pass, step.c runs one handler, batch.c commits and lets go, load.c makes the state from
 * rows, edition.c follows the policy, builtin.c answers for every service. */
#ifndef SOS_RUNTIME_DISPATCH_CORE_H
#define SOS_RUNTIME_DISPATCH_CORE_H

#include "actors/runtime/audit.h"
#include "actors/runtime/dispatch.h"
#include "actors/runtime/outcome.h"

enum {
    REQUESTS_MAX = 4096,
    REQUEST_BYTES_MAX = 64 << 20,
    BATCH_BYTES_MAX = 4 << 20,
    BUCKETS = 1024,
    REPLY_SIZE_MAX = RECORD_SIZE_MAX - 2048, /* room for the header */
    TICK_US = 1000000,
    STORE_RETRY_US = 1000000,
    TTL_DEFAULT_MS = 30000,
    TTL_MAX_MS = 600000,
    CHECKPOINT_PATH_MAX = 1024
};

/* One handler run, until the batch that it is part of is on disk. */
struct step {
    struct request *request; /* NULL: the service's tick, the runtime's housekeeping */
    size_t first, last;      /* its writes in the batch */
    bool is_audited;         /* entries of the audit trail are among them */
    struct step_set seen;    /* steps it has read from */
    enum status status;      /* of the handler; later of the commit */
    struct buffer reply;     /* result, or packed error */
    struct continuations effects;
};

TAILQ_HEAD(requests, request);

/* The one backup that is asked for. */
struct checkpoint {
    bool wanted; /* waits for the store's thread */
    bool running;
    struct peer_origin origin;
    char folder[CHECKPOINT_PATH_MAX];
};

/* What service:identity has said of the policy, and when it is asked again. */
struct edition_watch {
    struct continuation call; /* while it is asked */
    bool is_asking;
    uint64_t due_us;
    struct buffer kept; /* its last answer that could be read; empty: none yet */
    bool has_complained;
};

struct dispatch {
    struct context context;
    struct dispatch_port port;
    struct dispatch_limits limits;
    const struct clock *clock;
    struct idempotency *idempotency;

    struct requests by_id[BUCKETS];
    struct requests waiting;
    struct requests keyed; /* begun and not ended, with an idempotency key */
    struct continuations ready;
    struct timers timers;
    size_t request_count;
    size_t waiting_count;
    size_t request_bytes;

    struct step *steps; /* OVERLAY_STEPS_MAX */
    size_t step_count;
    bool committing; /* the store's thread works: on a batch or a checkpoint */
    struct checkpoint checkpoint;
    uint64_t commit_started_us;
    struct audit_book audit;

    bool isolating;  /* a commit met a conflict: step by step now */
    size_t isolated; /* the step under way */
    struct step_set refused;
    struct store_batch *slice;

    uint64_t started_us;
    uint64_t tick_us;
    uint64_t routine_us;    /* the service's routine is due */
    struct uuid routine_id; /* of every one of its runs: a second at once is the same request */
    struct edition_watch edition;
    bool stopping;
    bool store_failed;       /* the last commit failed */
    uint64_t store_retry_us; /* no new write until then */
    bool store_full;         /* the last commit found no room on the disk */
    bool failed;
    struct error failure;

    struct metric_family *requests_total, *request_seconds, *queue_depth;
    struct metric *commit_seconds, *commit_requests, *uptime_seconds;
};

/* ---- dispatch.c: the end of a request */

/* Sends the answer and ends the request. An OK waits for the chunks before it. Takes the reply's
 * bytes. */
void dispatch_finish(struct dispatch *dispatch, struct request *request, enum status status,
                     struct buffer *reply);
/* Was a write refused because the disk is full? Then nothing was written, and reads go on. */
bool dispatch_is_full(enum status status, const struct error *error);
/* Logs it when it is ours to look into, packs it into reply. */
void dispatch_pack_refusal(struct dispatch *dispatch, const struct request *request,
                           enum status status, const struct error *error, struct buffer *reply);
void dispatch_refuse(struct dispatch *dispatch, struct request *request, enum status status,
                     const struct error *error);
/* Stops what the request waits for. */
void dispatch_stop_continuations(struct dispatch *dispatch, struct request *request);
void dispatch_end(struct dispatch *dispatch, struct request *request);
void dispatch_flush_chunks(struct dispatch *dispatch, struct request *request);
/* Starts what a step recorded; the request owns it from now on. */
void dispatch_start_effects(struct dispatch *dispatch, struct request *request,
                            struct continuations *effects);

/* ---- rights.c */

/* May its handler run? PENDING: service:identity has to be asked before. */
enum status rights_check(struct dispatch *dispatch, struct request *request, struct error *error);
/* Asks; the request waits again when the answer is yes, and is refused otherwise. */
void rights_ask(struct dispatch *dispatch, struct request *request);
/* The same where this is service:identity, as a step. PENDING: yes, and it goes on when that is on
 * disk. */
enum status rights_use_here(struct dispatch *dispatch, struct request *request,
                            struct outcome *outcome, struct error *error);
bool rights_is_answer(const struct continuation *continuation);
/* Frees the continuation. */
void rights_answered(struct dispatch *dispatch, struct continuation *continuation);
/* Takes the broker's word about revoked capabilities, and ends what runs under them. */
void rights_revoke(struct dispatch *dispatch, const struct message *message);
void rights_refuse_revoked(struct dispatch *dispatch, struct request *request);
/* Whom the call acts for, as its fields say; empty: nobody in particular. */
struct text rights_subject(const struct request *request);

/* ---- step.c */
void step_run_request(struct dispatch *dispatch, struct request *request);
void step_run_event(struct dispatch *dispatch, struct continuation *continuation);
void step_run_piece(struct dispatch *dispatch, struct continuation *continuation,
                    const struct event *event); /* HTTP_DATA: at once, outside of any batch */
void step_run_tick(struct dispatch *dispatch);
/* In a batch: refuses a request whose handler does not run. */
void step_refuse(struct dispatch *dispatch, struct request *request, enum status status,
                 const struct error *error);

/* ---- batch.c */
void batch_begin(struct dispatch *dispatch);
bool batch_has_room(const struct dispatch *dispatch);
void batch_close(struct dispatch *dispatch);

/* ---- audit.c */
void audit_forget_rows(struct dispatch *dispatch); /* before all of them are applied again */
bool audit_covers(const struct dispatch *dispatch, const struct request *request);
enum status audit_apply(struct dispatch *dispatch, struct bytes key, struct bytes value,
                        bool deleted, struct error *error);
void audit_begin_batch(struct dispatch *dispatch);
/* STORE_FAILED, word "not_audited": no entry of this operation could be kept at present. */
enum status audit_admit(const struct dispatch *dispatch, const struct request *request,
                        struct error *error);
/* Writes the entries of a step that ends with this status, and the request's own when it is over
 * and audited. Returns the status, or why the entries cannot be kept: nothing of them is written
 * then. */
enum status audit_settle(struct dispatch *dispatch, struct step *step, struct outcome *outcome,
                         enum status status, struct error *error);
/* For requests that end outside of any step: entries go with the next batch. */
void audit_note_end(struct dispatch *dispatch, const struct request *request, enum status status,
                    const struct error *error);
/* Those of an HTTP_DATA step; succeeded: it was not refused. */
void audit_take_notes(struct dispatch *dispatch, struct outcome *outcome, bool succeeded);
bool audit_has_chores(const struct dispatch *dispatch);
void audit_do_chores(struct dispatch *dispatch);
bool audit_flush_is_due(const struct dispatch *dispatch);
void audit_flush(struct dispatch *dispatch);
void audit_flushed(struct dispatch *dispatch);

/* ---- load.c */
enum status load_state(struct dispatch *dispatch,
                       struct error *error); /* throws the old one away */
void load_drop(struct dispatch *dispatch);
enum status load_apply(struct dispatch *dispatch, const struct store_write *write,
                       struct error *error);

/* ---- routine.c */
void routine_begin(struct dispatch *dispatch); /* when it is due */
bool routine_is(const struct dispatch *dispatch, const struct uuid *request_id);

/* ---- edition.c */
void edition_ask(struct dispatch *dispatch); /* when it is due */
bool edition_is_answer(const struct dispatch *dispatch, const struct continuation *handle);
/* Hands it to the service when it is another one than before. */
void edition_answered(struct dispatch *dispatch, enum status status, struct bytes payload);
void edition_hand(struct dispatch *dispatch); /* to a new state, what is known already */
void edition_news(struct dispatch *dispatch); /* another policy is in force: asked at once */
void edition_stop(struct dispatch *dispatch); /* until the next edition_ask() */

/* ---- checkpoint.c: for backups */
void checkpoint_take(struct dispatch *dispatch, const struct message *message);
void checkpoint_begin(struct dispatch *dispatch); /* starts the wanted one */
void checkpoint_end(struct dispatch *dispatch, enum status status, const struct error *error);

/* ---- builtin.c */
bool builtin_answer(struct dispatch *dispatch, const struct message *message);
enum status builtin_metrics_open(struct dispatch *dispatch);
void builtin_count(struct dispatch *dispatch, const struct request *request, enum status status);
void builtin_count_refused(struct dispatch *dispatch, struct text type, enum status status);

#endif
