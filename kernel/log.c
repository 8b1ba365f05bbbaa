/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/log.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "kernel/json.h"
#include "kernel/pack.h"

enum {
    MESSAGE_SIZE = 4096,    /* a longer message is cut */
    MILLISECOND_DIGITS = 23 /* of "2026-01-02T03:04:05.678901Z" */
};

static const char *const level_words[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info",   [LOG_WARN] = "warn",
    [LOG_ERROR] = "error", [LOG_FATAL] = "fatal",
};

const char *
log_level_word(enum log_level level)
{
    size_t count = sizeof level_words / sizeof level_words[0];
    return (size_t)level < count ? level_words[level] : "unknown";
}

bool
log_level_parse(struct text text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_words / sizeof level_words[0]; i++) {
        if (text_equal_string(text, level_words[i])) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void
append_member(struct buffer *line, const char *name, const char *value)
{
    buffer_append_format(line, ",\"%s\":", name);
    json_append_text(line, text_of(value));
}

static void
append_time(struct buffer *line, const struct logger *logger)
{
    char stamp[TIMESTAMP_TEXT_SIZE];
    timestamp_format(clock_now(logger->clock).wall_us, stamp);
    buffer_append_format(line, "{\"ts\":\"%.*sZ\"", MILLISECOND_DIGITS, stamp);
}

static void
append_fields(struct buffer *line, const struct log_fields *fields)
{
    if (fields->trace && trace_is_set(fields->trace)) {
        char trace_id[TRACE_ID_TEXT_SIZE], span_id[SPAN_ID_TEXT_SIZE];
        trace_format_id(fields->trace, trace_id);
        trace_format_span(fields->trace->span_id, span_id);
        append_member(line, "trace_id", trace_id);
        append_member(line, "span_id", span_id);
    }
    if (fields->agent_id)
        append_member(line, "agent_id", fields->agent_id);
    if (fields->duration_ms > 0 && isfinite(fields->duration_ms)) {
        buffer_append_string(line, ",\"duration_ms\":");
        json_append_double(line, fields->duration_ms);
    }
    if (fields->error)
        append_member(line, "error", fields->error);
    struct value extra;
    if (value_parse(fields->extra, &extra) && extra.type == VALUE_MAP) {
        buffer_append_string(line, ",\"extra\":");
        (void)msgpack_to_json(fields->extra, line, NULL); /* out of memory shows in line */
    }
}

static void
make_line(struct buffer *line, const struct logger *logger, enum log_level level,
          const struct log_fields *fields, const char *message)
{
    append_time(line, logger);
    append_member(line, "level", log_level_word(level));
    append_member(line, "service", logger->service);
    append_member(line, "msg", message);
    if (fields)
        append_fields(line, fields);
    buffer_append_string(line, "}\n");
}

void
log_event(const struct logger *logger, enum log_level level, const struct log_fields *fields,
          const char *format, ...)
{
    if (level < logger->level)
        return;
    char message[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length < 0)
        message[0] = '\0';

    struct buffer line;
    buffer_init(&line);
    make_line(&line, logger, level, fields, message);
    if (line.failed)
        logger->sink(logger->context, level,
                     text_of("{\"level\":\"error\",\"msg\":\"out of memory for a log line\"}\n"));
    else
        logger->sink(logger->context, level, buffer_text(&line));
    buffer_clear(&line);
}
