/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture_bus.h"

static int
setup(void **state)
{
    *state = bus_new();
    return 0;
}

static int
teardown(void **state)
{
    struct bus *bus = *state;
    bus_destroy(&bus);
    return 0;
}

static struct sos_call
call_of(const char *type, uint32_t timeout_ms)
{
    static const char hello[] = "\xa5hello";
    return (struct sos_call){.target = "service:echo",
                             .type = type,
                             .payload = {hello, sizeof hello - 1},
                             .timeout_ms = timeout_ms};
}

static void
a_call_brings_its_answer(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct sos_call call = call_of("echo", 0);
    struct sos_bytes reply = {0};
    struct sos_error error;

    assert_int_equal(sos_call(sos, &call, &reply, &error), SOS_OK);

    assert_int_equal(reply.size, 6);
    assert_memory_equal(reply.data, "\xa5hello", 6);
    assert_int_equal(sos_state(sos), SOS_CONNECTED);
    assert_string_equal(sos_identity(sos), "agent:kasra");
    sos_bytes_free(&reply);
    sos_close(&sos);
    assert_null(sos);
}

static void
a_refusal_brings_status_word_and_words(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct sos_call call = call_of("refuse", 0);
    struct sos_error error;

    assert_int_equal(sos_call(sos, &call, NULL, &error), SOS_NOT_FOUND);

    assert_int_equal(error.status, SOS_NOT_FOUND);
    assert_string_equal(error.word, "thing_not_found");
    assert_string_equal(error.message, "because of thing_not_found");
    sos_close(&sos);
}

static void
a_call_without_an_answer_ends_in_time(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct sos_call call = call_of("silence", 50);
    struct sos_error error;
    assert_int_equal(sos_call(sos, &call, NULL, &error), SOS_TIMEOUT);
    assert_string_equal(error.message, "no answer in time");
    sos_close(&sos);
}

static void
a_call_that_cannot_be_is_refused_at_once(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct sos_error error;
    struct sos_call call = call_of("echo", 0);
    call.target = NULL;
    assert_int_equal(sos_call(sos, &call, NULL, &error), SOS_INVALID);
    assert_string_equal(error.field, "target");
    call = call_of("", 0);
    assert_int_equal(sos_call(sos, &call, NULL, &error), SOS_INVALID);
    assert_string_equal(error.field, "type");
    call = call_of("echo", 600001);
    assert_int_equal(sos_call(sos, &call, NULL, &error), SOS_INVALID);
    call = call_of("echo", 0);
    call.payload.size--;
    assert_int_equal(sos_call(sos, &call, NULL, &error), SOS_INVALID);
    call = call_of("echo", 0);
    call.trace = "12";
    assert_int_equal(sos_call(sos, &call, NULL, &error), SOS_INVALID);
    assert_string_equal(error.field, "trace");
    sos_close(&sos);
}

struct answers {
    int count;
    int ok;
    struct sos_error last;
};

static void
count_answer(void *context, const struct sos_error *error, struct sos_bytes reply)
{
    struct answers *answers = context;
    (void)reply;
    answers->count++;
    answers->ok += error == NULL;
    if (error)
        answers->last = *error;
}

static void
callbacks_run_where_poll_is_called(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct sos_call call = call_of("echo", 0);
    struct answers answers = {0};
    for (int i = 0; i < 10; i++)
        assert_int_equal(sos_call_async(sos, &call, count_answer, &answers, NULL, NULL), SOS_OK);
    while (answers.count < 10)
        assert_int_equal(sos_poll(sos, 5000, NULL), SOS_OK);
    assert_int_equal(answers.ok, 10);
    assert_int_equal(sos_poll(sos, 0, NULL), SOS_NOTHING);
    sos_close(&sos);
}

static void
a_cancelled_call_ends_with_its_callback(void **state)
{
    struct bus *bus = *state;
    struct sos *sos = bus_connect(bus, "agent:kasra", NULL);
    struct sos_call call = call_of("silence", 0);
    struct sos_call echo = call_of("echo", 0);
    struct answers answers = {0};
    struct sos_id id;
    assert_int_equal(sos_call_async(sos, &call, count_answer, &answers, &id, NULL), SOS_OK);
    assert_int_equal(sos_call(sos, &echo, NULL, NULL), SOS_OK); /* the first one is under way */

    sos_cancel(sos, &id);
    sos_cancel(sos, &id);

    assert_int_equal(sos_poll(sos, 5000, NULL), SOS_OK);
    assert_int_equal(answers.count, 1);
    assert_int_equal(answers.last.status, SOS_CANCELLED);
    bus_await(bus, &bus->cancels, 1);
    sos_close(&sos);
}

