/* SPDX-License-Identifier: Apache-2.0 */
/* The identity service in a home of its own, whose River key is the one that requests are granted
 * with; and rows of its store, to be altered. */
#ifndef SOS_TEST_FIXTURE_HOME_H
#define SOS_TEST_FIXTURE_HOME_H

#include "tests/unit/actors/service_fixture.h"

/* f->own is the folder. environment as of service_open(). */
struct service_fixture *home_open(const char *const *environment);
void home_close(struct service_fixture **fixture_p);

/* "<home>/secrets/master.key" and such; static until the next call. */
const char *home_path(const struct service_fixture *f, const char *relative);

/* The service as a new process with another environment finds its store. */
void home_restart(struct service_fixture *f, const char *const *environment);

/* Does the log? */
bool home_log_holds(const struct service_fixture *f, const char *text);
/* Does the audit trail say this? */
bool home_trail_holds(struct service_fixture *f, const char *text);

/* Appends the only row of a space whose key holds this text; fails the test when there is none. */
void home_row(struct service_fixture *f, store_space space, const char *key,
              struct buffer *full_key, struct buffer *value);
void home_put_row(struct service_fixture *f, store_space space, struct bytes key,
                  struct bytes value);
size_t home_count_rows(struct service_fixture *f, store_space space);
/* Do these bytes stand in any row? */
bool home_rows_hold(struct service_fixture *f, const char *text);

#endif
