/* SPDX-License-Identifier: Apache-2.0 */
/* cli/bus_values.h - values of the command line that the commands of the bus read. */
#ifndef SOS_CLI_BUS_VALUES_H
#define SOS_CLI_BUS_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum { BODY_SIZE_MAX = 256 * 1024 };

/* What a message says: JSON when it reads as JSON, else the text itself; plain: always the text.
 * Appends one packed value. VALIDATION for what is not UTF-8. */
enum status values_body(struct text text, bool plain, struct buffer *out, struct error *error);

/* "-" is standard input up to its end, without its last line break; else the argument. */
enum status values_argument(const char *argument, struct buffer *out, struct error *error);

/* "500ms", "30s", "5m", "2h", "7d"; a number alone is milliseconds. VALIDATION beyond max_ms. */
enum status values_duration(const char *option, const char *text, uint64_t max_ms, uint64_t *ms,
                            struct error *error);

/* A moment as the contract writes it: ISO 8601 as it is, "+30s" from now on. */
enum status values_moment(const char *option, const char *text, uint64_t now_us,
                          char out[static TIMESTAMP_TEXT_SIZE], struct error *error);

/* A whole number from min to max. */
enum status values_number(const char *option, const char *text, uint64_t min, uint64_t max,
                          uint64_t *number, struct error *error);

#endif
