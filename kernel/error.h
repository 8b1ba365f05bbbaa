/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/error.h - why a call failed, in words: what, where, what was expected.
 *
 * Travels beside an enum status, never instead of it. Filled by the function
 * that fails and wrapped by its callers, so that it reads outermost first:
 * "open store memory: wal 000012.log offset 4711: checksum mismatch". A NULL
 * struct error * is allowed everywhere and ignored. Fixed size: reporting a
 * failure never allocates. Texts that do not fit are cut at a UTF-8 boundary,
 * control characters become spaces and bytes that are not UTF-8 question marks. */
#ifndef SOS_KERNEL_ERROR_H
#define SOS_KERNEL_ERROR_H

#include <stddef.h>

#include "kernel/bytes.h"

struct error {
    char message[400]; /* for people; never a secret, never a payload */
    char word[64];     /* machine word instead of the status row's; "" = the row's */
    char field[96];    /* the request field that is wrong; "" = none */
};

#define ERROR_INIT ((struct error){{0}, {0}, {0}})

/* Replaces message and clears word and field. */
void error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with the machine word, e.g. "memory_not_found". */
void error_set_word(struct error *error, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a request field. Puts "<field>: " before the message itself:
 * error_set_field(error, "amount", "came %s, expected a number", …). */
void error_set_field(struct error *error, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " before the message; keeps word and field. */
void error_wrap(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Copies foreign text into one of the fields above (or into any line of a log) by the rules
 * above. capacity counts the NUL and is at least 1. */
void error_copy_text(char *to, size_t capacity, struct text text);

#endif
