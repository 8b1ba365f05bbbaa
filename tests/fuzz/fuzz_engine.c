/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine reads of strangers: a model server's answer, cut in two at any place, and the
 * words of users and memories. Answers stay valid UTF-8 and within their bounds; the same bytes cut
 * otherwise read the same. */
#include <stdlib.h>

#include "actors/engine/completion.h"
#include "actors/engine/model_local.h"
#include "actors/engine/recall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status
read_cut(struct completion *completion, struct json_parser *parser, const uint8_t *data,
         size_t size, size_t cut)
{
    struct error error = ERROR_INIT;
    completion_init(completion);
    completion_feed(completion, parser, (struct bytes){data, cut}, &error);
    completion_feed(completion, parser, (struct bytes){data + cut, size - cut}, &error);
    return completion_end(completion, parser, &error);
}

static void
read_answer(const uint8_t *data, size_t size, size_t cut)
{
    struct json_parser *parser = json_parser_new();
    struct completion whole, pieces;
    if (!parser)
        abort();
    enum status first = read_cut(&whole, parser, data, size, 0);
    enum status second = read_cut(&pieces, parser, data, size, cut);
    if (first != second || !text_equal(buffer_text(&whole.content), buffer_text(&pieces.content)))
        abort();
    if (whole.content.size > COMPLETION_CONTENT_MAX || !text_is_utf8(buffer_text(&whole.content)))
        abort();
    completion_clear(&whole);
    completion_clear(&pieces);
    json_parser_destroy(&parser);
}

static void
answer_words(struct text message, struct text note)
{
    struct local_citation citations[LOCAL_CITATIONS_MAX];
    const struct local_note notes[] = {{note, {0}, 1}, {message, {"m", 1}, 2}};
    const struct local_question question = {message, notes, 2, true};
    struct buffer content;
    buffer_init(&content);
    if (model_local_answer(&question, &content, citations) > LOCAL_CITATIONS_MAX)
        abort();
    if (text_is_utf8(message) && text_is_utf8(note) && !text_is_utf8(buffer_text(&content)))
        abort();
    buffer_clear(&content);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t cut = data[0] % size;
    const uint8_t *rest = data + 1;
    size--;
    cut = cut > size ? size : cut;
    read_answer(rest, size, cut);
    answer_words((struct text){(const char *)rest, cut},
                 (struct text){(const char *)rest + cut, size - cut});
    struct recall recall = {.count = 0};
    struct error error = ERROR_INIT;
    recall_read(&recall, (struct bytes){rest, size}, &error);
    if (recall.count > RECALL_MAX)
        abort();
    recall_clear(&recall);
    return 0;
}
