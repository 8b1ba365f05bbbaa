/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/completion.h"

#include "kernel/pack.h"

void
completion_init(struct completion *completion)
{
    *completion = (struct completion){.form = COMPLETION_UNKNOWN};
}

void
completion_clear(struct completion *completion)
{
    buffer_clear(&completion->pending);
    buffer_clear(&completion->content);
}

static enum status
fail(struct completion *completion, const char *words)
{
    error_set(&completion->error, "%s", words);
    return completion->failure = STATUS_GENERATION_FAILED;
}

static enum status
fail_nomem(struct completion *completion)
{
    error_set(&completion->error, "%s", status_text(STATUS_NOMEM));
    return completion->failure = STATUS_NOMEM;
}

/* ---- one JSON object */

static bool
find_error(const struct value *map, char message[static 200], char code[static 64])
{
    struct value found;
    struct text text;
    if (!value_find(map, "error", &found) || found.type == VALUE_NIL)
        return false;
    message[0] = code[0] = '\0';
    if (found.type == VALUE_TEXT)
        error_copy_text(message, 200, found.as.text);
    if (value_find_text(&found, "message", &text))
        error_copy_text(message, 200, text);
    if (value_find_text(&found, "code", &text))
        error_copy_text(code, 64, text);
    return true;
}

bool
completion_read_error(struct json_parser *parser, struct bytes body, char message[static 200],
                      char code[static 64])
{
    struct buffer packed;
    struct value map;
    buffer_init(&packed);
    bool found = body.size <= COMPLETION_LINE_MAX &&
                 json_to_msgpack(parser, (struct text){(const char *)body.data, body.size}, &packed,
                                 NULL) == STATUS_OK &&
                 value_parse(buffer_bytes(&packed), &map) && find_error(&map, message, code);
    buffer_clear(&packed);
    return found;
}

/* Only the first choice counts: one is asked for. */
static enum status
take_choice(struct completion *completion, const struct value *choices, const char *member)
{
    struct value choice, message;
    struct text text;
    if (choices->type != VALUE_ARRAY || choices->as.count == 0)
        return STATUS_OK; /* the event that brings the usage */
    struct entries entries = value_entries(choices);
    entries_next(&entries, &choice);
    if (value_find_text(&choice, "finish_reason", &text))
        error_copy_text(completion->finish_reason, sizeof completion->finish_reason, text);
    if (!value_find(&choice, member, &message) || !value_find_text(&message, "content", &text))
        return STATUS_OK;
    if (text.size > COMPLETION_CONTENT_MAX - completion->content.size)
        return fail(completion, "the answer is longer than 128 KiB");
    buffer_append_text(&completion->content, text);
    return completion->content.failed ? fail_nomem(completion) : STATUS_OK;
}

static enum status
take_object(struct completion *completion, const struct value *map, const char *member)
{
    struct value found;
    char message[200], code[64];
    if (find_error(map, message, code)) {
        error_set(&completion->error, "the server says: %s",
                  message[0] ? message : "an error without words");
        return completion->failure = STATUS_GENERATION_FAILED;
    }
    if (value_find(map, "usage", &found) &&
        value_find_uint(&found, "total_tokens", &completion->tokens))
        completion->has_usage = true;
    if (value_find(map, "choices", &found))
        return take_choice(completion, &found, member);
    return STATUS_OK;
}

static enum status
take_json(struct completion *completion, struct json_parser *parser, struct text json,
          const char *member)
{
    struct buffer packed;
    struct value map;
    buffer_init(&packed);
    enum status status = json_to_msgpack(parser, json, &packed, NULL);
    if (status == STATUS_NOMEM)
        status = fail_nomem(completion);
    else if (status != STATUS_OK || !value_parse(buffer_bytes(&packed), &map) ||
             map.type != VALUE_MAP)
        status = fail(completion, "the answer is not JSON");
    else
        status = take_object(completion, &map, member);
    buffer_clear(&packed);
    return status;
}

/* ---- lines. An event of this protocol is one data line; other fields and comments say nothing
 * here. */

static enum status
take_line(struct completion *completion, struct json_parser *parser, struct text line)
{
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    if (!text_starts_with(line, "data:"))
        return STATUS_OK;
    line.data += strlen("data:");
    line.size -= strlen("data:");
    while (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) {
        line.data++;
        line.size--;
    }
    if (text_equal_string(line, "[DONE]")) {
        completion->marked_done = true;
        return STATUS_OK;
    }
    if (line.size == 0 || completion->marked_done)
        return STATUS_OK;
    return take_json(completion, parser, line, "delta");
}

static enum status
take_events(struct completion *completion, struct json_parser *parser, struct text piece)
{
    while (piece.size > 0) {
        const char *end = memchr(piece.data, '\n', piece.size);
        size_t size = end ? (size_t)(end - piece.data) : piece.size;
        if (size > COMPLETION_LINE_MAX - completion->pending.size)
            return fail(completion, "a line of the answer is longer than 256 KiB");
        buffer_append(&completion->pending, piece.data, size);
        if (completion->pending.failed)
            return fail_nomem(completion);
        if (!end)
            return STATUS_OK;
        enum status status = take_line(completion, parser, buffer_text(&completion->pending));
        buffer_reset(&completion->pending);
        if (status != STATUS_OK)
            return status;
        piece.data += size + 1;
        piece.size -= size + 1;
    }
    return STATUS_OK;
}

static void
find_form(struct completion *completion, struct text *piece)
{
    while (piece->size > 0 && memchr(" \t\r\n", piece->data[0], 4)) {
        piece->data++;
        piece->size--;
    }
    if (piece->size > 0)
        completion->form = piece->data[0] == '{' ? COMPLETION_JSON : COMPLETION_EVENTS;
}

static enum status
report(const struct completion *completion, struct error *error)
{
    if (completion->failure != STATUS_OK && error)
        *error = completion->error;
    return completion->failure;
}

enum status
completion_feed(struct completion *completion, struct json_parser *parser, struct bytes bytes,
                struct error *error)
{
    struct text piece = {(const char *)bytes.data, bytes.size};
    if (completion->failure != STATUS_OK)
        return report(completion, error);
    if (completion->form == COMPLETION_UNKNOWN)
        find_form(completion, &piece);
    if (completion->form == COMPLETION_EVENTS) {
        take_events(completion, parser, piece);
    } else if (completion->form == COMPLETION_JSON) {
        if (piece.size > COMPLETION_LINE_MAX - completion->pending.size)
            fail(completion, "the answer is larger than 256 KiB");
        else
            buffer_append_text(&completion->pending, piece);
        if (completion->pending.failed)
            fail_nomem(completion);
    }
    return report(completion, error);
}

enum status
completion_end(struct completion *completion, struct json_parser *parser, struct error *error)
{
    if (completion->failure != STATUS_OK)
        return report(completion, error);
    struct text rest = buffer_text(&completion->pending);
    bool is_json = completion->form == COMPLETION_JSON;
    if (is_json)
        take_json(completion, parser, rest, "message");
    else if (rest.size > 0)
        take_line(completion, parser, rest);
    if (completion->failure == STATUS_OK && !is_json && !completion->marked_done &&
        completion->finish_reason[0] == '\0')
        fail(completion, completion->content.size > 0
                             ? "the answer broke off"
                             : "the server sent no answer that can be read");
    if (completion->failure == STATUS_OK && completion->content.size == 0)
        fail(completion, "the answer is empty");
    return report(completion, error);
}
