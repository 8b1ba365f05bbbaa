/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGE_MAX = 1000, FIN = 0x80, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* A client that is two buffers. */
struct world {
    struct websocket *websocket;
    struct buffer in; /* on its way to the server */
    size_t in_at;
    bool ended;
    bool pause;             /* after each message */
    struct buffer out;      /* what the server wrote */
    size_t room;            /* how much more it can write */
    struct buffer got;      /* messages, each ended by '|' */
    const char *answer;     /* sent for each message; NULL: nothing */
    size_t reads, read_sum; /* calls that gave bytes, and how many */
};

static ssize_t
read_bytes(void *context, void *out, size_t room)
{
    struct world *world = context;
    size_t left = world->in.size - world->in_at;
    if (left == 0)
        return world->ended ? -1 : 0;
    size_t size = left < room ? left : room;
    memcpy(out, world->in.data + world->in_at, size);
    world->in_at += size;
    world->reads++;
    world->read_sum += size;
    return (ssize_t)size;
}

static ssize_t
write_bytes(void *context, const void *data, size_t size)
{
    struct world *world = context;
    size_t taken = size < world->room ? size : world->room;
    buffer_append(&world->out, data, taken);
    world->room -= taken;
    return (ssize_t)taken;
}

static void
on_message(void *context, struct text message)
{
    struct world *world = context;
    buffer_append_text(&world->got, message);
    buffer_append_byte(&world->got, '|');
    if (world->pause)
        websocket_pause(world->websocket);
    if (world->answer)
        assert_true(websocket_send(world->websocket, text_of(world->answer)));
}

static int
setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->room = SIZE_MAX;
    world->websocket = websocket_new(
        &(struct websocket_options){read_bytes, write_bytes, on_message, world, MESSAGE_MAX});
    assert_non_null(world->websocket);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    websocket_destroy(&world->websocket);
    buffer_clear(&world->in);
    buffer_clear(&world->out);
    buffer_clear(&world->got);
    free(world);
    return 0;
}

/* A client's frame, masked. */
static void
frame(struct world *world, unsigned first, const void *payload, size_t size)
{
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    const uint8_t *bytes = payload;
    buffer_append_byte(&world->in, (uint8_t)first);
    if (size < 126) {
        buffer_append_byte(&world->in, (uint8_t)(0x80 | size));
    } else {
        assert_true(size < 65536);
        buffer_append_byte(&world->in, 0x80 | 126);
        buffer_append_byte(&world->in, (uint8_t)(size >> 8));
        buffer_append_byte(&world->in, (uint8_t)size);
    }
    buffer_append(&world->in, mask, sizeof mask);
    for (size_t i = 0; i < size; i++)
        buffer_append_byte(&world->in, bytes[i] ^ mask[i % 4]);
}

static void
text(struct world *world, unsigned first, const char *payload)
{
    frame(world, first, payload, strlen(payload));
}

static void
expect_got(struct world *world, const char *expected)
{
    assert_true(text_equal_string(buffer_text(&world->got), expected));
}

/* The last thing that the server wrote is a close frame with this code, and that was all. */
static void
expect_closed(struct world *world, unsigned code)
{
    assert_true(websocket_flush(world->websocket));
    assert_true(websocket_is_over(world->websocket));
    assert_false(websocket_wants_read(world->websocket));
    assert_false(websocket_wants_write(world->websocket));
    assert_true(world->out.size >= 4);
    const uint8_t *at = world->out.data;
    const uint8_t *last = at;
    while (at < world->out.data + world->out.size) {
        last = at;
        assert_true(at[1] < 126);
        at += 2 + at[1];
    }
    assert_int_equal(last[0], FIN | CLOSE);
    assert_int_equal(last[2] << 8 | last[3], code);
}

static void
a_message_arrives_and_one_leaves(void **state)
{
    struct world *w = *state;
    w->answer = "{}";
    text(w, FIN | TEXT, "{\"a\":1}");
    assert_true(websocket_receive(w->websocket));
    expect_got(w, "{\"a\":1}|");
    assert_true(websocket_wants_write(w->websocket));
    assert_true(websocket_flush(w->websocket));
    assert_int_equal(w->out.size, 4);
    assert_memory_equal(w->out.data, "\x81\x02{}", 4);
    assert_false(websocket_wants_write(w->websocket));
    assert_int_equal(websocket_held(w->websocket), 0);
}

