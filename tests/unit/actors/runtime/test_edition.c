/* SPDX-License-Identifier: Apache-2.0 */
/* How a service is handed what the edition's policy says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

struct followed {
    struct notes notes; /* first: the fixture's own */
    struct service service;
    unsigned times;
    char edition[32];
    uint64_t quota;
    bool feature;
};

static struct followed *
followed_of(const struct service_fixture *f)
{
    return f->own;
}

static void
follow(struct context *context, const struct edition_policy *policy)
{
    struct followed *followed = followed_of(context_logger(context)->context);
    assert_non_null(context_state(context));
    followed->times++;
    followed->quota = 0;
    followed->feature = false;
    snprintf(followed->edition, sizeof followed->edition, "%.*s", TEXT_ARGS(policy->edition));
    value_find_uint(&policy->quotas, "q", &followed->quota);
    value_find_bool(&policy->features, "f", &followed->feature);
}

static int
setup(void **state)
{
    struct followed *followed = calloc(1, sizeof *followed);
    struct error error = ERROR_INIT;
    followed->service = notes_service;
    followed->service.policy = follow;
    struct service_fixture *f = service_new(&followed->service);
    f->own = followed;
    f->has_policy = true;
    assert_int_equal(service_start(f, &error), STATUS_OK);
    service_run(f);
    *state = f;
    return 0;
}

static void
answer(struct service_fixture *f, const char *json)
{
    service_answer(f, service_call(f, "policy"), STATUS_OK, json);
}

static const char GOOD[] = "{\"edition\":\"kids\",\"rules\":[{}],\"features\":{\"f\":true,"
                           "\"g\":false},\"quotas\":{\"q\":7,\"r\":0}}";

static bool
is_answered(struct service_fixture *f)
{
    const struct sending sending = {0};
    struct uuid id = runtime_send(f, &sending, "notes_put", "name", "a", "text", "one", NULL);
    service_run(f);
    return service_has_reply(f, &id) && service_status(f, &id) == STATUS_OK;
}

static void
it_is_asked_at_start_in_the_services_own_name_and_handed_over(void **state)
{
    struct service_fixture *f = *state;
    const struct sent_call *call = service_call(f, "policy");
    assert_string_equal(call->service, "identity");
    assert_string_equal(call->principal, "");
    assert_string_equal(service_text(&call->json), "{}");
    assert_true(is_answered(f)); /* requests do not wait for it */
    answer(f, GOOD);
    assert_int_equal(followed_of(f)->times, 1);
    assert_string_equal(followed_of(f)->edition, "kids");
    assert_int_equal(followed_of(f)->quota, 7);
    assert_true(followed_of(f)->feature);
    assert_int_equal(service_calls_waiting(f), 0);
}

static void
it_is_asked_again_and_a_change_alone_is_handed_over(void **state)
{
    struct service_fixture *f = *state;
    answer(f, GOOD);
    service_pass(f, 29 * 1000);
    assert_int_equal(service_calls_waiting(f), 0);
    service_pass(f, 1000);
    answer(f, GOOD);
    assert_int_equal(followed_of(f)->times, 1);
    service_pass(f, 30 * 1000);
    answer(f, "{\"edition\":\"kids\",\"features\":{},\"quotas\":{}}");
    assert_int_equal(followed_of(f)->times, 2);
    assert_int_equal(followed_of(f)->quota, 0);
    assert_false(followed_of(f)->feature);
}

static void
one_who_is_away_is_asked_again_after_a_second(void **state)
{
    struct service_fixture *f = *state;
    static const enum status away[] = {STATUS_UNAVAILABLE, STATUS_TIMEOUT, STATUS_BUSY};
    for (size_t i = 0; i < sizeof away / sizeof away[0]; i++) {
        service_answer(f, service_call(f, "policy"), away[i], "away");
        service_pass(f, 999);
        assert_int_equal(service_calls_waiting(f), 0);
        service_pass(f, 1);
    }
    f->call_result = STATUS_UNAVAILABLE;
    answer(f, GOOD);
    service_pass(f, 30 * 1000);
    assert_int_equal(service_calls_waiting(f), 0);
    f->call_result = STATUS_OK;
    service_pass(f, 1000);
    answer(f, GOOD);
    assert_lacks(service_text(&f->log), "cannot be had");
    assert_int_equal(followed_of(f)->times, 1);
}

