/* SPDX-License-Identifier: Apache-2.0 */
/* platform/audit_tail.h - how an audit file ends. */
#ifndef SOS_PLATFORM_AUDIT_TAIL_H
#define SOS_PLATFORM_AUDIT_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/audit.h"

struct audit_tail {
    bool found;             /* a line of a trail stands in its last AUDIT_LINE_MAX bytes or so */
    struct audit_link link; /* behind the last of them; all zero: there is none */
    uint64_t torn;          /* bytes behind the last newline: a crash left an unfinished line */
    bool damaged;           /* the last whole line is none of a trail, or altered */
    bool endless;           /* the end is no line and too long for an unfinished one */
};

/* Of an open file. False: it cannot be read; *tail is as before. Blocks. */
bool audit_tail_read(int fd, struct audit_tail *tail);

#endif
