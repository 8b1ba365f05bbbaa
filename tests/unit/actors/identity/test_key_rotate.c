/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/identity/identity.h"
#include "kernel/curve.h"
#include "tests/unit/actors/service_fixture.h"

#define HOUR_US (UINT64_C(3600) * 1000000)

static const char no_keys[] = "{\"keys\":[]}";

static void
append_key(struct buffer *json, uint8_t number)
{
    const uint8_t bytes[CURVE_KEY_SIZE] = {number, 1, 2, 3};
    char key[CURVE_KEY_TEXT_SIZE];
    curve_key_format(bytes, key);
    json_append_text(json, text_of(key));
}

static struct uuid
give_key(struct service_fixture *f, const char *type, uint8_t number, int overlap)
{
    struct buffer json;
    buffer_init(&json);
    buffer_append_string(&json, "{\"agent_id\":\"agent:kasra\",\"curve_public_key\":");
    append_key(&json, number);
    if (overlap >= 0)
        buffer_append_format(&json, ",\"overlap_seconds\":%d", overlap);
    buffer_append(&json, "}", 2);
    struct uuid id = strcmp(type, "identity_register") == 0
                         ? service_send_granted(f, type, service_text(&json), "agent:spawn", "*")
                         : service_send(f, type, service_text(&json));
    buffer_clear(&json);
    return id;
}

static int
setup(void **state)
{
    struct error error = ERROR_INIT;
    struct service_fixture *f = service_open(&identity_service, NULL, &error);
    assert_non_null(f);
    service_run(f);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, no_keys);
    f->source = "user:operator";
    give_key(f, "identity_register", 1, -1);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct service_fixture *f = *state;
    service_close(&f);
    return 0;
}

static struct uuid
rotate(struct service_fixture *f, uint8_t number, int overlap)
{
    return give_key(f, "identity_rotate_key", number, overlap);
}

static bool
names_key(const char *text, const char *member, uint8_t number)
{
    struct buffer part;
    buffer_init(&part);
    buffer_append_format(&part, "\"%s\":", member);
    append_key(&part, number);
    buffer_append_byte(&part, 0);
    bool found = strstr(text, service_text(&part)) != NULL;
    buffer_clear(&part);
    return found;
}

static const char *
look(struct service_fixture *f)
{
    struct uuid id = service_send(f, "identity_get", "{\"id\":\"agent:kasra\"}");
    return service_reply(f, &id);
}

/* Passes so much wall time that the routine finds what is due. */
static void
wait_for(struct service_fixture *f, uint64_t us)
{
    f->now.wall_us += us;
    service_pass(f, 6000);
    for (size_t i = 0; i < f->call_count; i++)
        if (f->calls[i].handle && strcmp(f->calls[i].type, "key_list") == 0)
            service_answer(f, &f->calls[i], STATUS_OK, no_keys);
}

static void
both_keys_stand_until_the_routine_ends_the_old_one(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = rotate(f, 2, 3600);
    assert_true(names_key(service_text(&service_call(f, "key_add")->json), "curve_public_key", 2));
    assert_contains(service_text(&service_call(f, "key_add")->json), "\"access\":\"full\"");
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_true(names_key(service_reply(f, &id), "old_curve_public_key", 1));
    wait_for(f, HOUR_US / 2);
    assert_int_equal(service_calls_waiting(f), 0);
    service_reopen(f); /* what is due outlives a crash */
    service_run(f);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, no_keys);
    wait_for(f, HOUR_US);
    const char *revoked = service_text(&service_call(f, "key_revoke")->json);
    assert_true(names_key(revoked, "curve_public_key", 1));
    service_answer(f, service_call(f, "key_revoke"), STATUS_UNAVAILABLE, "no broker");
    wait_for(f, 0);
    service_answer(f, service_call(f, "key_revoke"), STATUS_OK, "{}");
    assert_contains(look(f), "\"old_curve_public_key\":null");
    assert_true(names_key(look(f), "curve_public_key", 2));
    wait_for(f, HOUR_US);
    assert_int_equal(service_calls_waiting(f), 0);
    id = rotate(f, 1, 0);
    assert_contains(service_reply(f, &id), "key_exists");
}

