/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/clock.h"

enum { FORMAT = 1 };

/* ---- writing */

struct recorder {
    FILE *file;
    char *path;
    struct json_parser *parser;
    struct buffer line;
    struct buffer again; /* the line read back */
    bool failed;
};

static enum status
fail(const char *what, const char *path, struct error *error)
{
    error_set(error, "%s %s: %s", what, path, strerror(errno));
    return errno == EEXIST ? STATUS_ALREADY_EXISTS : STATUS_INTERNAL;
}

static enum status
write_line(struct recorder *recorder, struct error *error)
{
    buffer_append_byte(&recorder->line, '\n');
    if (recorder->line.failed)
        return STATUS_NOMEM;
    if (recorder->failed || fwrite(recorder->line.data, 1, recorder->line.size, recorder->file) !=
                                recorder->line.size) {
        recorder->failed = true;
        return fail("write recording", recorder->path, error);
    }
    return STATUS_OK;
}

static enum status
write_head(struct recorder *recorder, bool payloads, struct bytes filters, uint64_t wall_us,
           struct error *error)
{
    char when[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_us, when);
    buffer_reset(&recorder->line);
    buffer_append_format(&recorder->line,
                         "{\"sos_recording\":%d,\"version\":\"%s\",\"started_at\":\"%s\","
                         "\"payloads\":%s,\"filters\":",
                         FORMAT, SOS_VERSION, when, payloads ? "true" : "false");
    enum status status = msgpack_to_json(filters, &recorder->line, error);
    if (status != STATUS_OK)
        return status;
    buffer_append_byte(&recorder->line, '}');
    return write_line(recorder, error);
}

enum status
recorder_open(struct recorder **recorder_p, const char *path, bool payloads, struct bytes filters,
              uint64_t wall_us, struct error *error)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder)
        return STATUS_NOMEM;
    buffer_init(&recorder->line);
    buffer_init(&recorder->again);
    recorder->path = strdup(path);
    recorder->parser = json_parser_new();
    enum status status = recorder->path && recorder->parser ? STATUS_OK : STATUS_NOMEM;
    if (status == STATUS_OK) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        recorder->file = fd >= 0 ? fdopen(fd, "w") : NULL;
        if (!recorder->file)
            status = fail("make recording", path, error);
    }
    if (status == STATUS_OK)
        status = write_head(recorder, payloads, filters, wall_us, error);
    if (status != STATUS_OK) {
        recorder_close(&recorder, NULL);
        return status;
    }
    *recorder_p = recorder;
    return STATUS_OK;
}

static void
append_base64(struct buffer *out, struct bytes bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes.size, sodium_base64_VARIANT_ORIGINAL);
    if (!buffer_reserve(out, size))
        return;
    sodium_bin2base64((char *)out->data + out->size, size, bytes.data, bytes.size,
                      sodium_base64_VARIANT_ORIGINAL);
    out->size += size - 1;
}

/* Does the line, read back, hold the same payload to the byte? *readable: it can be read at all. */
static bool
gives_back(struct recorder *recorder, struct bytes payload, bool *readable)
{
    struct value whole, found;
    buffer_reset(&recorder->again);
    *readable = json_to_msgpack(recorder->parser, buffer_text(&recorder->line), &recorder->again,
                                NULL) == STATUS_OK &&
                value_parse(buffer_bytes(&recorder->again), &whole);
    return *readable && value_find(&whole, "payload", &found) && found.raw.size == payload.size &&
           memcmp(found.raw.data, payload.data, payload.size) == 0;
}

/* The record without its payload, which JSON cannot hold. */
static enum status
write_without_payload(struct recorder *recorder, const struct value *record, struct error *error)
{
    struct value key, value;
    struct entries entries = value_entries(record);
    struct buffer fewer;
    uint32_t count = 0;
    buffer_init(&fewer);
    struct entries all = value_entries(record);
    while (entries_next_pair(&all, &key, &value))
        count += !(key.type == VALUE_TEXT && text_equal_string(key.as.text, "payload"));
    pack_map(&fewer, count);
    while (entries_next_pair(&entries, &key, &value)) {
        if (key.type == VALUE_TEXT && text_equal_string(key.as.text, "payload"))
            continue;
        pack_raw(&fewer, key.raw);
        pack_raw(&fewer, value.raw);
    }
    buffer_reset(&recorder->line);
    enum status status =
        fewer.failed ? STATUS_NOMEM : msgpack_to_json(buffer_bytes(&fewer), &recorder->line, error);
    buffer_clear(&fewer);
    return status;
}

