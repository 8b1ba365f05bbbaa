/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/tap_record.h - one record as the taps see it: what the routing thread hands on, and
 * the map that a reader gets. */
#ifndef SOS_BROKER_CORE_TAP_RECORD_H
#define SOS_BROKER_CORE_TAP_RECORD_H

#include "broker/core/tap_filter.h"
#include "broker/core/tap_redact.h"
#include "kernel/id.h"

enum {
    TAPS_MAX = 8,
    TAP_CHUNK_SIZE = 48 * 1024, /* bytes of records until a chunk is due */
    /* A larger payload could not leave in one chunk with its header: its size is shown instead. */
    TAP_PAYLOAD_MAX = 56 * 1024
};

enum tap_direction { TAP_IN, TAP_OUT };

/* All texts are views. */
struct tap_sighting {
    uint64_t at_us; /* wall clock */
    uint64_t seq;
    uint64_t number; /* of the sighting, counted up by who keeps it (tap_ring) */
    uint32_t slots;  /* bit per tap that may want it */
    uint32_t size;   /* of the record */
    uint32_t payload_size;
    uint32_t ttl_ms;
    uint32_t status;
    uint32_t attempt;
    enum kind kind; /* 0: unreadable */
    enum tap_direction direction;
    bool has_trace;
    uint8_t trace[24]; /* trace id, span id */
    struct uuid id, correlation;
    struct text source, target, type, principal, verdict;
    struct text capability; /* as it came: a token, maybe */
    struct bytes payload; /* empty when nobody asks for it, or it is larger than TAP_PAYLOAD_MAX */
};

/* What a filter looks at; views into the sighting. */
struct tap_header tap_sighting_header(const struct tap_sighting *sighting);

/* Appends the record's map, {at_us, direction, …}; docs/PROTOCOL.md, tap. With payload: redacted.
 * Tokens are reduced to their ids. */
void tap_record_pack(const struct tap_sighting *sighting, bool payload,
                     const struct tap_secrets *secrets, struct buffer *out);

#endif
