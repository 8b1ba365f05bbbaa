/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of service:bus whose answers wait for the mailbox. */
#ifndef SOS_TESTS_BROKER_CORE_FIXTURE_CALL_H
#define SOS_TESTS_BROKER_CORE_FIXTURE_CALL_H

#include "fixture_bus.h"

/* A payload in the making; given away to call_make(). */
struct call {
    struct buffer map;
    uint32_t count;
};

struct call call_new(void);
void call_text(struct call *call, const char *key, const char *value);
void call_number(struct call *call, const char *key, uint64_t value);
void call_true(struct call *call, const char *key);
void call_id(struct call *call, const char *key, const struct uuid *id);
void call_texts(struct call *call, const char *key, const char *const *texts, uint32_t count);
/* Of a bus_inbox; of a receipt for this message, and an id that is none. */
struct call call_inbox(const char *inbox, uint64_t limit);
struct call call_receipt(const char *inbox, const struct uuid *id);

struct uuid call_make(struct fixture *f, peer_number peer, const char *type, struct call *call);
/* The next record answers this call, well. */
struct value call_reply(struct fixture *f, peer_number peer, const struct uuid *id);
/* Both, with the mailbox's answers in between. */
struct value call_result(struct fixture *f, peer_number peer, const char *type, struct call *call);
void call_fails(struct fixture *f, peer_number peer, const char *type, struct call *call,
                enum status status, const char *word);

/* ---- what stands in an answer */
bool text_is(const struct value *map, const char *key, const char *text);
bool id_is(const struct value *map, const char *key, const struct uuid *id);
struct uuid id_in(const struct value *map, const char *key);
uint32_t length_in(const struct value *map, const char *key);
struct value item_in(const struct value *map, const char *key, uint32_t index);

#endif
