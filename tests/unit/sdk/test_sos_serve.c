/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fixture_bus.h"

/* A service on threads of its own. */
struct fixture {
    struct bus *bus;
    struct sos *service;
    struct sos *caller;
    pthread_t threads[2];
    size_t thread_count;
    struct sos_request *kept;
    atomic_int parts_status;
    atomic_size_t parts_sent;
};

static void
answer(void *context, struct sos_request *request)
{
    struct fixture *f = context;
    const char *type = sos_request_type(request);
    if (strcmp(type, "double") == 0) {
        struct sos_map *map = sos_map_new();
        sos_map_put_int(map, "result", 2 * sos_map_int(sos_request_map(request), "number", 0));
        sos_reply(&request, sos_map_payload(map), NULL);
        sos_map_free(&map);
    } else if (strcmp(type, "parts") == 0) {
        int status = SOS_OK;
        while (f->parts_sent < 20 && status == SOS_OK) {
            status = sos_reply_part(request, (struct sos_bytes){"\xa4part", 5}, 10000, NULL);
            f->parts_sent += status == SOS_OK;
        }
        f->parts_status = status;
        sos_reply(&request,
                  (struct sos_bytes){"\xa3"
                                     "end",
                                     4},
                  NULL);
    } else if (strcmp(type, "large") == 0) {
        enum { BYTES = 261000 };
        struct sos_map *map = sos_map_new();
        struct sos_error error = {0};
        char *large = calloc(1, BYTES);
        sos_map_put_bytes(map, "large", large, BYTES);
        sos_reply(&request, sos_map_payload(map), &error);
        sos_map_free(&map);
        free(large);
        if (request)
            sos_refuse(&request, error.status, NULL, error.message, NULL);
    } else if (strcmp(type, "keep") == 0) {
        f->kept = request;
    } else {
        sos_refuse(&request, SOS_NOT_IMPLEMENTED, "what_is_that", "no such operation", NULL);
    }
}

static void *
run_service(void *argument)
{
    struct fixture *f = argument;
    sos_run(f->service, NULL);
    return NULL;
}

static void
start(struct fixture *f, const struct sos_service *service, size_t threads)
{
    struct sos_error error;
    if (sos_serve(f->service, service, answer, f, &error) != SOS_OK)
        fail_msg("%s", error.message);
    for (f->thread_count = 0; f->thread_count < threads; f->thread_count++)
        pthread_create(&f->threads[f->thread_count], NULL, run_service, f);
}

static void
stop(struct fixture *f)
{
    if (!f->service)
        return;
    sos_stop(f->service);
    for (size_t i = 0; i < f->thread_count; i++)
        pthread_join(f->threads[i], NULL);
    f->thread_count = 0;
    sos_close(&f->service);
}

static int
setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    fixture.bus = bus_new();
    fixture.service = bus_connect(fixture.bus, "service:calc", NULL);
    fixture.caller = bus_connect(fixture.bus, "agent:kasra", NULL);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    stop(f);
    if (f->kept)
        sos_reply(&f->kept, (struct sos_bytes){0}, NULL);
    sos_close(&f->caller);
    bus_destroy(&f->bus);
    return 0;
}

static struct sos_call
call_of(const char *type)
{
    return (struct sos_call){.target = "service:calc", .type = type, .timeout_ms = 15000};
}

static void
a_service_answers(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 1);
    struct sos_map *map = sos_map_new();
    struct sos_map *reply = NULL;
    struct sos_bytes bytes = {0};
    sos_map_put_int(map, "number", 21);
    struct sos_call call = call_of("double");
    call.payload = sos_map_payload(map);

    assert_int_equal(sos_call(f->caller, &call, &bytes, NULL), SOS_OK);

    assert_int_equal(sos_map_parse(&reply, bytes, NULL), SOS_OK);
    assert_int_equal(sos_map_int(reply, "result", 0), 42);
    sos_bytes_free(&bytes);
    sos_map_free(&map);
    sos_map_free(&reply);
}

static void
a_service_refuses_with_words(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 1);
    struct sos_call call = call_of("nonsense");
    struct sos_error error;
    assert_int_equal(sos_call(f->caller, &call, NULL, &error), SOS_NOT_IMPLEMENTED);
    assert_string_equal(error.word, "what_is_that");
    assert_string_equal(error.message, "no such operation");
}

static void
an_answer_that_is_too_large_can_still_be_refused(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 1);
    struct sos_call call = call_of("large");
    assert_int_equal(sos_call(f->caller, &call, NULL, NULL), SOS_TOO_LARGE);
}

static void
a_stream_brings_all_parts_with_credit(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 1);
    struct sos_call call = call_of("parts");
    struct sos_stream *stream = NULL;
    struct sos_bytes part = {0};
    size_t count = 0;
    int status;
    assert_int_equal(sos_stream_open(f->caller, &call, &stream, NULL), SOS_OK);
    assert_int_equal(sos_stream_reply(stream).size, 0);

    while ((status = sos_stream_next(stream, 10000, &part, NULL)) == SOS_OK) {
        assert_memory_equal(part.data, "\xa4part", 5);
        sos_bytes_free(&part);
        count++;
    }

    assert_int_equal(status, SOS_END);
    assert_int_equal(count, 20);
    assert_memory_equal(sos_stream_reply(stream).data,
                        "\xa3"
                        "end",
                        4);
    assert_int_equal(sos_stream_next(stream, 0, &part, NULL), SOS_END);
    sos_stream_close(&stream);
    assert_true(bus_get(f->bus, &f->bus->credits) > 0);
}

