/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/translate.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "kernel/capability.h"
#include "kernel/json.h"
#include "kernel/message.h"
#include "kernel/pack.h"

enum {
    NUMBER_TEXT_MAX = 64,
    CAPABILITY_TEXT_MAX = 2 * MESSAGE_CAPABILITY_MAX /* as base64url */
};

struct translator {
    struct json_parser *parser;
    struct buffer body;
    struct buffer payload;
    struct buffer token;
    struct buffer scratch;
};

struct translator *
translator_new(void)
{
    struct translator *translator = calloc(1, sizeof *translator);
    if (!translator)
        return NULL;
    translator->parser = json_parser_new();
    if (!translator->parser)
        translator_destroy(&translator);
    return translator;
}

void
translator_destroy(struct translator **translator_p)
{
    struct translator *translator = *translator_p;
    if (!translator)
        return;
    json_parser_destroy(&translator->parser);
    buffer_clear(&translator->body);
    buffer_clear(&translator->payload);
    buffer_clear(&translator->token);
    buffer_clear(&translator->scratch);
    free(translator);
    *translator_p = NULL;
}

/* ---- values of path and query */

static bool
parse_integer(struct text text, int64_t *value)
{
    char copy[NUMBER_TEXT_MAX];
    size_t digits = text.size > 0 && text.data[0] == '-' ? 1 : 0;
    if (text.size <= digits || text.size >= sizeof copy)
        return false;
    for (size_t i = digits; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    errno = 0;
    long long parsed = strtoll(copy, NULL, 10);
    if (errno == ERANGE)
        return false;
    *value = parsed;
    return true;
}

static bool
parse_number(struct text text, double *value)
{
    char copy[NUMBER_TEXT_MAX];
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (!strchr("0123456789+-.eE", text.data[i]))
            return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *end;
    double parsed = strtod(copy, &end);
    if (*end != '\0' || end == copy || !isfinite(parsed))
        return false;
    *value = parsed;
    return true;
}

static void
pack_typed(struct buffer *out, enum field_type type, struct text text)
{
    int64_t integer;
    double number;
    if ((type == FIELD_INTEGER || type == FIELD_AMOUNT || type == FIELD_NUMBER) &&
        parse_integer(text, &integer)) {
        pack_int(out, integer);
    } else if (type == FIELD_NUMBER && parse_number(text, &number)) {
        pack_double(out, number);
    } else if (type == FIELD_BOOLEAN &&
               (text_equal_string(text, "true") || text_equal_string(text, "1"))) {
        pack_bool(out, true);
    } else if (type == FIELD_BOOLEAN &&
               (text_equal_string(text, "false") || text_equal_string(text, "0"))) {
        pack_bool(out, false);
    } else {
        pack_text(out, text);
    }
}

static const struct text *
path_value(const struct translate_input *input, struct text name)
{
    for (size_t i = 0; i < input->match->count; i++)
        if (text_equal(input->match->names[i], name))
            return &input->match->values[i];
    return NULL;
}

static uint32_t
query_count(const struct translate_input *input, struct text name)
{
    uint32_t count = 0;
    for (size_t i = 0; i < input->uri->query_count; i++)
        count += text_equal(input->uri->query[i].name, name);
    return count;
}

static void
pack_query(struct buffer *out, const struct translate_input *input, const struct field *field)
{
    struct text name = text_of(field->name);
    if (field->type == FIELD_LIST)
        pack_array(out, query_count(input, name));
    for (size_t i = 0; i < input->uri->query_count; i++) {
        if (!text_equal(input->uri->query[i].name, name))
            continue;
        pack_typed(out, field->type == FIELD_LIST ? field->item : field->type,
                   input->uri->query[i].value);
        if (field->type != FIELD_LIST)
            return;
    }
}

enum origin { FROM_BODY, FROM_PATH, FROM_QUERY };

static enum origin
origin_of(const struct translate_input *input, struct text name, enum field_place place)
{
    if (place == PLACE_PATH && path_value(input, name))
        return FROM_PATH;
    if (place == PLACE_QUERY && query_count(input, name) > 0)
        return FROM_QUERY;
    return FROM_BODY;
}

/* Does the body's member of this name count? */
static bool
takes_member(const struct translate_input *input, const struct value *key)
{
    if (key->type != VALUE_TEXT)
        return false;
    if (text_equal_string(key->as.text, "capability"))
        return false;
    const struct operation *operation = input->match->operation;
    for (size_t i = 0; i < operation->field_count; i++)
        if (text_equal_string(key->as.text, operation->fields[i].name))
            return origin_of(input, key->as.text, operation->fields[i].place) == FROM_BODY;
    return true;
}

static void
pack_payload(struct buffer *out, const struct translate_input *input, const struct value *body)
{
    const struct operation *operation = input->match->operation;
    struct value key;
    struct value member;
    uint32_t count = 0;
    for (size_t i = 0; i < operation->field_count; i++)
        count += origin_of(input, text_of(operation->fields[i].name), operation->fields[i].place) !=
                 FROM_BODY;
    for (struct entries entries = value_entries(body); entries_next_pair(&entries, &key, &member);)
        count += takes_member(input, &key);

    pack_map(out, count);
    for (size_t i = 0; i < operation->field_count; i++) {
        const struct field *field = &operation->fields[i];
        struct text name = text_of(field->name);
        enum origin origin = origin_of(input, name, field->place);
        if (origin == FROM_BODY)
            continue;
        pack_text(out, name);
        if (origin == FROM_PATH)
            pack_typed(out, field->type, *path_value(input, name));
        else
            pack_query(out, input, field);
    }
    for (struct entries entries = value_entries(body);
         entries_next_pair(&entries, &key, &member);) {
        if (!takes_member(input, &key))
            continue;
        pack_text(out, key.as.text);
        pack_raw(out, member.raw);
    }
}

/* ---- the capability */

static struct text
trim(struct text text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Raw JSON or base64url of it into translator->token. */
static enum status
decode_token(struct translator *translator, struct text text, const char *place, const char *word,
             struct error *error)
{
    struct buffer *token = &translator->token;
    if (text.size > CAPABILITY_TEXT_MAX) {
        error_set_word(error, word, "%s: came %zu bytes, expected at most %d", place, text.size,
                       CAPABILITY_TEXT_MAX);
        return STATUS_INVALID;
    }
    if (text.data[0] == '{') {
        buffer_append_text(token, text);
    } else {
        while (text.size > 0 && text.data[text.size - 1] == '=')
            text.size--;
        size_t size = 0;
        if (!buffer_reserve(token, text.size + 1))
            return STATUS_NOMEM;
        if (sodium_base642bin(token->data, token->capacity, text.data, text.size, NULL, &size, NULL,
                              sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
            error_set_word(error, word, "%s: expected a capability as base64url JSON or as JSON",
                           place);
            return STATUS_INVALID;
        }
        token->size = size;
    }
    struct error cause = ERROR_INIT;
    buffer_reset(&translator->scratch);
    enum status status =
        json_to_msgpack(translator->parser, buffer_text(token), &translator->scratch, &cause);
    if (status == STATUS_INVALID)
        error_set_word(error, word, "%s: %s", place, cause.message);
    return status;
}

static enum status
check_token(struct translator *translator, struct translated *out, struct error *error)
{
    struct capability *capability = NULL;
    enum status status = capability_parse(&capability, buffer_text(&translator->token), error);
    capability_destroy(&capability);
    if (status == STATUS_OK)
        out->capability = buffer_text(&translator->token);
    return status;
}

static enum status
read_capability(struct translator *translator, const struct translate_input *input,
                const struct value *body, struct translated *out, struct error *error)
{
    static const char scheme[] = "Bearer ";
    const size_t scheme_size = sizeof scheme - 1;
    struct text header = trim(input->capability_header);
    const char *place = "X-SOS-Capability";
    if (header.size == 0 && input->authorization.size > scheme_size &&
        strncasecmp(input->authorization.data, scheme, scheme_size) == 0) {
        header = trim((struct text){input->authorization.data + scheme_size,
                                    input->authorization.size - scheme_size});
        place = "Authorization";
    }
    enum status status = STATUS_OK;
    buffer_reset(&translator->token);
    if (header.size > 0) {
        status = decode_token(translator, header, place, "invalid_capability_header", error);
        return status == STATUS_OK ? check_token(translator, out, error) : status;
    }

    struct value member;
    if (!value_find(body, "capability", &member) || member.type == VALUE_NIL)
        return STATUS_OK;
    if (member.type == VALUE_MAP) {
        status = msgpack_to_json(member.raw, &translator->token, error);
    } else if (member.type == VALUE_TEXT && member.as.text.size > 0) {
        status = decode_token(translator, member.as.text, "capability",
                              "invalid_capability_payload", error);
    } else {
        error_set_word(error, "invalid_capability_payload",
                       "capability: expected a capability object");
        return STATUS_INVALID;
    }
    return status == STATUS_OK ? check_token(translator, out, error) : status;
}

/* ---- the request */

static enum status
parse_body(struct translator *translator, struct text text, struct value *body, struct error *error)
{
    buffer_reset(&translator->body);
    if (text.size == 0) {
        pack_map(&translator->body, 0);
    } else {
        enum status status = json_to_msgpack(translator->parser, text, &translator->body, error);
        if (status != STATUS_OK) {
            error_wrap(error, "body");
            return status;
        }
    }
    if (translator->body.failed)
        return STATUS_NOMEM;
    if (!value_parse(buffer_bytes(&translator->body), body) || body->type != VALUE_MAP) {
        error_set(error, "body: expected a JSON object");
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

enum status
translate_request(struct translator *translator, const struct translate_input *input,
                  struct translated *out, struct error *error)
{
    const struct operation *operation = input->match->operation;
    struct value body;
    struct translated result = {0};
    enum status status = parse_body(translator, input->body, &body, error);
    if (status != STATUS_OK)
        return status;
    status = read_capability(translator, input, &body, &result, error);
    if (status != STATUS_OK)
        return status;

    buffer_reset(&translator->payload);
    pack_payload(&translator->payload, input, &body);
    if (translator->payload.failed || translator->token.failed)
        return STATUS_NOMEM;
    result.payload = buffer_bytes(&translator->payload);
    if (operation->flags & OPERATION_STREAM_ALWAYS) {
        result.stream = true;
    } else if (operation->flags & OPERATION_STREAM) {
        struct value payload;
        if (value_parse(result.payload, &payload))
            value_find_bool(&payload, "stream", &result.stream);
    }
    *out = result;
    return STATUS_OK;
}

/* ---- the answer */

enum status
translate_answer(struct bytes payload, struct buffer *json, struct error *error)
{
    if (payload.size == 0) {
        buffer_append_string(json, "{}");
        return STATUS_OK;
    }
    return msgpack_to_json(payload, json, error);
}

void
translate_error_object(enum status status, struct bytes payload, struct buffer *json)
{
    struct value map;
    struct value context;
    struct text message = text_of(status_text(status));
    struct text word = text_of(status_word(status));
    bool has_context = false;
    if (value_parse(payload, &map)) {
        struct text text;
        if (value_find_text(&map, "message", &text) && text.size > 0)
            message = text;
        if (value_find_text(&map, "detail", &text) && text.size > 0)
            word = text;
        has_context = value_find(&map, "context", &context) && context.type == VALUE_MAP;
    }
    buffer_append_format(json, "{\"code\":%d,\"message\":", (int)status);
    json_append_text(json, message);
    buffer_append_string(json, ",\"detail\":");
    json_append_text(json, word);
    buffer_append_string(json, ",\"context\":");
    if (!has_context || msgpack_to_json(context.raw, json, NULL) != STATUS_OK)
        buffer_append_string(json, "{}");
    buffer_append_byte(json, '}');
}

void
translate_refusal(enum status status, struct bytes payload, struct buffer *json)
{
    struct value map;
    struct text word = text_of(status_word(status));
    struct text text;
    if (value_parse(payload, &map) && value_find_text(&map, "detail", &text) && text.size > 0)
        word = text;
    buffer_append_string(json, "{\"ok\":false,\"detail\":");
    json_append_text(json, word);
    buffer_append_string(json, ",\"error\":");
    translate_error_object(status, payload, json);
    buffer_append_byte(json, '}');
}
