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

static const char no_keys[] = "{\"keys\":[]}";

static int
setup(void **state)
{
    struct error error = ERROR_INIT;
    struct service_fixture *f = service_open(&identity_service, NULL, &error);
    assert_non_null(f);
    service_run(f);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, no_keys);
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

static void
make_key(char key[static CURVE_KEY_TEXT_SIZE], uint8_t number)
{
    const uint8_t bytes[CURVE_KEY_SIZE] = {number, 1, 2, 3};
    curve_key_format(bytes, key);
}

static struct uuid
register_key(struct service_fixture *f, const char *agent, uint8_t number)
{
    char key[CURVE_KEY_TEXT_SIZE];
    struct buffer json;
    make_key(key, number);
    buffer_init(&json);
    buffer_append_format(&json,
                         "{\"agent_id\":\"%s\",\"name\":\"Kasra\",\"curve_public_key\":", agent);
    json_append_text(&json, text_of(key));
    buffer_append(&json, "}", 2);
    struct uuid id =
        service_send_granted(f, "identity_register", service_text(&json), "agent:spawn", "*");
    buffer_clear(&json);
    return id;
}

static struct uuid
revoke(struct service_fixture *f, const char *agent)
{
    char json[256];
    snprintf(json, sizeof json, "{\"agent_id\":\"%s\",\"reason\":\"lost\"}", agent);
    return service_send_granted(f, "identity_revoke", json, "agent:terminate", "*");
}

static void
assert_status(struct service_fixture *f, const char *agent, const char *status)
{
    char json[256], part[64];
    snprintf(json, sizeof json, "{\"id\":\"%s\"}", agent);
    snprintf(part, sizeof part, "\"status\":\"%s\"", status);
    struct uuid id = service_send(f, "identity_get", json);
    assert_contains(service_reply(f, &id), part);
}

static void
assert_unknown(struct service_fixture *f, const char *agent)
{
    char json[256];
    snprintf(json, sizeof json, "{\"id\":\"%s\"}", agent);
    struct uuid id = service_send(f, "identity_get", json);
    assert_int_equal(service_status(f, &id), STATUS_NOT_FOUND);
    assert_contains(service_reply(f, &id), "agent_not_found");
}

static void
registering_writes_the_row_tells_the_broker_and_answers(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = register_key(f, "agent:kasra", 1);
    assert_false(service_has_reply(f, &id));
    assert_status(f, "agent:kasra", "pending");
    struct sent_call *call = service_call(f, "key_add");
    assert_string_equal(call->service, "bus");
    assert_contains(service_text(&call->json),
                    "{\"identity\":\"agent:kasra\",\"curve_public_key\":");
    service_answer(f, call, STATUS_OK, "{}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_contains(service_reply(f, &id),
                    "\"agent_id\":\"agent:kasra\",\"name\":\"Kasra\",\"model\":null");
    assert_contains(service_reply(f, &id), "\"status\":\"registered\",\"created_at\":\"2026-");
    assert_contains(service_reply(f, &id), "\"revoked_at\":null");
    service_reopen(f);
    assert_status(f, "agent:kasra", "registered");
}

static void
a_call_without_the_right_is_refused(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = service_send(f, "identity_revoke", "{\"agent_id\":\"agent:kasra\"}");
    assert_int_equal(service_status(f, &id), STATUS_CAPABILITY_MISSING);
}

