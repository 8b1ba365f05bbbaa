/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/engine/engine.h"
#include "actors/engine/provider_key.h"
#include "kernel/capability.h"
#include "platform/river_key.h"
#include "tests/unit/actors/service_fixture.h"

static const char key_1[] = "{\"name\":\"openai\",\"value\":\"sk-live-1\"}";
static const char key_2[] = "{\"name\":\"openai\",\"value\":\"sk-live-2\"}";
static const char header_1[] = "Authorization: Bearer sk-live-1\n";
static const char header_2[] = "Authorization: Bearer sk-live-2\n";

static const char *
path_of(const struct service_fixture *f, const char *relative)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", (const char *)f->own, relative);
    return path;
}

static int
setup(void **state)
{
    static const char *const environment[] = {"SOS_OPENAI_BASE_URL=http://model.test:8000/v1/",
                                              "SOS_OPENAI_MODEL=big-model",
                                              "SOS_OPENAI_API_KEY=secret:openai", NULL};
    struct service_fixture *f = service_new(&engine_service);
    struct error error = ERROR_INIT;
    f->own = strdup("/tmp/sos-engine-XXXXXX");
    assert_non_null(mkdtemp(f->own));
    assert_int_equal(mkdir(path_of(f, "secrets"), 0700), 0);
    assert_int_equal(river_key_make(f->own, &error), STATUS_OK);
    f->options.home = f->own;
    assert_int_equal(config_apply_environment(f->config, environment, NULL, NULL, &error),
                     STATUS_OK);
    assert_int_equal(service_start(f, &error), STATUS_OK);
    service_run(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct service_fixture *f = *state;
    char *folder = f->own;
    assert_lacks(service_text(&f->log), "sk-live");
    unlink(path_of(f, RIVER_KEY_FILE));
    rmdir(path_of(f, "secrets"));
    assert_int_equal(rmdir(folder), 0);
    service_close(&f);
    free(folder);
    return 0;
}

static struct uuid
say(struct service_fixture *f, const char *more)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"agent_id\":\"agent:a\",\"message\":\"Why?\",\"memory_enabled\":false%s}", more);
    return service_send(f, "chat", json);
}

static struct uuid
say_to_model(struct service_fixture *f)
{
    return say(f, ",\"model\":\"big-model\"");
}

static void
assert_asked_with(struct service_fixture *f, const char *header)
{
    say_to_model(f);
    struct sent_http *http = service_http(f);
    assert_contains(http->headers, header);
    service_http_done(f, http, STATUS_OK, 200, "");
}

static void
the_key_is_read_in_the_engines_own_name_before_anybody_chats(void **state)
{
    struct service_fixture *f = *state;
    struct sent_call *call = service_call(f, "secret_get");
    assert_string_equal(call->service, "identity");
    assert_string_equal(call->principal, "service:engine");
    assert_string_equal(service_text(&call->json), "{\"name\":\"openai\"}");
    service_answer(f, call, STATUS_OK, key_1);
    assert_asked_with(f, header_1);
    assert_int_equal(service_calls_waiting(f), 0);
}

static void
until_it_is_read_the_provider_is_unavailable(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = say_to_model(f);
    assert_int_equal(service_status(f, &id), STATUS_MODEL_UNAVAILABLE);
    assert_contains(service_reply(f, &id), "not read yet");
    assert_int_equal(f->http_count, 0);
    id = say(f, "");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_contains(service_reply(f, &id), "sos-local");
    id = service_send(f, "models_list", "{}");
    assert_contains(service_reply(f, &id), "\"status\":\"unavailable\"");
    id = service_send(f, "health_check", "{}");
    assert_contains(service_reply(f, &id), "not read yet");
    assert_contains(service_reply(f, &id), "\"status\":\"ok\"");
}

static void
the_reason_is_told(void **state)
{
    struct service_fixture *f = *state;
    service_answer(f, service_call(f, "secret_get"), STATUS_UNAVAILABLE, "identity is away");
    struct uuid id = say_to_model(f);
    assert_int_equal(service_status(f, &id), STATUS_MODEL_UNAVAILABLE);
    assert_contains(service_reply(f, &id), "identity is away");
    assert_contains(service_reply(f, &id), "openai");
    service_pass(f, PROVIDER_KEY_ROUTINE_MS);
    service_answer(f, service_call(f, "secret_get"), STATUS_NOT_FOUND, "there is no secret openai");
    id = service_send(f, "health_check", "{}");
    assert_contains(service_reply(f, &id), "there is no secret openai");
    service_pass(f, PROVIDER_KEY_ROUTINE_MS);
    service_answer(f, service_call(f, "secret_get"), STATUS_OK, key_1);
    assert_asked_with(f, header_1);
}

