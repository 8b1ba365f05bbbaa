/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/message.h"
#include "kernel/pack.h"

static struct message
request(void)
{
    return (struct message){
        .version = MESSAGE_VERSION,
        .kind = KIND_REQUEST,
        .id = {{1, 2, 3}},
        .source = text_of("agent:kasra"),
        .target = text_of("service:memory"),
        .type = text_of("memory.store"),
    };
}

static struct message
decode(const struct buffer *frame)
{
    struct message message;
    struct error error = ERROR_INIT;
    size_t used;
    if (message_decode(&message, buffer_bytes(frame), &used, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_int_equal(used, frame->size);
    return message;
}

static void
every_kind_has_its_word(void **state)
{
    (void)state;
    assert_string_equal(kind_word(KIND_HELLO), "hello");
    assert_string_equal(kind_word(KIND_UNSUBSCRIBE), "unsubscribe");
    assert_string_equal(kind_word(KIND_ERROR), "error");
    assert_string_equal(kind_word((enum kind)0), "unknown");
    assert_string_equal(kind_word((enum kind)19), "unknown");
}

static void
a_record_has_the_bytes_of_the_protocol(void **state)
{
    static const char wanted[] = "\x00\x00\x00\x22\x00\x1F\x96\x01\x03\x02\xC4\x10"
                                 "0123456789abcdef"
                                 "\xC0\xA7"
                                 "agent:k"
                                 "\x2A";
    struct message message = {.kind = KIND_HEARTBEAT, .flags = 2, .source = text_of("agent:k")};
    struct buffer out = {0};
    (void)state;
    memcpy(message.id.bytes, "0123456789abcdef", 16);
    message.payload = (struct bytes){(const uint8_t *)"\x2A", 1};

    assert_int_equal(message_encode(&out, &message, NULL), STATUS_OK);

    assert_int_equal(out.size, sizeof wanted - 1);
    assert_memory_equal(out.data, wanted, sizeof wanted - 1);
    buffer_clear(&out);
}

static void
records_of_one_frame_come_off_one_by_one(void **state)
{
    struct buffer frame = {0};
    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        struct message message = request();
        message.seq = i;
        assert_int_equal(message_encode(&frame, &message, NULL), STATUS_OK);
    }

    struct bytes rest = buffer_bytes(&frame);
    for (uint32_t i = 0; i < 10; i++) {
        struct message message;
        size_t used;
        assert_int_equal(message_decode(&message, rest, &used, NULL), STATUS_OK);
        assert_int_equal(message.seq, i);
        assert_int_equal(message.raw.size, used);
        rest.data += used;
        rest.size -= used;
    }
    assert_int_equal(rest.size, 0);
    buffer_clear(&frame);
}

static void
a_bad_record_tells_its_id_and_where_the_next_begins(void **state)
{
    struct buffer frame = {0};
    struct message bad = request(), good = request(), message;
    struct error error = ERROR_INIT;
    size_t used;
    (void)state;
    bad.target = text_of("nobody");
    assert_int_equal(message_encode(&frame, &bad, NULL), STATUS_OK);
    size_t bad_size = frame.size;
    assert_int_equal(message_encode(&frame, &good, NULL), STATUS_OK);

    assert_int_equal(message_decode(&message, buffer_bytes(&frame), &used, &error), STATUS_INVALID);

    assert_int_equal(used, bad_size);
    assert_true(uuid_equal(&message.id, &bad.id));
    assert_int_equal(message.raw.size, bad_size);
    assert_int_equal(message.source.size, 0);
    assert_int_equal(message.kind, 0);
    assert_non_null(strstr(error.message, "target"));
    struct bytes rest = {frame.data + used, frame.size - used};
    assert_int_equal(message_decode(&message, rest, &used, NULL), STATUS_OK);
    buffer_clear(&frame);
}

static void
the_largest_record_fits_and_one_byte_more_does_not(void **state)
{
    uint8_t *bytes = calloc(1, RECORD_SIZE_MAX + 1);
    struct buffer out = {0};
    struct message message = request();
    struct error error = ERROR_INIT;
    (void)state;
    assert_non_null(bytes);
    message.payload = (struct bytes){bytes, 1};
    buffer_append_string(&out, "before");
    assert_int_equal(message_encode(&out, &message, NULL), STATUS_OK);
    size_t overhead = out.size - strlen("before") - 1;
    out.size = strlen("before");

    message.payload.size = RECORD_SIZE_MAX - overhead + 1;
    assert_int_equal(message_encode(&out, &message, &error), STATUS_TOO_LARGE);
    assert_int_equal(out.size, strlen("before"));
    assert_true(strlen(error.message) > 0);

    message.payload.size--;
    buffer_reset(&out);
    assert_int_equal(message_encode(&out, &message, NULL), STATUS_OK);
    assert_int_equal(out.size, RECORD_SIZE_MAX);
    assert_int_equal(decode(&out).payload.size, message.payload.size);

    message.payload.size = SIZE_MAX;
    assert_int_equal(message_encode(&out, &message, NULL), STATUS_TOO_LARGE);
    buffer_clear(&out);
    free(bytes);
}

static void
over_long_fields_are_refused_before_they_travel(void **state)
{
    static char long_text[70000];
    struct buffer out = {0};
    struct message good = request();
    (void)state;
    memset(long_text, 'a', sizeof long_text);

    struct message messages[] = {good, good, good, good, good, good};
    messages[0].source = (struct text){long_text, MESSAGE_NAME_MAX + 1};
    messages[1].target = (struct text){long_text, MESSAGE_NAME_MAX + 1};
    messages[2].type = (struct text){long_text, MESSAGE_TYPE_MAX + 1};
    messages[3].capability = (struct text){long_text, MESSAGE_CAPABILITY_MAX + 1};
    messages[4].principal = (struct text){long_text, MESSAGE_NAME_MAX + 1};
    messages[5].metadata = (struct bytes){(const uint8_t *)long_text, UINT16_MAX};
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_int_equal(message_encode(&out, &messages[i], NULL), STATUS_TOO_LARGE);
        assert_int_equal(out.size, 0);
    }
    buffer_clear(&out);
}

