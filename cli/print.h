/* SPDX-License-Identifier: Apache-2.0 */
/* cli/print.h - what the swarm said, on a terminal or for a program. */
#ifndef SOS_CLI_PRINT_H
#define SOS_CLI_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/command.h"
#include "kernel/bytes.h"

/* Text of others without what steers a terminal: control characters other than newline and tab
 * become '?'. */
void print_clean(struct text text, struct buffer *out);

/* Compact JSON with line breaks and indentation of two. json must be well-formed. */
void print_indented(struct text json, struct buffer *out);

/* One msgpack value as JSON and a newline on stdout; indented: for people. */
enum status print_value(struct bytes value, bool indented, struct error *error);

/* Why a call failed: on stderr, with --json as the error body of the HTTP doors on stdout. Returns
 * EXIT_FAILED. */
int print_refusal(const struct cli *cli, const char *command, enum status status,
                  const struct error *error);

#endif
