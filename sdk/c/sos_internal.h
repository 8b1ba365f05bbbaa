/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/c/sos_internal.h - what the files of the public library share; nobody else includes it.
 *
 *   sos_client.c    the client: its thread, connecting, closing
 *   sos_connect.c   whom to be: files, fields, environment
 *   sos_wait.c      threads that wait, callbacks that wait for sos_poll()
 *   sos_call.c      calls            sos_stream.c    answers in parts, the tap
 *   sos_outgoing.c  what leaves and is confirmed: durable messages, publications
 *   sos_inbox.c     the own inbox: what is held, redelivered, given back
 *   sos_acks.c      what was handled, and is not confirmed
 *   sos_mail.c      one message      sos_ask.c       a message and its answer
 *   sos_channel.c   subscriptions, towards the broker
 *   sos_subscription.c   the same, towards the program
 *   sos_event.c     one event, history
 *   sos_publish.c   publications
 *   sos_serve.c     requests that are answered here
 *   sos_envelope.c  what came with a record, for its getters
 *   sos_map.c  sos_map_pack.c  sos_json.c   payloads
 *   sos_basic.c     results, bytes, ids
 *
 * One lock guards a client and everything that hangs on it. The background thread holds it while
 * it works and lets go of it while it polls; the peer is touched by that thread alone. Functions
 * below expect the lock unless they say "unlocked". */
#ifndef SOS_SDK_SOS_INTERNAL_H
#define SOS_SDK_SOS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "kernel/timers.h"
#include "sdk/c/id_table.h"
#include "sdk/c/link.h"
#include "sdk/c/peer.h"
#include "sdk/c/sos.h"

#define NEVER_US TIMERS_NONE

enum {
    CALL_TIMEOUT_MS = 30000,
    CALL_TIMEOUT_MAX_MS = 600000,
    SEND_TIMEOUT_MS = 30000,
    SEND_TIMEOUT_MAX_MS = 100000, /* what was sent again later could be stored twice */
    PUBLISH_TIMEOUT_MS = 10000,
    IDS_PER_RECORD = 256,
    RETRY_US = 1000 * 1000
};

/* ---- callbacks that wait for sos_poll() */

struct work {
    struct work *next;
    /* Ends the work. Called with the lock, returns with it, lets go of it for the callback. */
    void (*run)(struct sos *sos, struct work *work);
    bool queued;
};

/* ---- what leaves and is confirmed */

struct outgoing;
typedef void outgoing_fn(struct sos *sos, struct outgoing *outgoing);

struct outgoing {
    struct work work;
    struct link link; /* in waiting or sent */
    struct timer deadline;
    struct uuid id;
    uint64_t number; /* the order in which they were given */
    enum kind kind;
    bool confirmed; /* an answer is expected */
    bool sent;      /* in this session, not answered */
    bool tried;     /* it has left at least once */
    bool done;
    uint64_t sent_us;
    outgoing_fn *on_done; /* the outgoing is its owner's from then on; NULL: nobody asks */
    void *owner;
    sos_sent_fn *on_sent;
    void *context;
    enum status status;
    struct error error;
    uint64_t seq; /* of the answer */
    size_t size;
    uint8_t record[];
};

struct outbound {
    struct link waiting;
    struct link sent;
    struct id_table by_id; /* those that are confirmed */
    uint64_t last_number;
    size_t count; /* those included that are done and wait for their callback */
    size_t bytes;
    size_t sent_count;
    size_t sent_bytes;
    uint64_t pause_us; /* nothing leaves before; 0 */
    struct timer resend;
};

/* ---- the inbox */

struct ack_batch {
    struct link link;
    struct uuid id;     /* of the ack record; nil: it was not said yet */
    bool again;         /* of messages that came in a session that is lost */
    uint64_t unsure_us; /* until then its messages may still come again; 0 */
    size_t count;
    struct uuid ids[IDS_PER_RECORD];
};

enum inbox_state { INBOX_CLOSED, INBOX_WANTED, INBOX_ASKED, INBOX_OPEN };