static void
a_failed_buffer_takes_no_record(void **state)
{
    struct buffer out = {.failed = true};
    struct message message = request();
    struct error error = ERROR_INIT;
    (void)state;
    assert_int_equal(message_encode(&out, &message, &error), STATUS_NOMEM);
    assert_int_equal(out.size, 0);
    assert_true(strlen(error.message) > 0);
}

static void
an_error_survives_packing(void **state)
{
    struct buffer out = {0};
    struct error error = ERROR_INIT, read = ERROR_INIT;
    struct value map;
    struct text word;
    (void)state;
    error_set_field(&error, "amount", "came -1, expected 1 or more");
    error_pack(&out, STATUS_VALIDATION, &error);

    assert_true(value_parse(buffer_bytes(&out), &map));
    assert_true(value_find_text(&map, "detail", &word));
    assert_true(text_equal_string(word, "validation_error"));
    error_unpack(buffer_bytes(&out), &read);
    assert_string_equal(read.message, "amount: came -1, expected 1 or more");
    assert_string_equal(read.word, "validation_error");
    assert_string_equal(read.field, "amount");

    buffer_reset(&out);
    error_set_word(&error, "memory_not_found", "no memory m-1");
    error_pack(&out, STATUS_NOT_FOUND, &error);
    error_unpack(buffer_bytes(&out), &read);
    assert_string_equal(read.message, "no memory m-1");
    assert_string_equal(read.word, "memory_not_found");
    assert_string_equal(read.field, "");
    buffer_clear(&out);
}

static void
without_an_error_the_status_row_speaks(void **state)
{
    struct buffer out = {0};
    struct error read = ERROR_INIT;
    (void)state;
    error_pack(&out, STATUS_TIMEOUT, NULL);
    error_unpack(buffer_bytes(&out), &read);
    assert_string_equal(read.message, "no answer in time");
    assert_string_equal(read.word, "timeout");
    error_unpack(buffer_bytes(&out), NULL);
    buffer_clear(&out);
}

static void
a_foreign_error_payload_is_taken_as_far_as_it_goes(void **state)
{
    struct buffer out = {0};
    struct error read = {"old", "old", "old"};
    (void)state;
    error_unpack((struct bytes){NULL, 0}, &read);
    assert_string_equal(read.message, "");
    assert_string_equal(read.word, "");

    pack_map(&out, 3);
    pack_pair_string(&out, "message", "two\nlines");
    pack_pair_uint(&out, "detail", 7);
    pack_pair_string(&out, "context", "no map");
    error_unpack(buffer_bytes(&out), &read);
    assert_string_equal(read.message, "two lines");
    assert_string_equal(read.word, "");
    assert_string_equal(read.field, "");

    char long_text[1000];
    memset(long_text, 'x', sizeof long_text);
    buffer_reset(&out);
    pack_map(&out, 2);
    pack_pair_text(&out, "message", (struct text){long_text, sizeof long_text});
    pack_pair_text(&out, "detail", (struct text){long_text, sizeof long_text});
    error_unpack(buffer_bytes(&out), &read);
    assert_int_equal(strlen(read.message), sizeof read.message - 1);
    assert_int_equal(strlen(read.word), sizeof read.word - 1);
    buffer_clear(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_its_word),
        cmocka_unit_test(a_record_has_the_bytes_of_the_protocol),
        cmocka_unit_test(records_of_one_frame_come_off_one_by_one),
        cmocka_unit_test(a_bad_record_tells_its_id_and_where_the_next_begins),
        cmocka_unit_test(the_largest_record_fits_and_one_byte_more_does_not),
        cmocka_unit_test(over_long_fields_are_refused_before_they_travel),
        cmocka_unit_test(a_failed_buffer_takes_no_record),
        cmocka_unit_test(an_error_survives_packing),
        cmocka_unit_test(without_an_error_the_status_row_speaks),
        cmocka_unit_test(a_foreign_error_payload_is_taken_as_far_as_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