enum status
recorder_add(struct recorder *recorder, struct bytes record, struct error *error)
{
    struct value whole, payload;
    bool readable = true;
    if (!value_parse(record, &whole) || whole.type != VALUE_MAP) {
        error_set(error, "a record is not a map");
        return STATUS_INVALID;
    }
    buffer_reset(&recorder->line);
    enum status status = msgpack_to_json(record, &recorder->line, error);
    bool has_payload = value_find(&whole, "payload", &payload);
    if (status == STATUS_OK && has_payload && !gives_back(recorder, payload.raw, &readable)) {
        if (!readable)
            status = write_without_payload(recorder, &whole, error);
        if (status == STATUS_OK && recorder->line.size > 2) {
            recorder->line.size--; /* the closing brace */
            buffer_append_string(&recorder->line, ",\"packed\":\"");
            append_base64(&recorder->line, payload.raw);
            buffer_append_string(&recorder->line, "\"}");
        }
    }
    return status == STATUS_OK ? write_line(recorder, error) : status;
}

enum status
recorder_dropped(struct recorder *recorder, uint64_t dropped, struct error *error)
{
    buffer_reset(&recorder->line);
    buffer_append_format(&recorder->line, "{\"dropped\":%llu}", (unsigned long long)dropped);
    return write_line(recorder, error);
}

enum status
recorder_flush(struct recorder *recorder, struct error *error)
{
    if (!recorder->failed && fflush(recorder->file) == 0)
        return STATUS_OK;
    recorder->failed = true;
    return fail("write recording", recorder->path, error);
}

enum status
recorder_close(struct recorder **recorder_p, struct error *error)
{
    struct recorder *recorder = *recorder_p;
    enum status status = STATUS_OK;
    if (!recorder)
        return status;
    if (recorder->file && (fclose(recorder->file) != 0 || recorder->failed))
        status = fail("write recording", recorder->path, error);
    json_parser_destroy(&recorder->parser);
    buffer_clear(&recorder->line);
    buffer_clear(&recorder->again);
    free(recorder->path);
    free(recorder);
    *recorder_p = NULL;
    return status;
}

/* ---- reading */

struct recording {
    FILE *file;
    char *name;
    struct json_parser *parser;
    struct buffer line;
    struct buffer bytes;
    uint64_t number; /* of the line */
};

static enum status
read_head(const struct value *value, struct recorded *recorded, struct error *error)
{
    uint64_t format = 0;
    recorded->type = RECORDED_HEAD;
    value_find_bool(value, "payloads", &recorded->payloads);
    if (value_find_uint(value, "sos_recording", &format) && format == FORMAT)
        return STATUS_OK;
    error_set(error, "a recording of form %llu, only form %d is known", (unsigned long long)format,
              FORMAT);
    return STATUS_INVALID;
}