struct inbox {
    enum inbox_state state;
    bool leaving; /* unsubscribe is to be said */
    uint64_t session;
    struct uuid subscribe_id;
    uint32_t window;
    uint32_t lease_ms;
    struct link held;      /* mail: all that was delivered and not ended, oldest first */
    struct link queue;     /* mail: of these, those that nobody has taken */
    struct id_table by_id; /* held */
    size_t held_count;
    struct id_table handled; /* acknowledged here lately */
    struct uuid *handled_ring;
    size_t handled_next;
    struct link acks; /* batches to be said, then confirmed */
    struct id_table acks_by_id;
    size_t ack_count; /* ids in all batches */
    struct timer ack_retry;
    struct timer unsure;
    struct timer lease;
    struct timer again; /* subscribe */
    enum status status; /* why it cannot be opened */
    struct error error;
    sos_mail_fn *on_mail;
    void *context;
    struct id_table asks; /* message id -> struct ask */
};

/* ---- the client */

struct waiter {
    struct link link;
    const void *what;
    pthread_cond_t cond;
};

struct sos {
    pid_t pid;
    atomic_uint references;
    atomic_uint knocking; /* threads that want the lock */
    atomic_bool stopped;
    pthread_t thread;
    pthread_mutex_t lock;
    int wake_fd;
    int ready_fd;

    bool started;
    bool asleep;
    bool stirred; /* there is something to do */
    bool closing;
    bool finishing;
    bool ended;
    unsigned users; /* threads in public functions */
    struct link waiters;
    struct work *work_first;
    struct work **work_end;

    struct peer *peer; /* the thread's */
    enum peer_state state;
    uint64_t epoch;
    enum status refusal_status;
    struct error refusal;
    char identity[MESSAGE_NAME_MAX + 1];
    char endpoint[ENDPOINT_SIZE];
    struct logger logger;
    struct uuid_source ids;
    struct buffer scratch;
    struct timers timers;
    uint32_t calls_max;
    uint32_t sends_max;
    size_t send_bytes_max;
    uint32_t close_ms;
    void (*on_state)(void *context, enum sos_state state);
    void (*on_log)(void *context, const char *level, const char *line);
    void *context;

    struct link jobs; /* calls that wait for the thread */
    struct link asked_jobs;
    struct link granting_jobs;
    size_t job_count;
    struct id_table jobs_by_id;
    struct outbound outbound;
    struct inbox inbox;
    struct channels *channels;
    struct serving *serving;
};

/* ---- sos_client.c */
/* Begins a public function, takes the lock. CONFLICT in a forked child, CANCELLED while closing:
 * the function then returns client_leave() at once without having the lock. */
enum status client_enter(struct sos *sos, struct error *error);
/* Ends it: gives the lock back (if entered), fills the caller's error, gives the result. */
int client_leave(struct sos *sos, bool entered, enum status status, const struct error *error,
                 struct sos_error *told);
/* For objects that outlive the client. */
void client_retain(struct sos *sos);
void client_release(struct sos *sos); /* unlocked */
/* Takes the lock also of a client that was closed, as long as the caller retains it. False in a
 * forked child. */
bool client_lock(struct sos *sos);
void client_unlock(struct sos *sos);
/* The thread has something to do. */
void client_stir(struct sos *sos);
bool client_is_connected(const struct sos *sos);
uint64_t client_now_us(const struct sos *sos);
uint64_t client_deadline_us(const struct sos *sos, int timeout_ms);
/* "not connected to …: why" */
void client_absent(const struct sos *sos, struct error *error);
/* Will the broker never let this client in again, as things stand? */
bool client_is_refused(const struct sos *sos, enum status *status, struct error *error);
struct uuid client_new_id(struct sos *sos);

/* ---- sos_connect.c (unlocked) */
enum status connect_find(struct connection *connection, const struct sos_options *options,
                         struct error *error);

/* ---- sos_wait.c */
/* Waits until woken for `what`. TIMEOUT; CANCELLED when the client closes, or was stopped and the
 * wait has no end. The caller looks again whether it has what it waits for. */
