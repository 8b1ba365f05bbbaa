/* SPDX-License-Identifier: Apache-2.0 */
/* cli/log_sink.h - where this process's log lines go: stdout, errors to stderr; on a
 * terminal in a form for people. */
#ifndef SOS_CLI_LOG_SINK_H
#define SOS_CLI_LOG_SINK_H

#include "kernel/log.h"

/* Sinks for struct logger; any thread (each line is one write). The second keeps stdout for a
 * command's results. */
void log_sink_write(void *context, enum log_level level, struct text line);
void log_sink_write_aside(void *context, enum log_level level, struct text line);

/* One JSON log line as "15:04:05.123 warn  memory  message key=value". Appends to out; a line that
 * is not of that form is appended as it is. */
void log_sink_readable(struct text line, struct buffer *out);

#endif
