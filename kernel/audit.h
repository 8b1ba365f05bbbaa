/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/audit.h - what an audit trail says of one event, and its line.
 *
 * {"ts":…,"event":…,"actor":…,"subject":…,"action":…,"resource":…,"capability_id":…,"trace_id":…,
 * "outcome":…,"detail":…}: members that are empty are null. Never a key, token or payload.
 * platform/audit.h keeps the lines. */
#ifndef SOS_KERNEL_AUDIT_H
#define SOS_KERNEL_AUDIT_H

#include <stdint.h>

#include "kernel/bytes.h"

enum { AUDIT_TEXT_MAX = 512 /* bytes of one member; more is cut */ };

/* Views; zero-initialise. */
struct audit_entry {
    const char *event; /* "tap.started" */
    struct text actor; /* who did it */
    struct text subject;
    struct text action; /* "bus:tap" */
    struct text resource;
    struct text capability_id;
    struct bytes trace;  /* its id, 16 bytes or more; or empty */
    const char *outcome; /* "ok", "refused: word" */
    struct text detail;  /* for people */
};

/* Appends the line, newline included. What is no UTF-8 is replaced. */
void audit_format(const struct audit_entry *entry, uint64_t wall_us, struct buffer *out);

#endif
