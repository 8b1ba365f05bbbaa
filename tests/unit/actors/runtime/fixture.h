/* SPDX-License-Identifier: Apache-2.0 */
/* A small service in a service_fixture, and requests to it that show every field of a message. */
#ifndef SOS_TEST_RUNTIME_FIXTURE_H
#define SOS_TEST_RUNTIME_FIXTURE_H

#include "tests/unit/actors/service_fixture.h"

enum note_operation {
    NOTE_PUT,    /* name, text: writes a row; count: records so many audit entries */
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
    NOTE_COUNT,  /* name, text: flagged as a read, and writes a row along the way */
    NOTE_RECORD, /* name, how: audited, records entries of its own; how = "" | plain (no write) |
                    spoil | await */
    NOTE_PEEK,   /* name: a read that is audited */
    NOTE_OPERATIONS
};

enum { NOTE_SPACE = 1 };

struct note_state {
    size_t rows_applied;
    size_t rows_live;
};

/* What the service's handlers count; the fixture's own. */
struct notes {
    size_t handler_runs;
    size_t resumes; /* but for HTTP_DATA */
    size_t progress_alive;
};

struct notes *notes_of(const struct service_fixture *f);

/* Its logger's context must be a fixture whose own are notes. */
extern const struct service notes_service;

int runtime_setup(void **state);
int runtime_setup_enforced(void **state); /* capabilities are required */
int runtime_teardown(void **state);

struct sending {
    const char *source; /* "agent:kasra" */
    const char *principal;
    const char *capability;
    const char *key; /* idempotency */
    uint32_t ttl_ms;
    uint32_t flags;
};

/* None of these runs. Pairs: name, text, name, text, NULL; a value of digits is a number. */
struct uuid runtime_send(struct service_fixture *f, const struct sending *sending, const char *type,
                         ...) __attribute__((sentinel));
void runtime_send_again(struct service_fixture *f, const struct sending *sending,
                        const struct uuid *id, const char *type);
void runtime_cancel(struct service_fixture *f, const struct uuid *id);
void runtime_credit(struct service_fixture *f, const struct uuid *id, uint64_t chunks);

/* The text of this key in the reply ("" when absent); word: the refusal's machine word. */
struct text runtime_text_of(const struct service_fixture *f, const struct uuid *id,
                            const char *key);
const char *runtime_word_of(const struct service_fixture *f, const struct uuid *id,
                            char word[static 64]);
bool runtime_stored(struct service_fixture *f, const char *name, const char *text);
struct note_state *runtime_state(struct service_fixture *f);

#endif
