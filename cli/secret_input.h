/* SPDX-License-Identifier: Apache-2.0 */
/* cli/secret_input.h - how a person or a program hands over what must not stand on a command line.
 *
 * Calls block; the caller overwrites what it got with secret_forget(). */
#ifndef SOS_CLI_SECRET_INPUT_H
#define SOS_CLI_SECRET_INPUT_H

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

/* Appends a line that is typed at the terminal, which shows nothing of it. CANCELLED: Ctrl-C or
 * Ctrl-D; TOO_LARGE beyond max bytes. Signals that would end the program wait meanwhile, so that
 * the terminal is as it was afterwards. */
enum status secret_ask(const char *prompt, size_t max, struct buffer *line, struct error *error);

/* Appends standard input: asked for when it is a terminal, else all of it, less one line feed at
 * its end. */
enum status secret_read(const char *prompt, size_t max, struct buffer *text, struct error *error);

/* Asks twice. VALIDATION when they differ or are empty. */
enum status secret_ask_twice(const char *prompt, size_t max, struct buffer *line,
                             struct error *error);

/* Overwrites and frees. */
void secret_forget(struct buffer *text);

#endif
