/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tap_entry.h - one record as a tap or a recording gives it. */
#ifndef SOS_CLI_TAP_ENTRY_H
#define SOS_CLI_TAP_ENTRY_H

#include "broker/core/tap_filter.h"
#include "kernel/id.h"
#include "kernel/message.h"
#include "kernel/pack.h"

/* Views into the record's bytes. */
struct tap_entry {
    uint64_t at_us;
    bool out;       /* made by the broker */
    enum kind kind; /* 0: unreadable */
    struct uuid id, correlation;
    struct text source, target, type, principal, capability, verdict, note;
    uint64_t ttl_ms, seq, attempt, size;
    bool has_status;
    bool has_seq;
    uint32_t status;
    bool has_trace;
    uint8_t trace[TRACE_ID_SIZE];
    struct text trace_text, span;
    bool has_payload;
    struct value payload;
    struct value raw; /* the whole record */
};

/* Tolerates anything: what is missing or of another type is empty. False: it is no map. */
bool tap_entry_read(struct tap_entry *entry, const struct value *record);

/* What tap_filter_matches() looks at. */
struct tap_header tap_entry_header(const struct tap_entry *entry);

/* It went no further: refused or dropped. */
bool tap_entry_is_lost(const struct tap_entry *entry);

#endif
