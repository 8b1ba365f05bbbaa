/* SPDX-License-Identifier: Apache-2.0 */
/* Every record of tests/vectors/records.json, which an independent encoder wrote. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/message.h"

static int
load_vectors(void **state)
{
    char path[] = __FILE__;
    char *tests = strstr(path, "unit/kernel/test_vectors.c");
    assert_non_null(tests);
    *tests = '\0';

    struct buffer file = {0};
    json_error_t error;
    buffer_append_format(&file, "%svectors/records.json", path);
    buffer_append_byte(&file, 0);
    *state = json_load_file((const char *)file.data, 0, &error);
    buffer_clear(&file);
    if (!*state)
        fail_msg("%s:%d: %s", error.source, error.line, error.text);
    return 0;
}

static int
drop_vectors(void **state)
{
    json_decref(*state);
    return 0;
}

static void
append_hex(struct buffer *out, const char *hex)
{
    char digits[3] = {0};
    assert_non_null(hex);
    for (; *hex; hex += 2) {
        memcpy(digits, hex, 2);
        buffer_append_byte(out, (uint8_t)strtoul(digits, NULL, 16));
    }
}

/* In memory of its exact size, so that a sanitizer sees a read beyond it. */
static uint8_t *
frame_of(json_t *vector, size_t *size)
{
    struct buffer bytes = {0};
    append_hex(&bytes, json_string_value(json_object_get(vector, "hex")));
    for (json_int_t i = json_integer_value(json_object_get(vector, "zeros")); i > 0; i--)
        buffer_append_byte(&bytes, 0);
    uint8_t *frame = malloc(bytes.size > 0 ? bytes.size : 1);
    assert_non_null(frame);
    if (bytes.size > 0)
        memcpy(frame, bytes.data, bytes.size);
    *size = bytes.size;
    buffer_clear(&bytes);
    return frame;
}

static void
expect(bool holds, json_t *vector, const char *what)
{
    if (!holds)
        fail_msg("vector \"%s\": %s differs", json_string_value(json_object_get(vector, "name")),
                 what);
}

static void
expect_number(json_t *vector, json_t *fields, const char *name, uint64_t number)
{
    json_t *field = json_object_get(fields, name);
    uint64_t wanted = json_is_string(field) ? strtoull(json_string_value(field), NULL, 10)
                                            : (uint64_t)json_integer_value(field);
    expect(number == wanted, vector, name);
}

static void
expect_text(json_t *vector, json_t *fields, const char *name, struct text text)
{
    json_t *field = json_object_get(fields, name);
    struct text wanted = {json_string_value(field), json_string_length(field)};
    expect(text_equal(text, wanted), vector, name);
}

static void
expect_bytes(json_t *vector, json_t *fields, const char *name, struct bytes bytes)
{
    json_t *field = json_object_get(fields, name);
    struct buffer wanted = {0};
    if (field)
        append_hex(&wanted, json_string_value(field));
    expect(wanted.size == bytes.size &&
               (bytes.size == 0 || memcmp(wanted.data, bytes.data, bytes.size) == 0),
           vector, name);
    buffer_clear(&wanted);
}

static void
expect_uuid(json_t *vector, json_t *fields, const char *name, const struct uuid *uuid)
{
    struct bytes bytes = {uuid->bytes, uuid_is_nil(uuid) ? 0 : sizeof uuid->bytes};
    expect_bytes(vector, fields, name, bytes);
}