enum status wait_for(struct sos *sos, const void *what, uint64_t deadline_us, struct error *error);
/* Waits for a wake-up and looks at nothing else. False: the time was over. */
bool wait_sleep(struct sos *sos, const void *what, uint64_t deadline_us);
void wait_wake(struct sos *sos, const void *what); /* all who wait for it */
void wait_wake_all(struct sos *sos);
void work_add(struct sos *sos, struct work *work);
void work_remove(struct sos *sos, struct work *work); /* when it is queued */
void work_wake(struct sos *sos);                      /* stopped or closing */

/* ---- sos_basic.c (unlocked) */
int basic_fail(struct sos_error *told, enum status status, const struct error *error);
/* Is it worth being said again a little later? */
bool basic_is_transient(enum status status);
struct text basic_text(const char *text);
/* Is it one value, or empty? */
enum status basic_check_payload(struct sos_bytes payload, struct error *error);
/* Takes a W3C traceparent or 32 digits; bytes stays empty for NULL. INVALID. */
enum status basic_trace(const char *given, struct trace *trace, struct error *error);
enum { TRACE_PACKED = 24 };
struct bytes basic_trace_bytes(const struct trace *trace, uint8_t bytes[static TRACE_PACKED]);
/* malloc()ed copy for a caller; false: out of memory. */
bool basic_copy(struct bytes bytes, struct sos_bytes *copy);

/* ---- sos_envelope.c (unlocked) */
struct envelope {
    struct message message; /* views into its own storage */
    const char *from;
    const char *to;
    const char *type;
    const char *principal;
    const char *capability;
    char trace[TRACEPARENT_TEXT_SIZE];
    struct sos_map *map;
    char *text;
    bool parsed;
};
size_t envelope_size(const struct message *message); /* of its storage */
void envelope_fill(struct envelope *envelope, const struct message *message, void *storage);
void envelope_clear(struct envelope *envelope);
const struct sos_map *envelope_map(struct envelope *envelope);
const char *envelope_text(struct envelope *envelope);

/* ---- sos_call.c */
struct job;
typedef void job_fn(struct sos *sos, struct job *job);
struct job {
    struct work work;
    struct link link; /* in jobs or asked_jobs */
    struct sos *sos;
    struct uuid id;
    uint64_t deadline_us;
    bool asked; /* the peer has it */
    bool given_up;
    bool done;
    uint32_t granted; /* parts that the peer has not been told of */
    struct link grant_link;
    job_fn *on_done;         /* the job is its owner's from then on */
    peer_chunk_fn *on_chunk; /* gets owner */
    void *owner;
    sos_reply_fn *on_reply;
    void *context;
    enum status status;
    struct error error;
    struct sos_bytes reply;
    struct buffer metadata;
    struct trace trace;
    struct peer_request request; /* views into storage */
    uint8_t storage[];
};
enum status job_new(struct job **job_p, struct sos *sos, const struct sos_call *call,
                    uint32_t more_flags, struct error *error);
void job_destroy(struct job **job_p); /* one that was never started, or has ended */
/* It is on its way; on_done follows when this gives OK. BUSY, NOMEM. */
enum status job_start(struct sos *sos, struct job *job, struct error *error);
void job_end(struct sos *sos, struct job **job_p);  /* of one that is done: counts it off */
void job_give_up(struct sos *sos, struct job *job); /* nothing is heard of it any more */
void job_grant(struct sos *sos, struct job *job, uint32_t parts);
void job_step(struct sos *sos);
void job_end_all(struct sos *sos, enum status status, const struct error *error);

/* ---- sos_outgoing.c */
void outgoing_init(struct sos *sos);
void outgoing_clear(struct sos *sos);
/* Encodes the message (id, source and time are filled in) and queues it. BUSY, TOO_LARGE. */
enum status outgoing_add(struct sos *sos, struct message *message, bool confirmed,
                         uint32_t timeout_ms, outgoing_fn *on_done, void *owner,
                         struct outgoing **outgoing_p, struct error *error);
/* For on_done of one that a thread waits for. */
outgoing_fn outgoing_wake;
/* Of one that is done: counts it off, frees it. */
void outgoing_end(struct sos *sos, struct outgoing **outgoing_p);
/* Waits for its end and ends it. */
enum status outgoing_wait(struct sos *sos, struct outgoing *outgoing, uint64_t *seq,
                          struct error *error);
