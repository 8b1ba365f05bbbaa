/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A message is one line of a log: control characters become spaces, and what is not UTF-8
 * (somebody's bytes came in through a %s) becomes '?'. `cut` says that the end may be missing, in
 * which case a last sequence that lost bytes goes whole. */
static void
tidy(char *string, bool cut)
{
    size_t size = strlen(string);

    for (size_t at = 0; at < size;) {
        unsigned char byte = (unsigned char)string[at];
        if (byte < 0x80) {
            if (byte < 0x20 || byte == 0x7F)
                string[at] = ' ';
            at++;
            continue;
        }
        size_t wanted = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
        size_t left = size - at;
        if (text_is_utf8((struct text){string + at, wanted < left ? wanted : left})) {
            /* U+0080 to U+009F are control characters too (ISO 6429). */
            if (byte == 0xC2 && (unsigned char)string[at + 1] < 0xA0)
                memset(string + at, ' ', 2);
            at += wanted;
        } else if (cut && byte >= 0xC2 && left < wanted) {
            string[at] = '\0';
            return;
        } else {
            string[at++] = '?';
        }
    }
}

void
error_copy_text(char *to, size_t capacity, struct text text)
{
    bool cut = text.size >= capacity;
    size_t size = cut ? capacity - 1 : text.size;

    if (size > 0)
        memcpy(to, text.data, size);
    to[size] = '\0';
    tidy(to, cut);
}

static void
format_into(char *to, size_t capacity, const char *format, va_list args)
{
    int size = vsnprintf(to, capacity, format, args);
    if (size < 0)
        to[0] = '\0';
    tidy(to, size >= 0 && (size_t)size >= capacity);
}

/* Formats before it writes: the arguments may be the error's own texts. */
static void
set(struct error *error, const char *word, const char *field, const char *format, va_list args)
{
    struct error fresh = ERROR_INIT;
    size_t used = 0;

    error_copy_text(fresh.word, sizeof fresh.word, text_of(word));
    error_copy_text(fresh.field, sizeof fresh.field, text_of(field));
    if (field && *field) {
        snprintf(fresh.message, sizeof fresh.message, "%s: ", fresh.field);
        used = strlen(fresh.message);
    }
    format_into(fresh.message + used, sizeof fresh.message - used, format, args);
    *error = fresh;
}

void
error_set(struct error *error, const char *format, ...)
{
    if (!error)
        return;
    va_list args;
    va_start(args, format);
    set(error, NULL, NULL, format, args);
    va_end(args);
}

void
error_set_word(struct error *error, const char *word, const char *format, ...)
{
    if (!error)
        return;
    va_list args;
    va_start(args, format);
    set(error, word, NULL, format, args);
    va_end(args);
}

void
error_set_field(struct error *error, const char *field, const char *format, ...)
{
    if (!error)
        return;
    va_list args;
    va_start(args, format);
    set(error, NULL, field, format, args);
    va_end(args);
}

void
error_wrap(struct error *error, const char *format, ...)
{
    if (!error)
        return;

    char message[sizeof error->message];
    va_list args;
    va_start(args, format);
    format_into(message, sizeof message, format, args);
    va_end(args);

    size_t used = strlen(message);
    int size = snprintf(message + used, sizeof message - used, ": %s", error->message);
    tidy(message, size >= 0 && (size_t)size >= sizeof message - used);
    memcpy(error->message, message, sizeof message);
}