static void
bad_agents_and_keys_are_refused_by_field(void **state)
{
    static const struct {
        const char *json, *field;
    } rows[] = {
        {"{\"agent_id\":\"user:ana\",\"curve_public_key\":\"rq5UzrQ[@TD2nC8<6VrmM=TlwzKzBf/"
         "t.VHKD0$&\"}",
         "agent_id"},
        {"{\"agent_id\":\"agent:..\",\"curve_public_key\":\"rq5UzrQ[@TD2nC8<6VrmM=TlwzKzBf/"
         "t.VHKD0$&\"}",
         "agent_id"},
        {"{\"agent_id\":\"service:memory\",\"curve_public_key\":\"rq5UzrQ[@TD2nC8<6VrmM=TlwzKzBf/"
         "t.VHKD0$&\"}",
         "agent_id"},
        {"{\"agent_id\":\"agent:k\",\"curve_public_key\":\"~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"
         "\"}",
         "curve_public_key"},
        {"{\"agent_id\":\"agent:k\",\"curve_public_key\":\"short\"}", "curve_public_key"},
        {"{\"agent_id\":\"agent:k\"}", "curve_public_key"},
        {"{\"agent_id\":\"agent:k\",\"curve_public_key\":\"rq5UzrQ[@TD2nC8<6VrmM=TlwzKzBf/"
         "t.VHKD0$&\",\"public_key\":"
         "\"zz00000000000000000000000000000000000000000000000000000000000000\"}",
         "public_key"},
    };
    struct service_fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct uuid id =
            service_send_granted(f, "identity_register", rows[i].json, "agent:spawn", "*");
        assert_int_equal(service_status(f, &id), STATUS_VALIDATION);
        assert_contains(service_reply(f, &id), rows[i].field);
    }
    assert_int_equal(service_calls_waiting(f), 0);
}

static void
an_agent_and_a_key_are_given_once(void **state)
{
    struct service_fixture *f = *state;
    register_key(f, "agent:kasra", 1);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    struct uuid same = register_key(f, "agent:kasra", 2);
    assert_int_equal(service_status(f, &same), STATUS_ALREADY_EXISTS);
    assert_contains(service_reply(f, &same), "agent_exists");
    struct uuid key = register_key(f, "agent:mizan", 1);
    assert_int_equal(service_status(f, &key), STATUS_ALREADY_EXISTS);
    assert_contains(service_reply(f, &key), "key_exists");
}

static void
what_the_broker_refuses_leaves_no_agent(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = register_key(f, "agent:kasra", 1);
    service_answer(f, service_call(f, "key_add"), STATUS_ALREADY_EXISTS,
                   "this key belongs to another identity");
    service_pass(f, 1);
    assert_int_equal(service_status(f, &id), STATUS_ALREADY_EXISTS);
    assert_contains(service_reply(f, &id), "another identity");
    assert_unknown(f, "agent:kasra");
    register_key(f, "agent:kasra", 1);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    assert_status(f, "agent:kasra", "registered");
}

static void
what_the_broker_did_not_confirm_is_asked_again(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = register_key(f, "agent:kasra", 1);
    service_answer(f, service_call(f, "key_add"), STATUS_UNAVAILABLE, "no broker");
    assert_int_equal(service_status(f, &id), STATUS_UNAVAILABLE);
    assert_status(f, "agent:kasra", "pending");
    service_pass(f, 5000);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    assert_status(f, "agent:kasra", "registered");
    service_pass(f, 5000);
    assert_int_equal(service_calls_waiting(f), 0);
}

static void
a_crash_before_the_answer_is_finished_at_the_next_start(void **state)
{
    struct service_fixture *f = *state;
    register_key(f, "agent:kasra", 1);
    register_key(f, "agent:mizan", 2);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}"); /* mizan's */
    revoke(f, "agent:mizan");
    service_reopen(f);
    size_t replies = f->reply_count;
    service_run(f);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, no_keys);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    service_answer(f, service_call(f, "key_revoke"), STATUS_OK, "{\"revoked\":1}");
    assert_int_equal(f->reply_count, replies); /* nobody asked */
    assert_status(f, "agent:kasra", "registered");
    assert_status(f, "agent:mizan", "revoked");
}

static void
a_pending_agent_that_the_broker_refuses_later_goes(void **state)
{
    struct service_fixture *f = *state;
    register_key(f, "agent:kasra", 1);
    service_reopen(f);
    service_run(f);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, no_keys);
    service_answer(f, service_call(f, "key_add"), STATUS_FORBIDDEN, "revoked");
    assert_unknown(f, "agent:kasra");
}

