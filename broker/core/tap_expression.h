/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/tap_expression.h - POSIX extended regular expressions, matched in time linear in the
 * text.
 *
 * The C library's regexec() takes minutes for some short patterns and lines, and remembers every
 * state that it ever met: nothing to run for strangers. This one walks all ways through the
 * expression at once (Thompson's construction), so a match costs at most the program's size for
 * each byte. Whether it matches is all that can be asked, so nothing else of POSIX is needed: all
 * but back references, collating symbols and equivalence classes is there. Bytes, not characters.
 */
#ifndef SOS_BROKER_CORE_TAP_EXPRESSION_H
#define SOS_BROKER_CORE_TAP_EXPRESSION_H

#include <stdbool.h>

#include "kernel/bytes.h"
#include "kernel/status.h"

enum {
    EXPRESSION_SIZE_MAX = 256,    /* bytes of its text */
    EXPRESSION_PROGRAM_MAX = 2048 /* steps, with repetitions written out */
};

struct expression;

/* INVALID: *why says what is wrong with it (static). NOMEM. */
enum status expression_new(struct expression **expression_p, struct text text, const char **why);
void expression_destroy(struct expression **expression_p);

/* Does it match anywhere in the text? Not for several threads with one expression. */
bool expression_matches(struct expression *expression, struct text text);

#endif