static void
too_many_calls_are_refused_as_busy(void **state)
{
    struct sos_options options = {.calls_max = 2};
    struct sos *sos = bus_connect(*state, "agent:kasra", &options);
    struct sos_call call = call_of("silence", 0);
    struct answers answers = {0};
    struct sos_error error;
    assert_int_equal(sos_call_async(sos, &call, count_answer, &answers, NULL, NULL), SOS_OK);
    assert_int_equal(sos_call_async(sos, &call, count_answer, &answers, NULL, NULL), SOS_OK);
    assert_int_equal(sos_call_async(sos, &call, count_answer, &answers, NULL, &error), SOS_BUSY);
    sos_close(&sos);
    assert_int_equal(answers.count, 2); /* each exactly once, at the latest now */
    assert_int_equal(answers.last.status, SOS_CANCELLED);
}

static void
a_lost_broker_leaves_the_outcome_unknown_or_is_asked_again(void **state)
{
    struct bus *bus = *state;
    struct sos *sos = bus_connect(bus, "agent:kasra", NULL);
    struct sos_call call = call_of("silence", 20000);
    struct sos_call echo = call_of("echo", 20000);
    struct answers lost = {0};
    struct answers again = {0};
    assert_int_equal(sos_call_async(sos, &call, count_answer, &lost, NULL, NULL), SOS_OK);
    assert_int_equal(sos_call(sos, &echo, NULL, NULL), SOS_OK);
    bus_set_flag(bus, &bus->mute, true);
    echo.idempotent = true;
    assert_int_equal(sos_call_async(sos, &echo, count_answer, &again, NULL, NULL), SOS_OK);

    bus_stop(bus);
    bus_set_flag(bus, &bus->mute, false);
    bus_start(bus);

    while (lost.count + again.count < 2)
        assert_int_equal(sos_poll(sos, 10000, NULL), SOS_OK);
    assert_int_equal(lost.last.status, SOS_UNKNOWN_OUTCOME);
    assert_int_equal(again.ok, 1);
    sos_close(&sos);
}

struct caller {
    struct sos *sos;
    int status;
    int calls;
};

static void *
call_much(void *argument)
{
    struct caller *caller = argument;
    struct sos_call call = call_of("echo", 0);
    for (int i = 0; i < 200; i++) {
        struct sos_bytes reply = {0};
        if (sos_call(caller->sos, &call, &reply, NULL) == SOS_OK && reply.size == 6)
            caller->calls++;
        sos_bytes_free(&reply);
    }
    return NULL;
}

static void
many_threads_share_a_client(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct caller callers[4] = {{0}};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        callers[i].sos = sos;
        pthread_create(&threads[i], NULL, call_much, &callers[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].calls, 200);
    }
    sos_close(&sos);
}

static void *
wait_long(void *argument)
{
    struct caller *caller = argument;
    struct sos_call call = call_of("silence", 60000);
    caller->status = sos_call(caller->sos, &call, NULL, NULL);
    return NULL;
}

static void *
poll_long(void *argument)
{
    struct caller *caller = argument;
    caller->status = sos_poll(caller->sos, -1, NULL);
    return NULL;
}

static void
closing_ends_the_threads_that_wait(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct caller callers[2] = {{.sos = sos}, {.sos = sos}};
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, wait_long, &callers[0]);
    pthread_create(&threads[1], NULL, poll_long, &callers[1]);
    struct sos_call echo = call_of("echo", 0);
    for (int i = 0; i < 20; i++) /* both are in their calls by then */
        assert_int_equal(sos_call(sos, &echo, NULL, NULL), SOS_OK);

    sos_close(&sos);

    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].status, SOS_CANCELLED);
    }
}

