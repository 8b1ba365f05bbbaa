/* SPDX-License-Identifier: Apache-2.0 */
/* The memory service in a service_fixture. */
#ifndef SOS_TEST_FIXTURE_MEMORY_H
#define SOS_TEST_FIXTURE_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/actors/service_fixture.h"

int memory_setup(void **state); /* *state: struct service_fixture */
int memory_teardown(void **state);

struct service_fixture *memory_open(const char *edition);

/* Stores and gives the id's text. */
const char *memory_store(struct service_fixture *f, const char *agent, const char *content,
                         char id[static UUID_TEXT_SIZE]);

/* Results of a search as JSON; valid until the next call. */
const char *memory_search(struct service_fixture *f, const char *agent, const char *query);
/* Content of the first result, "" when there is none. */
struct text memory_first(struct service_fixture *f, const char *agent, const char *query);
size_t memory_result_count(const struct sent_reply *answer);

#endif