/* Appends what "packed" holds behind the line's own bytes. */
static enum status
read_packed(struct text packed, struct buffer *bytes, struct recorded *recorded,
            struct error *error)
{
    size_t from = bytes->size;
    size_t size = 0;
    struct value payload;
    if (!buffer_reserve(bytes, packed.size))
        return STATUS_NOMEM;
    if (sodium_base642bin(bytes->data + from, packed.size, packed.data, packed.size, NULL, &size,
                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        !value_parse((struct bytes){bytes->data + from, size}, &payload)) {
        error_set(error, "packed: expected base64 of one msgpack value");
        return STATUS_INVALID;
    }
    bytes->size += size;
    recorded->payload = (struct bytes){bytes->data + from, size};
    return STATUS_OK;
}

static enum status
read_record(struct buffer *bytes, struct recorded *recorded, struct error *error)
{
    struct value payload;
    struct text packed;
    recorded->type = RECORDED_RECORD;
    if (!value_find_text(&recorded->value, "packed", &packed)) {
        if (value_find(&recorded->value, "payload", &payload))
            recorded->payload = payload.raw;
        return STATUS_OK;
    }
    /* Growing the buffer moves what the views lead to, this text included. */
    char *copy = text_copy(packed);
    size_t line_size = bytes->size;
    size_t copy_size = packed.size;
    enum status status =
        copy ? read_packed((struct text){copy, copy_size}, bytes, recorded, error) : STATUS_NOMEM;
    free(copy);
    if (status == STATUS_OK)
        value_parse((struct bytes){bytes->data, line_size}, &recorded->value);
    return status;
}

enum status
recording_parse(struct json_parser *parser, struct text line, struct buffer *bytes,
                struct recorded *recorded, struct error *error)
{
    struct value found;
    *recorded = (struct recorded){.type = RECORDED_RECORD};
    buffer_reset(bytes);
    enum status status = json_to_msgpack(parser, line, bytes, error);
    if (status != STATUS_OK)
        return status;
    if (!value_parse(buffer_bytes(bytes), &recorded->value) || recorded->value.type != VALUE_MAP) {
        error_set(error, "expected an object");
        return STATUS_INVALID;
    }
    if (value_find(&recorded->value, "sos_recording", &found))
        return read_head(&recorded->value, recorded, error);
    if (value_find_uint(&recorded->value, "dropped", &recorded->dropped)) {
        recorded->type = RECORDED_DROPPED;
        return STATUS_OK;
    }
    return read_record(bytes, recorded, error);
}

/* False: the file ended. A last line without an end is what a killed recorder left: it is left
 * out. */
static enum status
read_line(struct recording *recording, bool *end, struct error *error)
{
    int byte;
    buffer_reset(&recording->line);
    recording->number++;
    *end = false;
    while ((byte = getc_unlocked(recording->file)) != EOF && byte != '\n') {
        buffer_append_byte(&recording->line, (uint8_t)byte);
        if (recording->line.size > RECORDING_LINE_MAX) {
            error_set(error, "longer than %d bytes", RECORDING_LINE_MAX);
            return STATUS_TOO_LARGE;
        }
    }
    if (byte == EOF && ferror(recording->file))
        return fail("read", recording->name, error);
    *end = byte == EOF;
    return recording->line.failed ? STATUS_NOMEM : STATUS_OK;
}

enum status
recording_next(struct recording *recording, struct recorded *recorded, bool *end,
               struct error *error)
{
    enum status status;
    do
        status = read_line(recording, end, error);
    while (status == STATUS_OK && !*end && recording->line.size == 0);
    if (status == STATUS_OK && !*end)
        status = recording_parse(recording->parser, buffer_text(&recording->line),
                                 &recording->bytes, recorded, error);
    if (status != STATUS_OK)
        error_wrap(error, "%s line %llu", recording->name, (unsigned long long)recording->number);
    return status;
}

static enum status
open_file(struct recording *recording, const char *path, struct error *error)
{
    bool standard = strcmp(path, "-") == 0;
    recording->name = strdup(standard ? "standard input" : path);
    recording->parser = json_parser_new();
    if (!recording->name || !recording->parser)
        return STATUS_NOMEM;
    int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    recording->file = fd >= 0 ? fdopen(fd, "r") : NULL;
    return recording->file ? STATUS_OK : fail("open recording", path, error);
}

enum status
recording_open(struct recording **recording_p, const char *path, bool *payloads,
               struct error *error)
{
    struct recording *recording = calloc(1, sizeof *recording);
    struct recorded head = {.type = RECORDED_RECORD};
    bool end = false;
    if (!recording)
        return STATUS_NOMEM;
    buffer_init(&recording->line);
    buffer_init(&recording->bytes);
    enum status status = open_file(recording, path, error);
    if (status == STATUS_OK)
        status = recording_next(recording, &head, &end, error);
    if (status == STATUS_OK && (end || head.type != RECORDED_HEAD)) {
        error_set(error, "%s: not a recording of sos tap --record", recording->name);
        status = STATUS_INVALID;
    }
    if (status != STATUS_OK) {
        recording_close(&recording);
        return status;
    }
    *payloads = head.payloads;
    *recording_p = recording;
    return STATUS_OK;
}

void
recording_close(struct recording **recording_p)
{
    struct recording *recording = *recording_p;
    if (!recording)
        return;
    if (recording->file)
        fclose(recording->file);
    json_parser_destroy(&recording->parser);
    buffer_clear(&recording->line);
    buffer_clear(&recording->bytes);
    free(recording->name);
    free(recording);
    *recording_p = NULL;
}
