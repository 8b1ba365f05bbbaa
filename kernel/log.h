/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/log.h - one JSON line per event.
 *
 * {"ts":…,"level":…,"service":…,"msg":…[,"trace_id":…,"span_id":…,"agent_id":…,
 * "duration_ms":…,"error":…,"extra":{…}]}. The sink gets whole lines; the process
 * edge decides where they go (cli/log_sink.c: stdout, errors to stderr, a readable form on a
 * terminal). Never keys, tokens or payloads. A logger may be used from several
 * threads if its sink may; it holds no mutable state but the level. */
#ifndef SOS_KERNEL_LOG_H
#define SOS_KERNEL_LOG_H

#include "kernel/bytes.h"
#include "kernel/clock.h"
#include "kernel/status.h"
#include "kernel/trace.h"

/* <syslog.h>, which czmq.h brings along, has macros LOG_DEBUG and LOG_INFO of other values: the
 * macros below use names that it does not know. */
enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
    LOG_FATAL,
    LOG_AT_DEBUG = LOG_DEBUG,
    LOG_AT_INFO = LOG_INFO
};

const char *log_level_word(enum log_level level);
bool log_level_parse(struct text text, enum log_level *level);

struct logger {
    const char *service;  /* short name: "memory" */
    enum log_level level; /* lines below it are not made */
    const struct clock *clock;
    void (*sink)(void *context, enum log_level level, struct text line); /* line ends with \n */
    void *context;
};

/* Optional parts of a line; zero-initialise. */
struct log_fields {
    const struct trace *trace;
    const char *agent_id;
    const char *error;
    double duration_ms; /* < 0 or 0: left out */
    struct bytes extra; /* a msgpack map */
};

void log_event(const struct logger *logger, enum log_level level, const struct log_fields *fields,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

#define log_debug(logger, ...) log_event(logger, (enum log_level)LOG_AT_DEBUG, NULL, __VA_ARGS__)
#define log_info(logger, ...) log_event(logger, (enum log_level)LOG_AT_INFO, NULL, __VA_ARGS__)
#define log_warn(logger, ...) log_event(logger, LOG_WARN, NULL, __VA_ARGS__)
#define log_error(logger, ...) log_event(logger, LOG_ERROR, NULL, __VA_ARGS__)

#endif