static void
expect_fields(json_t *vector, const struct message *message)
{
    json_t *fields = json_object_get(vector, "fields");
    json_int_t zeros = json_integer_value(json_object_get(vector, "zeros"));

    expect_number(vector, fields, "version", message->version);
    expect_number(vector, fields, "kind", (uint64_t)message->kind);
    expect_number(vector, fields, "flags", message->flags);
    expect_uuid(vector, fields, "id", &message->id);
    expect_uuid(vector, fields, "correlation", &message->correlation);
    expect_text(vector, fields, "source", message->source);
    expect_text(vector, fields, "target", message->target);
    expect_text(vector, fields, "type", message->type);
    expect_number(vector, fields, "timestamp", message->timestamp_us);
    expect_number(vector, fields, "ttl_ms", message->ttl_ms);
    expect_bytes(vector, fields, "trace", message->trace);
    expect_text(vector, fields, "capability", message->capability);
    expect_number(vector, fields, "status", message->status);
    expect_number(vector, fields, "seq", message->seq);
    expect_text(vector, fields, "principal", message->principal);
    expect_bytes(vector, fields, "metadata", message->metadata);
    expect_number(vector, fields, "attempt", message->attempt);

    struct bytes payload = message->payload;
    expect(payload.size >= (size_t)zeros, vector, "payload");
    payload.size -= (size_t)zeros;
    expect_bytes(vector, vector, "payload", payload);
}

/* Encoding what was decoded, and decoding that, must not change a field. */
static void
expect_round_trip(json_t *vector, const struct message *message)
{
    struct buffer again = {0};
    struct message decoded;
    size_t used;

    expect(message_encode(&again, message, NULL) == STATUS_OK, vector, "re-encoding");
    expect(message_decode(&decoded, buffer_bytes(&again), &used, NULL) == STATUS_OK, vector,
           "decoding the re-encoded");
    expect(used == again.size, vector, "size of the re-encoded");
    expect_fields(vector, &decoded);
    buffer_clear(&again);
}

static void
good_records_decode_to_their_fields(void **state)
{
    size_t i, good = 0;
    json_t *vector;
    json_array_foreach(*state, i, vector)
    {
        if (!json_is_true(json_object_get(vector, "valid")))
            continue;
        struct message message;
        struct error error = ERROR_INIT;
        size_t size, used;
        uint8_t *frame = frame_of(vector, &size);

        enum status status = message_decode(&message, (struct bytes){frame, size}, &used, &error);

        expect(status == STATUS_OK, vector, error.message);
        expect_number(vector, vector, "used", used);
        expect(message.raw.data == frame && message.raw.size == used, vector, "raw");
        expect_fields(vector, &message);
        expect_round_trip(vector, &message);
        free(frame);
        good++;
    }
    assert_true(good > 30);
}

static void
bad_records_are_refused_with_a_reason(void **state)
{
    size_t i, bad = 0;
    json_t *vector;
    json_array_foreach(*state, i, vector)
    {
        if (!json_is_false(json_object_get(vector, "valid")))
            continue;
        struct message message;
        struct error error = ERROR_INIT;
        size_t size, used;
        uint8_t *frame = frame_of(vector, &size);
        const char *wanted = json_string_value(json_object_get(vector, "status"));

        enum status status = message_decode(&message, (struct bytes){frame, size}, &used, &error);

        expect(status == (strcmp(wanted, "TOO_LARGE") == 0 ? STATUS_TOO_LARGE : STATUS_INVALID),
               vector, "status");
        expect_number(vector, vector, "used", used);
        expect(error.message[0] != '\0', vector, "error message");
        free(frame);
        bad++;
    }
    assert_true(bad > 100);
}

/* Cut anywhere, a good record is a broken length and never read beyond its end. */
static void
good_records_cut_short_are_broken(void **state)
{
    size_t i;
    json_t *vector;
    json_array_foreach(*state, i, vector)
    {
        size_t size, used;
        json_int_t whole = json_integer_value(json_object_get(vector, "used"));
        if (!json_is_true(json_object_get(vector, "valid")) || whole > 1000)
            continue;
        uint8_t *frame = frame_of(vector, &size);
        for (size_t cut = 0; cut < (size_t)whole; cut++) {
            struct message message;
            uint8_t *head = malloc(cut > 0 ? cut : 1);
            assert_non_null(head);
            memcpy(head, frame, cut);

            expect(message_decode(&message, (struct bytes){head, cut}, &used, NULL) ==
                       STATUS_INVALID,
                   vector, "status when cut");
            expect(used == 0, vector, "used when cut");
            free(head);
        }
        free(frame);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_records_decode_to_their_fields),
        cmocka_unit_test(bad_records_are_refused_with_a_reason),
        cmocka_unit_test(good_records_cut_short_are_broken),
    };
    return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
