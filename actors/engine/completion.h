/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/completion.h - reads the answer of an OpenAI-compatible server as its bytes arrive.
 *
 * Server-sent events or one JSON body, told apart by the first character: the Content-Type is not
 * believed. Any bytes are safe; lines, the body and the answer are bounded. After a failure further
 * bytes are passed over. */
#ifndef SOS_ENGINE_COMPLETION_H
#define SOS_ENGINE_COMPLETION_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/json.h"
#include "kernel/status.h"

enum {
    COMPLETION_LINE_MAX = 256 * 1024, /* of events; also the whole JSON body */
    COMPLETION_CONTENT_MAX = 128 * 1024
};

struct completion {
    enum completion_form { COMPLETION_UNKNOWN, COMPLETION_EVENTS, COMPLETION_JSON } form;
    struct buffer pending; /* the line that is not whole yet, or the JSON body so far */
    struct buffer content; /* the answer so far: valid UTF-8 */
    bool marked_done;      /* [DONE] came */
    bool has_usage;
    uint64_t tokens;
    char finish_reason[32]; /* "" until the server says it */
    enum status failure;
    struct error error;
};

void completion_init(struct completion *completion);
void completion_clear(struct completion *completion);

/* GENERATION_FAILED: what came is no such answer, is too long, or is the server's own error. */
enum status completion_feed(struct completion *completion, struct json_parser *parser,
                            struct bytes piece, struct error *error);

/* No more bytes come. GENERATION_FAILED also when the answer is empty or broke off. */
enum status completion_end(struct completion *completion, struct json_parser *parser,
                           struct error *error);

/* The message of a body such as {"error": {"message": …, "code": …}}; false when it is none. code
 * may be "". Both are cut and cleaned by the rules of error_copy_text. */
bool completion_read_error(struct json_parser *parser, struct bytes body, char message[static 200],
                           char code[static 64]);

#endif