static void
what_cannot_be_read_is_logged_once_and_changes_nothing(void **state)
{
    struct service_fixture *f = *state;
    static const char *const hostile[] = {
        "{}",
        "[]",
        "7",
        "null",
        "{\"edition\":7,\"features\":{},\"quotas\":{}}",
        "{\"edition\":\"kids-kids-kids-kids-kids-kids-kid\",\"features\":{},\"quotas\":{}}",
        "{\"edition\":\"kids\",\"quotas\":{}}",
        "{\"edition\":\"kids\",\"features\":{}}",
        "{\"edition\":\"kids\",\"features\":[],\"quotas\":{}}",
        "{\"edition\":\"kids\",\"features\":{},\"quotas\":[[\"q\",1]]}",
        "{\"edition\":\"kids\",\"features\":{\"f\":1},\"quotas\":{}}",
        "{\"edition\":\"kids\",\"features\":{},\"quotas\":{\"q\":-1}}",
        "{\"edition\":\"kids\",\"features\":{},\"quotas\":{\"q\":1.5}}",
        "{\"edition\":\"kids\",\"features\":{},\"quotas\":{\"q\":1,\"r\":\"2\"}}",
        "{\"edition\":\"kids\",\"features\":{},\"quotas\":{\"q\":{\"q\":1}}}",
    };
    answer(f, GOOD);
    service_pass(f, 30 * 1000);
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        answer(f, hostile[i]);
        service_pass(f, 1000);
        assert_int_equal(followed_of(f)->times, 1);
        assert_int_equal(followed_of(f)->quota, 7);
    }
    const char *told = strstr(service_text(&f->log), "cannot be had: expected a map with edition");
    assert_non_null(told);
    assert_null(strstr(told + 1, "cannot be had"));
    service_answer(f, service_call(f, "policy"), STATUS_FORBIDDEN, "no");
    service_pass(f, 1000);
    answer(f, GOOD);
    service_pass(f, 30 * 1000);
    service_answer(f, service_call(f, "policy"), STATUS_FORBIDDEN, "not for you");
    assert_contains(service_text(&f->log), "cannot be had: not for you");
    assert_true(is_answered(f));
}

static void
bytes_that_are_no_value_are_refused(void **state)
{
    struct service_fixture *f = *state;
    static const uint8_t cut[] = {0x83, 0xa7, 'e', 'd'};
    struct sent_call *call = service_call(f, "policy");
    struct continuation *handle = call->handle;
    call->handle = NULL;
    dispatch_answer(f->dispatch, handle, STATUS_OK, (struct bytes){cut, sizeof cut});
    assert_int_equal(followed_of(f)->times, 0);
    service_pass(f, 1000);
    call = service_call(f, "policy");
    handle = call->handle;
    call->handle = NULL;
    dispatch_answer(f->dispatch, handle, STATUS_OK, (struct bytes){NULL, 0});
    assert_int_equal(followed_of(f)->times, 0);
    service_pass(f, 1000);
    answer(f, GOOD);
    assert_int_equal(followed_of(f)->times, 1);
}

static void
the_brokers_word_makes_it_ask_at_once(void **state)
{
    struct service_fixture *f = *state;
    const struct message news = {
        .version = MESSAGE_VERSION, .kind = KIND_CONTROL, .type = text_of("policy_changed")};
    answer(f, GOOD);
    dispatch_message(f->dispatch, &news);
    service_run(f);
    struct sent_call *asked = service_call(f, "policy");
    dispatch_message(f->dispatch, &news); /* the answer under way may be older than this */
    service_run(f);
    assert_int_equal(service_calls_waiting(f), 1);
    service_answer(f, asked, STATUS_OK, GOOD);
    answer(f, "{\"edition\":\"kids\",\"features\":{},\"quotas\":{\"q\":8}}");
    assert_int_equal(followed_of(f)->quota, 8);
    assert_int_equal(service_calls_waiting(f), 0);
}

static void
a_state_that_is_made_anew_is_handed_it_again(void **state)
{
    struct service_fixture *f = *state;
    struct error error = ERROR_INIT;
    answer(f, GOOD);
    f->hold_commits = true;
    assert_false(is_answered(f));
    assert_non_null(f->commit);
    f->commit = NULL;
    error_set(&error, "the disk is broken");
    dispatch_committed(f->dispatch, STATUS_STORE_FAILED, &error);
    assert_int_equal(followed_of(f)->times, 2);
    assert_int_equal(followed_of(f)->quota, 7);
}

static void
it_comes_while_a_commit_is_under_way(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    assert_false(is_answered(f));
    answer(f, GOOD);
    assert_int_equal(followed_of(f)->quota, 7);
    f->hold_commits = false;
    service_run(f);
    assert_true(is_answered(f));
}

static void
a_new_session_asks_anew_and_a_stopping_service_does_not(void **state)
{
    struct service_fixture *f = *state;
    dispatch_session_lost(f->dispatch);
    assert_int_equal(f->cancelled_calls, 1);
    service_run(f);
    answer(f, GOOD);
    dispatch_session_lost(f->dispatch);
    assert_int_equal(f->cancelled_calls, 1);
    dispatch_stop(f->dispatch);
    service_pass(f, 60 * 1000);
    assert_int_equal(service_calls_waiting(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, runtime_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_asked_at_start_in_the_services_own_name_and_handed_over),
        TEST(it_is_asked_again_and_a_change_alone_is_handed_over),
        TEST(one_who_is_away_is_asked_again_after_a_second),
        TEST(what_cannot_be_read_is_logged_once_and_changes_nothing),
        TEST(bytes_that_are_no_value_are_refused),
        TEST(the_brokers_word_makes_it_ask_at_once),
        TEST(a_state_that_is_made_anew_is_handed_it_again),
        TEST(it_comes_while_a_commit_is_under_way),
        TEST(a_new_session_asks_anew_and_a_stopping_service_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
