/* SPDX-License-Identifier: Apache-2.0 */
/* The taps' worker without its thread, and an audit trail that is kept in memory. */
#ifndef SOS_TESTS_BROKER_CORE_FIXTURE_TAP_H
#define SOS_TESTS_BROKER_CORE_FIXTURE_TAP_H

#include "broker/core/tap_gather.h"
#include "fixture.h"

enum { AUDIT_LINES_MAX = 256 };

struct fixture_tap {
    struct tap_secrets *secrets;
    struct tap_gather *gather;
    uint64_t number;
    struct tap_chunk *ready; /* not yet in the core */
    struct tap_chunk **last;
    bool full; /* the queue takes no sighting */
    size_t open;
    size_t puts;
    size_t payload_bytes; /* that were put into the queue */
    char *lines[AUDIT_LINES_MAX];
    size_t line_count;
    uint64_t ticket;  /* of the last line that has one */
    bool audit_holds; /* tickets are answered by the test */
    bool audit_full;  /* takes nothing */
};

void fixture_tap_attach(struct fixture *f, struct core_sink *sink);
void fixture_tap_clear(struct fixture *f);
/* Hands in what the worker and the trail have done. */
void fixture_tap_run(struct fixture *f);
/* How many lines of the trail hold both texts. */
size_t audited(const struct fixture *f, const char *event, const char *text);

#endif