static void
it_is_read_again_after_some_minutes(void **state)
{
    struct service_fixture *f = *state;
    service_answer(f, service_call(f, "secret_get"), STATUS_OK, key_1);
    service_pass(f, 4 * 60 * 1000);
    assert_int_equal(service_calls_waiting(f), 0);
    service_pass(f, 2 * 60 * 1000);
    service_answer(f, service_call(f, "secret_get"), STATUS_OK, key_2);
    assert_asked_with(f, header_2);
}

static void
an_identity_service_that_is_away_is_outlived_for_a_while(void **state)
{
    struct service_fixture *f = *state;
    service_answer(f, service_call(f, "secret_get"), STATUS_OK, key_1);
    for (int minutes = 0; minutes < 9; minutes++) {
        service_pass(f, 60 * 1000);
        if (service_calls_waiting(f) > 0)
            service_answer(f, service_call(f, "secret_get"), STATUS_UNAVAILABLE, "away");
        assert_asked_with(f, header_1);
    }
    service_pass(f, 2 * 60 * 1000);
    service_answer(f, service_call(f, "secret_get"), STATUS_UNAVAILABLE, "away");
    struct uuid id = say_to_model(f);
    assert_int_equal(service_status(f, &id), STATUS_MODEL_UNAVAILABLE);
    assert_contains(service_reply(f, &id), "away");
}

static void
a_secret_that_is_gone_is_not_used_any_longer(void **state)
{
    struct service_fixture *f = *state;
    service_answer(f, service_call(f, "secret_get"), STATUS_OK, key_1);
    service_pass(f, 6 * 60 * 1000);
    service_answer(f, service_call(f, "secret_get"), STATUS_NOT_FOUND, "gone");
    struct uuid id = say_to_model(f);
    assert_int_equal(service_status(f, &id), STATUS_MODEL_UNAVAILABLE);
}

static void
a_key_that_its_server_refused_is_read_again_soon(void **state)
{
    struct service_fixture *f = *state;
    service_answer(f, service_call(f, "secret_get"), STATUS_OK, key_1);
    say_to_model(f);
    service_http_done(f, service_http(f), STATUS_OK, 401, "{}");
    service_pass(f, PROVIDER_KEY_ROUTINE_MS);
    service_answer(f, service_call(f, "secret_get"), STATUS_OK, key_2);
    assert_asked_with(f, header_2);
}

static void
a_value_that_no_header_may_hold_is_refused(void **state)
{
    struct service_fixture *f = *state;
    service_answer(f, service_call(f, "secret_get"), STATUS_OK,
                   "{\"name\":\"openai\",\"value\":\"sk-live-1\\r\\nX-Evil: 1\"}");
    struct uuid id = say_to_model(f);
    assert_int_equal(service_status(f, &id), STATUS_MODEL_UNAVAILABLE);
    assert_lacks(service_reply(f, &id), "sk-live");
    assert_lacks(service_reply(f, &id), "Evil");
}

static void
asking_more_often_does_not_read_more_often(void **state)
{
    struct service_fixture *f = *state;
    service_answer(f, service_call(f, "secret_get"), STATUS_UNAVAILABLE, "away");
    size_t calls = f->call_count;
    for (int i = 0; i < 10; i++)
        service_send(f, "engine_refresh_key", "{}");
    assert_int_equal(f->call_count, calls);
}

static void
without_a_river_key_the_reason_is_told(void **state)
{
    struct service_fixture *f = *state;
    service_answer(f, service_call(f, "secret_get"), STATUS_UNAVAILABLE, "away");
    unlink(path_of(f, RIVER_KEY_FILE));
    service_pass(f, PROVIDER_KEY_ROUTINE_MS);
    assert_int_equal(service_calls_waiting(f), 0);
    struct uuid id = say_to_model(f);
    assert_contains(service_reply(f, &id), "river.key");
}

static void
a_name_that_is_none_is_refused_at_start(void **state)
{
    (void)state;
    static const char *const names[] = {"SOS_OPENAI_API_KEY=secret:", "SOS_OPENAI_API_KEY=secret:A",
                                        "SOS_OPENAI_API_KEY=secret:a/b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *const environment[] = {"SOS_OPENAI_BASE_URL=http://model.test/v1",
                                           "SOS_OPENAI_MODEL=big-model", names[i], NULL};
        struct error error = ERROR_INIT;
        assert_null(service_open(&engine_service, environment, &error));
        assert_contains(error.message, "openai.api_key");
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_key_is_read_in_the_engines_own_name_before_anybody_chats),
        TEST(until_it_is_read_the_provider_is_unavailable),
        TEST(the_reason_is_told),
        TEST(it_is_read_again_after_some_minutes),
        TEST(an_identity_service_that_is_away_is_outlived_for_a_while),
        TEST(a_secret_that_is_gone_is_not_used_any_longer),
        TEST(a_key_that_its_server_refused_is_read_again_soon),
        TEST(a_value_that_no_header_may_hold_is_refused),
        TEST(asking_more_often_does_not_read_more_often),
        TEST(without_a_river_key_the_reason_is_told),
        cmocka_unit_test(a_name_that_is_none_is_refused_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