static void
without_an_overlap_the_old_key_ends_before_the_answer(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = rotate(f, 2, 0);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    assert_false(service_has_reply(f, &id));
    service_answer(f, service_call(f, "key_revoke"), STATUS_OK, "{}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_contains(service_reply(f, &id), "\"old_curve_public_key\":null");
}

static void
one_rotation_at_a_time_and_the_same_one_as_often_as_it_is_asked(void **state)
{
    struct service_fixture *f = *state;
    rotate(f, 2, 60);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    struct uuid id = rotate(f, 3, 60);
    assert_int_equal(service_status(f, &id), STATUS_CONFLICT);
    assert_contains(service_reply(f, &id), "rotation_running");
    id = rotate(f, 2, 60);
    assert_int_equal(service_status(f, &id), STATUS_OK);
}

static void
a_key_that_the_broker_refuses_leaves_the_old_one(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = rotate(f, 2, 60);
    service_answer(f, service_call(f, "key_add"), STATUS_ALREADY_EXISTS, "a service's");
    service_pass(f, 1);
    assert_int_equal(service_status(f, &id), STATUS_ALREADY_EXISTS);
    assert_true(names_key(look(f), "curve_public_key", 1));
    assert_contains(look(f), "\"old_curve_public_key\":null");
    assert_contains(look(f), "\"status\":\"registered\"");
}

static void
only_the_agent_itself_and_admins_give_it_a_key(void **state)
{
    struct service_fixture *f = *state;
    f->source = "agent:mallory";
    struct uuid id = rotate(f, 2, 60);
    assert_int_equal(service_status(f, &id), STATUS_FORBIDDEN);
    f->source = "user:ana";
    id = rotate(f, 2, 60);
    assert_contains(service_reply(f, &id), "not_admin");
    f->source = "agent:kasra";
    id = rotate(f, 2, 60);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
}

static void
who_is_terminated_gets_no_key(void **state)
{
    struct service_fixture *f = *state;
    service_send(f, "identity_terminate", "{\"id\":\"agent:kasra\"}");
    service_answer(f, service_call(f, "key_revoke"), STATUS_OK, "{}");
    struct uuid id = rotate(f, 2, 60);
    assert_int_equal(service_status(f, &id), STATUS_CONFLICT);
    assert_contains(service_reply(f, &id), "terminated: rotate_key");
    f->source = "user:operator";
    id = service_send(f, "identity_rotate_key",
                      "{\"agent_id\":\"agent:nobody\",\"curve_public_key\":"
                      "\"rq5UzrQ[@TD2nC8<6VrmM=TlwzKzBf/t.VHKD0$&\"}");
    assert_int_equal(service_status(f, &id), STATUS_NOT_FOUND);
}

static void
termination_ends_both_keys(void **state)
{
    struct service_fixture *f = *state;
    rotate(f, 2, 3600);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    service_send(f, "identity_terminate", "{\"id\":\"agent:kasra\"}");
    assert_string_equal(service_text(&service_call(f, "key_revoke")->json),
                        "{\"identity\":\"agent:kasra\"}");
    service_answer(f, service_call(f, "key_revoke"), STATUS_OK, "{\"revoked\":2}");
    assert_contains(look(f), "\"old_curve_public_key\":null");
    wait_for(f, 2 * HOUR_US);
    assert_int_equal(service_calls_waiting(f), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(both_keys_stand_until_the_routine_ends_the_old_one),
        TEST(without_an_overlap_the_old_key_ends_before_the_answer),
        TEST(one_rotation_at_a_time_and_the_same_one_as_often_as_it_is_asked),
        TEST(a_key_that_the_broker_refuses_leaves_the_old_one),
        TEST(only_the_agent_itself_and_admins_give_it_a_key),
        TEST(who_is_terminated_gets_no_key),
        TEST(termination_ends_both_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
