/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/raw.h"

#include <stdio.h>
#include <sys/socket.h>

void
raw_send(int descriptor, unsigned status, const char *reason, const struct http_header *headers,
         size_t header_count, struct text body)
{
    struct buffer out;
    buffer_init(&out);
    buffer_append_format(&out, "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Length: %zu\r\n",
                         status, reason, body.size);
    for (size_t i = 0; i < header_count; i++)
        buffer_append_format(&out, "%s: %s\r\n", headers[i].name, headers[i].value);
    buffer_append_string(&out, "\r\n");
    buffer_append_text(&out, body);
    if (!out.failed) {
        /* A client that does not take a few hundred bytes at once gets none of them. */
        ssize_t sent = send(descriptor, out.data, out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)sent;
    }
    buffer_clear(&out);
}

void
raw_refuse(int descriptor, unsigned http_status, const char *reason, enum status status,
           const char *word, const char *message)
{
    static const struct http_header headers[] = {{"Content-Type", "application/json"},
                                                 {"Retry-After", "1"}};
    char body[256];
    int size = snprintf(body, sizeof body,
                        "{\"ok\":false,\"detail\":\"%s\",\"error\":{\"code\":%d,\"message\":\"%s\","
                        "\"detail\":\"%s\",\"context\":{}}}",
                        word, (int)status, message, word);
    if (size > 0 && (size_t)size < sizeof body)
        raw_send(descriptor, http_status, reason, headers, 2, (struct text){body, (size_t)size});
}