static void
stop_ends_running_but_not_the_client(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct sos_call call = call_of("echo", 0);
    sos_stop(sos);
    assert_int_equal(sos_run(sos, NULL), SOS_OK);
    assert_int_equal(sos_poll(sos, -1, NULL), SOS_CANCELLED);
    assert_int_equal(sos_call(sos, &call, NULL, NULL), SOS_OK);
    sos_close(&sos);
}

static void
a_forked_child_is_told(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    pid_t child = fork();
    if (child == 0) {
        struct sos_call call = call_of("echo", 0);
        struct sos_error error = {0};
        int status = sos_call(sos, &call, NULL, &error);
        sos_close(&sos);
        _exit(status == SOS_CONFLICT && strcmp(error.word, "forked") == 0 && !sos ? 0 : 1);
    }
    int exit_status = -1;
    waitpid(child, &exit_status, 0);
    assert_int_equal(exit_status, 0);
    struct sos_call call = call_of("echo", 0);
    assert_int_equal(sos_call(sos, &call, NULL, NULL), SOS_OK);
    sos_close(&sos);
}

static void
nobody_there_is_told_by_its_address(void **state)
{
    struct bus *bus = *state;
    struct sos *sos = NULL;
    struct sos_error error = {0};
    struct curve_keys keys;
    curve_keys_make(&keys);
    bus_stop(bus);
    struct sos_options options = {.endpoint = bus->endpoint,
                                  .broker_public_key = bus->keys.public_key,
                                  .identity = "agent:kasra",
                                  .public_key = keys.public_key,
                                  .secret_key = keys.secret_key,
                                  .timeout_ms = 100};
    assert_int_equal(sos_connect(&sos, &options, &error), SOS_UNAVAILABLE);
    assert_non_null(strstr(error.message, bus->endpoint));
    assert_null(sos);

    options.secret_key = "short";
    assert_int_equal(sos_connect(&sos, &options, &error), SOS_VALIDATION);
    options.secret_key = NULL;
    assert_int_equal(sos_connect(&sos, &options, &error), SOS_VALIDATION);
    assert_string_equal(error.field, "secret_key");
}

static void
without_a_broker_a_client_may_wait_in_the_background(void **state)
{
    struct bus *bus = *state;
    struct sos_options options = {.timeout_ms = -1};
    bus_stop(bus);
    struct sos *sos = bus_connect(bus, "agent:kasra", &options);
    assert_int_equal(sos_state(sos), SOS_CONNECTING);
    struct sos_call call = call_of("echo", 20000);
    struct answers answers = {0};
    assert_int_equal(sos_call_async(sos, &call, count_answer, &answers, NULL, NULL), SOS_OK);

    bus_start(bus);

    assert_int_equal(sos_poll(sos, 15000, NULL), SOS_OK);
    assert_int_equal(answers.ok, 1);
    sos_close(&sos);
}

static void
note_state(void *context, enum sos_state state)
{
    int *states = context;
    *states = *states * 10 + (int)state + 1;
}

static void
changes_of_state_are_told(void **state)
{
    struct bus *bus = *state;
    int states = 0;
    struct sos_options options = {.on_state = note_state, .context = &states};
    struct sos *sos = bus_connect(bus, "agent:kasra", &options);
    bus_restart(bus);
    while (states < 212)
        assert_int_equal(sos_poll(sos, 15000, NULL), SOS_OK);
    assert_int_equal(states, 212); /* connected, connecting, connected */
    sos_close(&sos);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_call_brings_its_answer),
        TEST(a_refusal_brings_status_word_and_words),
        TEST(a_call_without_an_answer_ends_in_time),
        TEST(a_call_that_cannot_be_is_refused_at_once),
        TEST(callbacks_run_where_poll_is_called),
        TEST(a_cancelled_call_ends_with_its_callback),
        TEST(too_many_calls_are_refused_as_busy),
        TEST(a_lost_broker_leaves_the_outcome_unknown_or_is_asked_again),
        TEST(many_threads_share_a_client),
        TEST(closing_ends_the_threads_that_wait),
        TEST(stop_ends_running_but_not_the_client),
        TEST(a_forked_child_is_told),
        TEST(nobody_there_is_told_by_its_address),
        TEST(without_a_broker_a_client_may_wait_in_the_background),
        TEST(changes_of_state_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
