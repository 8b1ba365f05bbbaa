/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include "kernel/json.h"

void
print_clean(struct text text, struct buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        /* U+0080 to U+009F are control characters too: 0xC2 and one more byte. */
        bool c1 = byte == 0xc2 && i + 1 < text.size && (unsigned char)text.data[i + 1] < 0xa0;
        if (c1)
            i++;
        if (c1 || byte == 0x7f || (byte < 0x20 && byte != '\n' && byte != '\t'))
            buffer_append_byte(out, '?');
        else
            buffer_append_byte(out, byte);
    }
}

static void
new_line(struct buffer *out, size_t depth)
{
    buffer_append_byte(out, '\n');
    for (size_t i = 0; i < depth; i++)
        buffer_append_string(out, "  ");
}

void
print_indented(struct text json, struct buffer *out)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.size; i++) {
        char c = json.data[i];
        char next = i + 1 < json.size ? json.data[i + 1] : '\0';
        if (in_string) {
            buffer_append_byte(out, (uint8_t)c);
            if (c == '\\' && next)
                buffer_append_byte(out, (uint8_t)json.data[++i]);
            else if (c == '"')
                in_string = false;
        } else if ((c == '{' && next == '}') || (c == '[' && next == ']')) {
            buffer_append_byte(out, (uint8_t)c);
            buffer_append_byte(out, (uint8_t)json.data[++i]);
        } else if (c == '{' || c == '[') {
            buffer_append_byte(out, (uint8_t)c);
            new_line(out, ++depth);
        } else if (c == '}' || c == ']') {
            new_line(out, depth ? --depth : 0);
            buffer_append_byte(out, (uint8_t)c);
        } else {
            buffer_append_byte(out, (uint8_t)c);
            in_string = c == '"';
            if (c == ',')
                new_line(out, depth);
            if (c == ':')
                buffer_append_byte(out, ' ');
        }
    }
}

static enum status
write_out(const struct buffer *text, struct error *error)
{
    if (text->failed) {
        error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    if (fwrite(text->data, 1, text->size, stdout) != text->size || fflush(stdout) != 0) {
        error_set(error, "standard output cannot be written");
        return STATUS_INTERNAL;
    }
    return STATUS_OK;
}

enum status
print_value(struct bytes value, bool indented, struct error *error)
{
    struct buffer json;
    struct buffer text;
    buffer_init(&json);
    buffer_init(&text);
    enum status status = msgpack_to_json(value, &json, error);
    if (status == STATUS_OK) {
        if (indented) {
            print_indented(buffer_text(&json), &text);
            buffer_append_byte(&text, '\n');
        } else {
            buffer_append_byte(&json, '\n');
        }
        status = write_out(indented ? &text : &json, error);
    }
    buffer_clear(&text);
    buffer_clear(&json);
    return status;
}

static void
add_member(struct buffer *out, const char *name, const char *value)
{
    buffer_append_format(out, "\"%s\":", name);
    json_append_text(out, text_of(value));
}

int
print_refusal(const struct cli *cli, const char *command, enum status status,
              const struct error *error)
{
    const char *word = *error->word ? error->word : status_word(status);
    const char *message = *error->message ? error->message : status_text(status);
    struct buffer out;
    buffer_init(&out);
    if (cli->json) {
        buffer_append_string(&out, "{\"ok\":false,");
        add_member(&out, "detail", word);
        buffer_append_format(&out, ",\"error\":{\"code\":%d,", (int)status);
        add_member(&out, "message", message);
        buffer_append_string(&out, ",");
        add_member(&out, "detail", word);
        buffer_append_string(&out, ",\"context\":{");
        if (*error->field)
            add_member(&out, "field", error->field);
        buffer_append_string(&out, "}}}\n");
        write_out(&out, NULL);
    } else {
        print_clean(text_of(message), &out);
        fprintf(stderr, "sos %s: %.*s (%s, %d)\n", command, TEXT_ARGS(buffer_text(&out)), word,
                (int)status);
    }
    buffer_clear(&out);
    return EXIT_FAILED;
}