void outgoing_step(struct sos *sos);
void outgoing_lost(struct sos *sos);
bool outgoing_receive(struct sos *sos, const struct message *message); /* ack, error */
bool outgoing_is_quiet(const struct sos *sos);                         /* all was answered */
void outgoing_end_all(struct sos *sos, enum status status, const struct error *error);

/* ---- sos_mail.c */
struct sos_mail {
    struct work work;
    struct link link;       /* in inbox.held */
    struct link queue_link; /* in inbox.queue */
    struct sos *sos;
    uint64_t leased_us; /* since when the broker counts on it */
    uint64_t session;   /* in which it came, the last time */
    bool held;
    struct envelope envelope;
    uint8_t storage[];
};
struct sos_mail *mail_new(struct sos *sos, const struct message *message);
void mail_free(struct sos_mail **mail_p); /* unlocked; no more than that */
enum status mail_send(struct sos *sos, const struct sos_message *given, outgoing_fn *on_done,
                      void *owner, struct outgoing **outgoing_p, struct error *error);
/* The message that answers another; its id follows from that one's. */
struct mail_answer {
    const char *type;
    struct bytes payload;
    struct bytes metadata;
};
enum status mail_answer(struct sos *sos, const struct message *mail,
                        const struct mail_answer *answer, outgoing_fn *on_done, void *owner,
                        struct outgoing **outgoing_p, struct error *error);

/* ---- sos_inbox.c */
void inbox_init(struct sos *sos, const struct sos_options *options);
void inbox_clear(struct sos *sos);
void inbox_want(struct sos *sos);
void inbox_step(struct sos *sos);
void inbox_lost(struct sos *sos);
bool inbox_receive(struct sos *sos, const struct message *message); /* deliver, ack, error */
/* The oldest that nobody has; NULL. */
struct sos_mail *inbox_take(struct sos *sos);
enum inbox_end { INBOX_ACK, INBOX_NACK, INBOX_REJECT };
/* Ends a held message (not freed). */
enum status inbox_end(struct sos *sos, struct sos_mail *mail, enum inbox_end how,
                      const char *reason, int delay_ms, struct error *error);
/* Out of what is held, without a word: the broker finds out when the lease ends. */
void inbox_forget(struct sos *sos, struct sos_mail *mail);
void inbox_set_handler(struct sos *sos, sos_mail_fn *on_mail, void *context);

/* ---- sos_acks.c */
void acks_init(struct sos *sos);
void acks_clear(struct sos *sos);
/* Handled: remembers it and has it said. again: it came in a session that is lost. False: out of
 * memory. */
bool acks_add(struct sos *sos, const struct uuid *id, bool again);
/* Was it handled here? Then it is acknowledged again. */
bool acks_know(struct sos *sos, const struct uuid *id);
bool acks_are_full(const struct sos *sos);  /* more could not be remembered */
bool acks_are_quiet(const struct sos *sos); /* all are confirmed */
void acks_say(struct sos *sos);
void acks_lost(struct sos *sos);
bool acks_receive(struct sos *sos, const struct message *message);

/* ---- sos_ask.c */
struct ask { /* stands in inbox.asks while a thread waits */
    struct sos_mail *answer;
};
/* What an answer says when it is a refusal: its metadata {status}, its payload as of a reply. */
void ask_pack_status(struct buffer *metadata, enum status status);

/* ---- sos_channel.c */
enum status channels_init(struct sos *sos);
void channels_clear(struct sos *sos);
void channels_step(struct sos *sos);
void channels_lost(struct sos *sos);
/* The broker was started anew: the numbers of its events begin behind a leap. */
void channels_new_epoch(struct sos *sos);
bool channels_receive(struct sos *sos, const struct message *message);
void channels_end_all(struct sos *sos);

/* ---- sos_event.c */
struct sos_event {
    struct link link;
    uint64_t missed;
    struct envelope envelope;
    uint8_t storage[];
};
struct sos_event *event_new(const struct message *message);

/* ---- sos_serve.c */
enum status serving_init(struct sos *sos);
void serving_clear(struct sos *sos);
void serving_step(struct sos *sos);
void serving_lost(struct sos *sos);
void serving_ready(struct sos *sos);
void serving_receive(struct sos *sos, const struct message *message);

#endif