static void
bytes_that_come_one_by_one_make_the_same_message(void **state)
{
    struct world *w = *state;
    text(w, FIN | TEXT, "slow");
    size_t size = w->in.size;
    for (w->in.size = 1; w->in.size < size; w->in.size++) {
        assert_true(websocket_receive(w->websocket));
        expect_got(w, "");
    }
    assert_true(websocket_is_receiving(w->websocket));
    assert_true(websocket_receive(w->websocket));
    expect_got(w, "slow|");
    assert_false(websocket_is_receiving(w->websocket));
}

static void
fragments_make_one_message_with_pings_in_between(void **state)
{
    struct world *w = *state;
    text(w, TEXT, "\xe2\x82");
    text(w, FIN | PING, "p");
    text(w, 0, "\xac");
    text(w, 0, "");
    assert_true(websocket_receive(w->websocket));
    assert_true(websocket_is_receiving(w->websocket));
    text(w, FIN, "!");
    assert_true(websocket_receive(w->websocket));
    expect_got(w, "\xe2\x82\xac!|");
    assert_true(websocket_flush(w->websocket));
    assert_memory_equal(w->out.data, "\x8a\x01p", 3);
}

static void
many_small_fragments_cost_no_more_than_their_bytes(void **state)
{
    struct world *w = *state;
    text(w, TEXT, "x");
    for (int i = 0; i < MESSAGE_MAX - 2; i++)
        text(w, 0, "x");
    assert_true(websocket_receive(w->websocket));
    assert_int_equal(websocket_held(w->websocket), MESSAGE_MAX - 1);
    text(w, FIN, "x");
    assert_true(websocket_receive(w->websocket));
    assert_int_equal(w->got.size, MESSAGE_MAX + 1);
}

static void
a_message_over_the_limit_is_refused_before_it_comes(void **state)
{
    struct world *w = *state;
    static const uint8_t head[] = {FIN | TEXT, 0xff, 0, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4, 'x'};
    buffer_append(&w->in, head, sizeof head);
    assert_true(websocket_receive(w->websocket));
    expect_closed(w, WEBSOCKET_TOO_BIG);
    expect_got(w, "");
}

static void
fragments_that_pass_the_limit_together_are_refused(void **state)
{
    struct world *w = *state;
    char half[MESSAGE_MAX / 2 + 1];
    memset(half, 'x', sizeof half);
    frame(w, TEXT, half, sizeof half);
    frame(w, FIN, half, sizeof half);
    assert_true(websocket_receive(w->websocket));
    expect_closed(w, WEBSOCKET_TOO_BIG);
    expect_got(w, "");
}

static void
frames_that_break_the_rules_close_the_connection(void **state)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t size;
        unsigned code;
    } rows[] = {
        {"unmasked", "\x81\x01x", 3, 1002},
        {"reserved bit", "\xc1\x81\0\0\0\0x", 7, 1002},
        {"continuation of nothing", "\x80\x81\0\0\0\0x", 7, 1002},
        {"text within text", "\x01\x81\0\0\0\0x\x81\x81\0\0\0\0x", 14, 1002},
        {"unknown opcode", "\x83\x80\0\0\0\0", 6, 1002},
        {"binary", "\x82\x81\0\0\0\0x", 7, 1003},
        {"not UTF-8", "\x81\x82\0\0\0\0\xc0\xaf", 8, 1007},
        {"surrogate", "\x81\x83\0\0\0\0\xed\xa0\x80", 9, 1007},
        {"half a character", "\x81\x81\0\0\0\0\xe2", 7, 1007},
        {"close with a code that nobody may send", "\x88\x82\0\0\0\0\x03\xed", 8, 1002},
        {"close with a reason that is not UTF-8", "\x88\x83\0\0\0\0\x03\xe8\xff", 9, 1007},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *fresh = NULL;
        (void)state;
        setup(&fresh);
        struct world *w = fresh;
        print_message("    %s\n", rows[i].what);
        buffer_append(&w->in, rows[i].bytes, rows[i].size);
        assert_true(websocket_receive(w->websocket));
        expect_closed(w, rows[i].code);
        expect_got(w, "");
        teardown(&fresh);
    }
}

static void
control_frames_that_are_too_long_or_in_pieces_end_it(void **state)
{
    static const char *const rows[] = {"\x89\xfe\x00\x7e", "\x09\x80\0\0\0\0"};
    static const size_t sizes[] = {4, 6};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        void *fresh = NULL;
        setup(&fresh);
        struct world *w = fresh;
        buffer_append(&w->in, rows[i], sizes[i]);
        websocket_receive(w->websocket);
        websocket_flush(w->websocket);
        assert_true(websocket_is_over(w->websocket));
        teardown(&fresh);
    }
}