static void
revoking_takes_the_key_off_and_stays(void **state)
{
    struct service_fixture *f = *state;
    register_key(f, "agent:kasra", 1);
    service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    struct uuid id = revoke(f, "agent:kasra");
    assert_status(f, "agent:kasra", "revoking");
    assert_string_equal(service_text(&service_call(f, "key_revoke")->json),
                        "{\"identity\":\"agent:kasra\"}");
    service_answer(f, service_call(f, "key_revoke"), STATUS_OK, "{\"revoked\":1}");
    assert_contains(service_reply(f, &id), "\"status\":\"revoked\"");
    assert_contains(service_reply(f, &id), "\"revoked_at\":\"2026-");
    struct uuid again = revoke(f, "agent:kasra");
    assert_int_equal(service_status(f, &again), STATUS_OK);
    struct uuid anew = register_key(f, "agent:kasra", 3);
    assert_contains(service_reply(f, &anew), "agent_exists");
    struct uuid unknown = revoke(f, "agent:nobody");
    assert_int_equal(service_status(f, &unknown), STATUS_NOT_FOUND);
}

static void
keys_added_offline_are_adopted(void **state)
{
    struct service_fixture *f = *state;
    struct buffer json;
    buffer_init(&json);
    buffer_append_string(&json, "{\"keys\":[5,{},{\"identity\":\"service:memory\",\"curve_public_"
                                "key\":\"m\",\"revoked\":false}");
    for (uint8_t i = 0; i < 3; i++) {
        char key[CURVE_KEY_TEXT_SIZE];
        make_key(key, (uint8_t)(10 + i));
        buffer_append_format(&json,
                             ",{\"identity\":\"agent:off%u\",\"revoked\":%s,\"act_for_others\":"
                             "false,\"curve_public_key\":",
                             i, i == 2 ? "true" : "false");
        json_append_text(&json, text_of(key));
        buffer_append_string(&json, "}");
    }
    buffer_append(&json, "]}", 3);
    service_pass(f, 60000);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, service_text(&json));
    assert_status(f, "agent:off0", "registered");
    assert_status(f, "agent:off1", "registered");
    assert_status(f, "agent:off2", "revoked");
    assert_unknown(f, "service:memory");
    struct uuid key = register_key(f, "agent:new", 10);
    assert_contains(service_reply(f, &key), "key_exists");
    buffer_clear(&json);
}

/* One key of agent:off<number>, and whether others follow. */
static void
make_page(struct buffer *json, uint8_t number, const char *more)
{
    char key[CURVE_KEY_TEXT_SIZE];
    make_key(key, number);
    buffer_reset(json);
    buffer_append_format(json,
                         "{\"keys\":[{\"identity\":\"agent:off%u\",\"curve_public_key\":", number);
    json_append_text(json, text_of(key));
    buffer_append_format(json, ",\"revoked\":false,\"act_for_others\":false}],\"more\":%s}", more);
}

static void
the_brokers_keys_are_read_page_by_page(void **state)
{
    struct service_fixture *f = *state;
    struct buffer json;
    struct text after;
    char key[CURVE_KEY_TEXT_SIZE];
    buffer_init(&json);
    service_pass(f, 60000);
    make_page(&json, 1, "true");
    service_answer(f, service_call(f, "key_list"), STATUS_OK, service_text(&json));
    const struct sent_call *next = service_call(f, "key_list");
    make_key(key, 1);
    buffer_reset(&json);
    json_append_text(&json, text_of(key));
    after = buffer_text(&json);
    assert_non_null(memmem(next->json.data, next->json.size, after.data, after.size));

    make_page(&json, 2, "false");
    service_answer(f, service_call(f, "key_list"), STATUS_OK, service_text(&json));
    assert_int_equal(service_calls_waiting(f), 0);
    assert_status(f, "agent:off1", "registered");
    assert_status(f, "agent:off2", "registered");
    buffer_clear(&json);
}

