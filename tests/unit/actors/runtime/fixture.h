/* SPDX-License-Identifier: Apache-2.0 */
/* A small service, and dispatch around it without sockets: what leaves through the port is kept,
 * the clock stands until it is moved, commits happen when they are asked for. */
#ifndef SOS_TEST_RUNTIME_FIXTURE_H
#define SOS_TEST_RUNTIME_FIXTURE_H

#include "actors/runtime/dispatch.h"

enum note_operation {
    NOTE_PUT,    /* name, text: writes a row */
    NOTE_GET,    /* name */
    NOTE_MAKE,   /* name, text: expects it absent */
    NOTE_SPOIL,  /* name: writes, then fails */
    NOTE_AWAIT,  /* name, how = call | http | stream | timer | nothing; writes first, answers with
                    what came */
    NOTE_STREAM, /* count, size: chunks, then OK */
    NOTE_PURGE,  /* dangerous */
    NOTE_LIST,   /* all names */
    NOTE_HUGE,   /* an answer beyond a record */
    NOTE_OWNED,  /* name: resolves its resource */
    NOTE_OPERATIONS
};

enum { NOTE_SPACE = 1, SENT_MAX = 1024 };

struct note_state {
    size_t rows_applied;
    size_t rows_live;
};

struct sent_reply {
    struct uuid id;
    enum status status;
    struct buffer payload;
};

struct sent_chunk {
    struct uuid id;
    uint64_t seq;
};

struct sent_call {
    struct continuation *handle; /* NULL once over */
    char type[64];
    char principal[64];
    uint32_t ttl_ms;
};

struct runtime_fixture {
    struct dispatch *dispatch;
    struct store *store;
    struct config *config;
    struct now now;
    struct clock clock;
    struct logger logger;
    size_t error_lines;
    char last_line[2048];
    struct dispatch_options options;

    struct sent_reply replies[SENT_MAX];
    size_t reply_count;
    struct sent_chunk chunks[SENT_MAX];
    size_t chunk_count;
    struct sent_call calls[SENT_MAX];
    size_t call_count;
    struct sent_call https[SENT_MAX];
    size_t http_count;
    size_t cancelled_calls, aborted_https;
    size_t progress_alive;
    size_t handler_runs;
    size_t resumes;          /* but for HTTP_DATA */
    enum status call_result; /* of the port */

    const struct store_batch *commit; /* asked for, not done */
    const char *checkpoint; /* the folder, asked for, not done */
    size_t commits;
    bool hold_commits;
    uint32_t stream_credit;
    uint64_t next_id;
};

extern const struct service notes_service; /* its logger must be a fixture's */

int runtime_setup(void **state);
int runtime_setup_enforced(void **state); /* capabilities are required */
int runtime_teardown(void **state);
void runtime_reopen(struct runtime_fixture *f); /* a new dispatch on the same store */

struct sending {
    const char *source; /* "agent:kasra" */
    const char *principal;
    const char *capability;
    const char *key; /* idempotency */
    uint32_t ttl_ms;
    uint32_t flags;
};

/* pairs: name, text, name, text, NULL. A value of digits is packed as a number. */
struct uuid runtime_send(struct runtime_fixture *f, const struct sending *sending, const char *type,
                         ...) __attribute__((sentinel));
void runtime_send_again(struct runtime_fixture *f, const struct sending *sending,
                        const struct uuid *id, const char *type);
void runtime_cancel(struct runtime_fixture *f, const struct uuid *id);
void runtime_credit(struct runtime_fixture *f, const struct uuid *id, uint64_t chunks);

void runtime_run(struct runtime_fixture *f);    /* until nothing can run; commits unless held */
void runtime_commit(struct runtime_fixture *f); /* the one that is held */
void runtime_pass(struct runtime_fixture *f, uint64_t ms);

size_t runtime_replies_to(const struct runtime_fixture *f, const struct uuid *id);
enum status runtime_status_of(const struct runtime_fixture *f, const struct uuid *id);
/* The text of this key in the reply ("" when absent); word: the refusal's machine word. */
struct text runtime_text_of(const struct runtime_fixture *f, const struct uuid *id,
                            const char *key);
const char *runtime_word_of(const struct runtime_fixture *f, const struct uuid *id,
                            char word[static 64]);
bool runtime_stored(struct runtime_fixture *f, const char *name, const char *text);
struct note_state *runtime_state(struct runtime_fixture *f);

#endif