static void
a_close_is_answered_with_its_code(void **state)
{
    struct world *w = *state;
    frame(w, FIN | CLOSE,
          "\x03\xe8"
          "bye",
          5);
    assert_true(websocket_receive(w->websocket));
    expect_closed(w, WEBSOCKET_NORMAL);
}

static void
our_close_leaves_behind_what_was_said_before(void **state)
{
    struct world *w = *state;
    assert_true(websocket_send(w->websocket, text_of("last")));
    websocket_close(w->websocket, WEBSOCKET_RESTART, "the broker was lost");
    websocket_close(w->websocket, WEBSOCKET_INTERNAL, "too late");
    assert_false(websocket_send(w->websocket, text_of("more")));
    text(w, FIN | TEXT, "not read any more");
    assert_true(websocket_receive(w->websocket));
    expect_closed(w, WEBSOCKET_RESTART);
    assert_memory_equal(w->out.data, "\x81\x04last\x88\x15", 8);
    assert_memory_equal(w->out.data + 10, "the broker was lost", 19);
    expect_got(w, "");
}

static void
a_client_that_does_not_read_is_not_read(void **state)
{
    struct world *w = *state;
    w->room = 0;
    for (int i = 0; i < 20000; i++)
        text(w, FIN | PING, "");
    size_t turns = 0;
    while (websocket_wants_read(w->websocket) && turns++ < 1000) {
        assert_true(websocket_receive(w->websocket));
        assert_true(websocket_flush(w->websocket));
    }
    assert_true(turns < 1000);
    assert_true(w->in_at < w->in.size);
    assert_true(websocket_wants_write(w->websocket));
    w->room = SIZE_MAX;
    for (int i = 0; i < 1000; i++) {
        assert_true(websocket_flush(w->websocket));
        assert_true(websocket_receive(w->websocket));
    }
    assert_true(websocket_flush(w->websocket));
    assert_int_equal(w->out.size, 20000 * 2);
}

static void
one_call_reads_a_bounded_amount(void **state)
{
    struct world *w = *state;
    char payload[900];
    memset(payload, 'x', sizeof payload);
    for (int i = 0; i < 500; i++)
        frame(w, FIN | TEXT, payload, sizeof payload);
    assert_true(websocket_receive(w->websocket));
    assert_int_equal(w->read_sum, 64 * 1024);
    assert_true(websocket_wants_read(w->websocket));
}

static void
a_reader_that_pauses_gets_little_more(void **state)
{
    struct world *w = *state;
    w->pause = true;
    for (int i = 0; i < 2000; i++)
        text(w, FIN | TEXT, "{}");
    assert_true(websocket_receive(w->websocket));
    assert_true(w->read_sum <= 4096);
    assert_true(websocket_receive(w->websocket));
    assert_true(w->read_sum <= 2 * 4096);
    assert_true(w->read_sum > 4096);
}

static void
a_broken_connection_is_told(void **state)
{
    struct world *w = *state;
    w->ended = true;
    assert_false(websocket_receive(w->websocket));
    assert_true(websocket_is_over(w->websocket));
    assert_false(websocket_send(w->websocket, text_of("x")));
}

static void
a_ping_of_ours_is_one_frame(void **state)
{
    struct world *w = *state;
    websocket_ping(w->websocket);
    assert_true(websocket_flush(w->websocket));
    assert_int_equal(w->out.size, 2);
    assert_memory_equal(w->out.data, "\x89\x00", 2);
    text(w, FIN | PONG, "");
    assert_true(websocket_receive(w->websocket));
    assert_false(websocket_is_receiving(w->websocket));
}

#define TEST_OF(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(a_message_arrives_and_one_leaves),
        TEST_OF(bytes_that_come_one_by_one_make_the_same_message),
        TEST_OF(fragments_make_one_message_with_pings_in_between),
        TEST_OF(many_small_fragments_cost_no_more_than_their_bytes),
        TEST_OF(a_message_over_the_limit_is_refused_before_it_comes),
        TEST_OF(fragments_that_pass_the_limit_together_are_refused),
        TEST_OF(frames_that_break_the_rules_close_the_connection),
        TEST_OF(control_frames_that_are_too_long_or_in_pieces_end_it),
        TEST_OF(a_close_is_answered_with_its_code),
        TEST_OF(our_close_leaves_behind_what_was_said_before),
        TEST_OF(a_client_that_does_not_read_is_not_read),
        TEST_OF(one_call_reads_a_bounded_amount),
        TEST_OF(a_reader_that_pauses_gets_little_more),
        TEST_OF(a_broken_connection_is_told),
        TEST_OF(a_ping_of_ours_is_one_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