static void
a_list_of_keys_that_does_not_go_on_is_given_up(void **state)
{
    struct service_fixture *f = *state;
    struct buffer json;
    buffer_init(&json);
    service_pass(f, 60000);
    for (int i = 0; i < 2; i++) {
        make_page(&json, 1, "true");
        service_answer(f, service_call(f, "key_list"), STATUS_OK, service_text(&json));
    }
    assert_int_equal(service_calls_waiting(f), 0);
    buffer_clear(&json);
}

static void
agents_are_listed_newest_first(void **state)
{
    struct service_fixture *f = *state;
    for (uint8_t i = 1; i <= 3; i++) {
        char agent[32];
        snprintf(agent, sizeof agent, "agent:a%u", i);
        f->now.wall_us += 1000;
        register_key(f, agent, i);
        service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
    }
    struct uuid all = service_send(f, "identity_list", "{}");
    const char *reply = service_reply(f, &all);
    assert_true(strstr(reply, "agent:a3") < strstr(reply, "agent:a2"));
    assert_true(strstr(reply, "agent:a2") < strstr(reply, "agent:a1"));
    struct uuid page = service_send(f, "identity_list", "{\"limit\":1,\"offset\":1}");
    assert_contains(service_reply(f, &page), "agent:a2");
    assert_lacks(service_reply(f, &page), "agent:a1");
    assert_lacks(service_reply(f, &page), "agent:a3");
}

static void
every_failing_store_call_leaves_a_state_that_can_be_finished(void **state)
{
    struct service_fixture *f = *state;
    bool passed = false;
    for (uint8_t step = 0; step < 20 && !passed; step++) {
        char agent[32];
        snprintf(agent, sizeof agent, "agent:s%u", step);
        store_fault_after(f->store, step);
        struct uuid id = register_key(f, agent, (uint8_t)(100 + step));
        if (service_calls_waiting(f) > 0)
            service_answer(f, service_call(f, "key_add"), STATUS_OK, "{}");
        store_fault_after(f->store, -1);
        passed = service_status(f, &id) == STATUS_OK;
        if (!passed)
            assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
        for (int rounds = 0; rounds < 3; rounds++) {
            service_pass(f, 6000);
            if (service_calls_waiting(f) > 0) {
                struct sent_call *call = &f->calls[f->call_count - 1];
                service_answer(f, call, STATUS_OK,
                               strcmp(call->type, "key_list") == 0 ? no_keys : "{}");
            }
        }
        char json[64];
        snprintf(json, sizeof json, "{\"id\":\"%s\"}", agent);
        struct uuid look = service_send(f, "identity_get", json);
        if (service_status(f, &look) == STATUS_OK)
            assert_contains(service_reply(f, &look), "registered");
        else
            assert_false(passed);
    }
    assert_true(passed);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(registering_writes_the_row_tells_the_broker_and_answers),
        TEST(a_call_without_the_right_is_refused),
        TEST(bad_agents_and_keys_are_refused_by_field),
        TEST(an_agent_and_a_key_are_given_once),
        TEST(what_the_broker_refuses_leaves_no_agent),
        TEST(what_the_broker_did_not_confirm_is_asked_again),
        TEST(a_crash_before_the_answer_is_finished_at_the_next_start),
        TEST(a_pending_agent_that_the_broker_refuses_later_goes),
        TEST(revoking_takes_the_key_off_and_stays),
        TEST(keys_added_offline_are_adopted),
        TEST(the_brokers_keys_are_read_page_by_page),
        TEST(a_list_of_keys_that_does_not_go_on_is_given_up),
        TEST(agents_are_listed_newest_first),
        TEST(every_failing_store_call_leaves_a_state_that_can_be_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