static void
a_producer_does_not_run_ahead_of_who_reads(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 1);
    struct sos_call call = call_of("parts");
    struct sos_stream *stream = NULL;
    struct sos_bytes part = {0};
    assert_int_equal(sos_stream_open(f->caller, &call, &stream, NULL), SOS_OK);
    assert_int_equal(sos_stream_next(stream, 5000, &part, NULL), SOS_OK);
    sos_bytes_free(&part);
    assert_int_equal(sos_poll(f->caller, 200, NULL), SOS_NOTHING);
    assert_true(atomic_load(&f->parts_sent) <= 5); /* 4 at the start, 1 was read */

    sos_stream_close(&stream);

    bus_await(f->bus, &f->bus->cancels, 1);
    stop(f);
    assert_int_equal(atomic_load(&f->parts_status), SOS_CANCELLED);
}

static void
a_refused_stream_says_why(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 1);
    struct sos_call call = call_of("nonsense");
    struct sos_stream *stream = NULL;
    struct sos_bytes part = {0};
    struct sos_error error;
    assert_int_equal(sos_stream_open(f->caller, &call, &stream, NULL), SOS_OK);
    assert_int_equal(sos_stream_next(stream, 5000, &part, &error), SOS_NOT_IMPLEMENTED);
    assert_string_equal(error.word, "what_is_that");
    sos_stream_close(&stream);
}

static void
a_request_that_wants_one_answer_gets_no_parts(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 1);
    struct sos_call call = call_of("parts");
    struct sos_bytes reply = {0};
    assert_int_equal(sos_call(f->caller, &call, &reply, NULL), SOS_OK);
    assert_memory_equal(reply.data,
                        "\xa3"
                        "end",
                        4);
    sos_bytes_free(&reply);
    stop(f);
    assert_int_equal(atomic_load(&f->parts_status), SOS_CONFLICT);
}

static void
note_cancel(void *context, const struct sos_error *error, struct sos_bytes reply)
{
    (void)reply;
    *(int *)context = error ? error->status : SOS_OK;
}

static void
a_cancelled_request_is_told_to_who_holds_it(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 0);
    struct sos_call call = call_of("keep");
    struct sos_id id;
    int status = -1;
    assert_int_equal(sos_call_async(f->caller, &call, note_cancel, &status, &id, NULL), SOS_OK);
    while (!f->kept)
        assert_int_equal(sos_poll(f->service, 5000, NULL), SOS_OK);
    assert_string_equal(sos_request_from(f->kept), "agent:kasra");
    assert_string_equal(sos_request_principal(f->kept), "");
    assert_memory_equal(sos_request_id(f->kept), &id, sizeof id);
    assert_false(sos_request_is_cancelled(f->kept));

    sos_cancel(f->caller, &id);

    bus_await(f->bus, &f->bus->cancels, 1);
    for (int i = 0; i < 1000 && !sos_request_is_cancelled(f->kept); i++)
        sos_poll(f->service, 5, NULL);
    assert_true(sos_request_is_cancelled(f->kept));
    assert_int_equal(sos_reply(&f->kept, (struct sos_bytes){0}, NULL), SOS_OK); /* goes nowhere */
    assert_null(f->kept);
    assert_int_equal(sos_poll(f->caller, 5000, NULL), SOS_OK);
    assert_int_equal(status, SOS_CANCELLED);
}

static void
requests_beyond_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;
    struct sos_service service = {.requests_max = 1};
    struct sos_call call = call_of("keep");
    int first = -1;
    start(f, &service, 0);
    assert_int_equal(sos_call_async(f->caller, &call, note_cancel, &first, NULL, NULL), SOS_OK);
    while (!f->kept)
        assert_int_equal(sos_poll(f->service, 5000, NULL), SOS_OK);
    assert_int_equal(sos_call(f->caller, &call, NULL, NULL), SOS_BUSY);
    assert_int_equal(sos_reply(&f->kept, (struct sos_bytes){0}, NULL), SOS_OK);
    assert_int_equal(sos_poll(f->caller, 5000, NULL), SOS_OK);
    assert_int_equal(first, SOS_OK);
}

static void
a_service_is_one_again_behind_a_loss(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 2);
    struct sos_call call = call_of("double");
    bus_restart(f->bus);
    bus_await(f->bus, &f->bus->readies, 2);
    assert_int_equal(sos_call(f->caller, &call, NULL, NULL), SOS_OK);
    struct sos_error error;
    assert_int_equal(sos_serve(f->service, NULL, answer, f, &error), SOS_CONFLICT);
    assert_int_equal(sos_serve(f->caller, NULL, NULL, f, &error), SOS_INVALID);
}

static void
requests_that_nobody_saw_go_with_the_client(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, 0);
    struct sos_call call = call_of("keep");
    int status = -1;
    assert_int_equal(sos_call_async(f->caller, &call, note_cancel, &status, NULL, NULL), SOS_OK);
    bus_await(f->bus, &f->bus->pending_count, 1);
    sos_close(&f->service);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_service_answers),
        TEST(a_service_refuses_with_words),
        TEST(an_answer_that_is_too_large_can_still_be_refused),
        TEST(a_stream_brings_all_parts_with_credit),
        TEST(a_producer_does_not_run_ahead_of_who_reads),
        TEST(a_refused_stream_says_why),
        TEST(a_request_that_wants_one_answer_gets_no_parts),
        TEST(a_cancelled_request_is_told_to_who_holds_it),
        TEST(requests_beyond_the_limit_are_refused),
        TEST(a_service_is_one_again_behind_a_loss),
        TEST(requests_that_nobody_saw_go_with_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
