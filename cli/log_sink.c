/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log_sink.h"

#include <jansson.h>
#include <unistd.h>

static const char *
string_of(const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text ? text : "";
}

void
log_sink_readable(struct text line, struct buffer *out)
{
    json_t *root = json_loadb(line.data, line.size, JSON_DISABLE_EOF_CHECK, NULL);
    const char *ts = string_of(root, "ts");
    if (!json_is_object(root) || strlen(ts) < 23) {
        buffer_append_text(out, line);
    } else {
        buffer_append_format(out, "%.12s %-5s %-9s %s", ts + 11, string_of(root, "level"),
                             string_of(root, "service"), string_of(root, "msg"));
        if (*string_of(root, "error"))
            buffer_append_format(out, ": %s", string_of(root, "error"));
        if (*string_of(root, "agent_id"))
            buffer_append_format(out, " agent=%s", string_of(root, "agent_id"));
        if (*string_of(root, "trace_id"))
            buffer_append_format(out, " trace=%s", string_of(root, "trace_id"));
        buffer_append_string(out, "\n");
    }
    json_decref(root);
}

static void
write_line(int fd, struct text line)
{
    struct buffer readable;
    buffer_init(&readable);
    if (isatty(fd)) {
        log_sink_readable(line, &readable);
        line = buffer_text(&readable);
    }
    while (line.size > 0) {
        ssize_t wrote = write(fd, line.data, line.size);
        if (wrote <= 0)
            break; /* nobody to tell: the reader of the log is gone */
        line.data += wrote;
        line.size -= (size_t)wrote;
    }
    buffer_clear(&readable);
}

void
log_sink_write(void *context, enum log_level level, struct text line)
{
    (void)context;
    write_line(level >= LOG_ERROR ? STDERR_FILENO : STDOUT_FILENO, line);
}

void
log_sink_write_aside(void *context, enum log_level level, struct text line)
{
    (void)context;
    (void)level;
    write_line(STDERR_FILENO, line);
}
