/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sse.h"
#include "gateway/translate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "kernel/json.h"
#include "kernel/message.h"

struct world {
    struct translator *translator;
    struct routes *routes;
    struct uri uri;
    struct buffer storage;
    struct route_match match;
    struct translated out;
    struct error error;
    struct buffer json;
};

static int
setup(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    world.translator = translator_new();
    assert_non_null(world.translator);
    assert_int_equal(routes_new(&world.routes, fixture_contracts, NULL), STATUS_OK);
    *state = &world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    translator_destroy(&world->translator);
    routes_destroy(&world->routes);
    buffer_clear(&world->storage);
    buffer_clear(&world->json);
    return 0;
}

static enum status
translate(struct world *world, const char *method, enum door door, const char *target,
          const char *body, const char *capability, const char *authorization)
{
    world->error = ERROR_INIT;
    assert_int_equal(uri_parse(text_of(target), &world->uri, &world->storage, NULL), STATUS_OK);
    assert_int_equal(routes_find(world->routes, door, text_of(method), world->uri.segments,
                                 world->uri.segment_count, &world->match),
                     STATUS_OK);
    struct translate_input input = {
        .match = &world->match,
        .uri = &world->uri,
        .body = text_of(body),
        .capability_header = text_of(capability),
        .authorization = text_of(authorization),
    };
    return translate_request(world->translator, &input, &world->out, &world->error);
}

static const char *
as_json(struct world *world, struct bytes payload)
{
    buffer_reset(&world->json);
    assert_int_equal(msgpack_to_json(payload, &world->json, NULL), STATUS_OK);
    buffer_append_byte(&world->json, 0);
    return (const char *)world->json.data;
}

static void
texts_of_the_query_take_the_types_of_their_fields(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        translate(w, "GET", DOOR_MEMORY,
                  "/memories/10?limit=10&embedding=1&weight=0.5&types=a&types=b&other=1", "", "",
                  ""),
        STATUS_OK);
    assert_string_equal(
        as_json(w, w->out.payload),
        "{\"id\":\"10\",\"embedding\":true,\"limit\":10,\"weight\":0.5,\"types\":[\"a\",\"b\"]}");
}

static void
texts_that_do_not_fit_stay_texts(void **state)
{
    struct world *w = *state;
    assert_int_equal(translate(w, "GET", DOOR_MEMORY,
                               "/memories/x?limit=ten&embedding=yes&weight=1e999", "", "", ""),
                     STATUS_OK);
    assert_string_equal(
        as_json(w, w->out.payload),
        "{\"id\":\"x\",\"embedding\":\"yes\",\"limit\":\"ten\",\"weight\":\"1e999\"}");
    assert_int_equal(translate(w, "GET", DOOR_MEMORY,
                               "/memories/x?limit=99999999999999999999&weight=-3", "", "", ""),
                     STATUS_OK);
    assert_string_equal(as_json(w, w->out.payload),
                        "{\"id\":\"x\",\"limit\":\"99999999999999999999\",\"weight\":-3}");
}

static void
path_and_query_beat_the_body(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        translate(w, "DELETE", DOOR_MEMORY, "/memories/right?limit=1",
                  "{\"id\":\"wrong\",\"limit\":2,\"weight\":3,\"more\":[1,{\"a\":null}]}", "", ""),
        STATUS_OK);
    assert_string_equal(as_json(w, w->out.payload),
                        "{\"id\":\"right\",\"limit\":1,\"weight\":3,\"more\":[1,{\"a\":null}]}");
}

static void
bodies_that_are_no_objects_are_refused(void **state)
{
    struct world *w = *state;
    static const char *const bodies[] = {"[]",
                                         "1",
                                         "null",
                                         "\"x\"",
                                         "{",
                                         "{}x",
                                         "{\"a\":1,\"a\":2}",
                                         "{\"a\":18446744073709551616}",
                                         "\xff"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(translate(w, "POST", DOOR_MEMORY, "/store", bodies[i], "", ""),
                         STATUS_INVALID);
        assert_int_equal(strncmp(w->error.message, "body: ", 6), 0);
    }
}

static void
streams_are_asked_for_by_body_or_route(void **state)
{
    struct world *w = *state;
    assert_int_equal(translate(w, "POST", DOOR_ENGINE, "/chat", "{\"stream\":true}", "", ""),
                     STATUS_OK);
    assert_true(w->out.stream);
    assert_int_equal(translate(w, "POST", DOOR_ENGINE, "/chat", "{\"stream\":false}", "", ""),
                     STATUS_OK);
    assert_false(w->out.stream);
    assert_int_equal(translate(w, "POST", DOOR_ENGINE, "/chat/stream", "{}", "", ""), STATUS_OK);
    assert_true(w->out.stream);
    assert_int_equal(translate(w, "POST", DOOR_MEMORY, "/store", "{\"stream\":true}", "", ""),
                     STATUS_OK);
    assert_false(w->out.stream);
}

#define TOKEN(id)                                                                                  \
    "{\"id\":\"" id "\",\"subject\":\"agent:a\",\"action\":\"memory:read\",\"resource\":\"*\","    \
    "\"constraints\":{},\"issued_at\":\"2026-01-01T00:00:00+00:00\",\"expires_at\":\"2027-01-"     \
    "01T00:00:00+00:00\","                                                                         \
    "\"issuer\":\"river\",\"uses_remaining\":null,\"parent_id\":null,\"signature\":\"ed25519:"     \
    "00\"}"

static void
the_first_capability_counts_and_leaves_the_payload(void **state)
{
    struct world *w = *state;
    char body[1024];
    const char *id = "\"id\":\"cap_000000000003\"";
    strcpy(body, "{\"content\":\"x\",\"capability\":" TOKEN("cap_000000000003") "}");

    assert_int_equal(translate(w, "POST", DOOR_MEMORY, "/store", body, TOKEN("cap_000000000001"),
                               "Bearer " TOKEN("cap_000000000002")),
                     STATUS_OK);
    assert_true(text_equal_string(w->out.capability, TOKEN("cap_000000000001")));
    assert_string_equal(as_json(w, w->out.payload), "{\"content\":\"x\"}");

    assert_int_equal(
        translate(w, "POST", DOOR_MEMORY, "/store", body, "", "bearer " TOKEN("cap_000000000002")),
        STATUS_OK);
    assert_true(text_equal_string(w->out.capability, TOKEN("cap_000000000002")));

    assert_int_equal(translate(w, "POST", DOOR_MEMORY, "/store", body, "", "Basic eDp5"),
                     STATUS_OK);
    assert_non_null(memmem(w->out.capability.data, w->out.capability.size, id, strlen(id)));
    assert_string_equal(as_json(w, w->out.payload), "{\"content\":\"x\"}");

    assert_int_equal(
        translate(w, "POST", DOOR_MEMORY, "/store?capability=x", "{\"capability\":null}", "", ""),
        STATUS_OK);
    assert_true(text_is_empty(w->out.capability));
    assert_string_equal(as_json(w, w->out.payload), "{}");
}

static void
base64url_tokens_are_decoded_with_and_without_padding(void **state)
{
    struct world *w = *state;
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static const char token[] = TOKEN("cap_000000000001");
    char encoded[1024];
    size_t size = sizeof token - 1;
    size_t out = 0;
    for (size_t i = 0; i < size; i += 3) {
        unsigned a = (unsigned char)token[i];
        unsigned b = i + 1 < size ? (unsigned char)token[i + 1] : 0;
        unsigned c = i + 2 < size ? (unsigned char)token[i + 2] : 0;
        unsigned bits = a << 16 | b << 8 | c;
        encoded[out++] = alphabet[bits >> 18];
        encoded[out++] = alphabet[bits >> 12 & 63];
        encoded[out++] = i + 1 < size ? alphabet[bits >> 6 & 63] : '=';
        encoded[out++] = i + 2 < size ? alphabet[bits & 63] : '=';
    }
    encoded[out] = '\0';
    assert_int_equal(translate(w, "POST", DOOR_MEMORY, "/store", "{}", encoded, ""), STATUS_OK);
    assert_true(text_equal_string(w->out.capability, token));
    while (out > 0 && encoded[out - 1] == '=')
        encoded[--out] = '\0';
    assert_int_equal(translate(w, "POST", DOOR_MEMORY, "/store", "{}", encoded, ""), STATUS_OK);
    assert_true(text_equal_string(w->out.capability, token));
}

static void
unreadable_capabilities_have_their_words(void **state)
{
    struct world *w = *state;
    static const char *const headers[] = {"!!!", "{", "eHl6", "{\"a\":1,\"a\":1}"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        assert_int_equal(translate(w, "POST", DOOR_MEMORY, "/store", "{}", headers[i], ""),
                         STATUS_INVALID);
        assert_string_equal(w->error.word, "invalid_capability_header");
    }
    static const char *const bodies[] = {"{\"capability\":1}", "{\"capability\":{}}",
                                         "{\"capability\":\"?\"}", "{\"capability\":[]}",
                                         "{\"capability\":\"\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(translate(w, "POST", DOOR_MEMORY, "/store", bodies[i], "", ""),
                         STATUS_INVALID);
        assert_string_equal(w->error.word, "invalid_capability_payload");
    }
}

static const char *
finished(struct buffer *buffer)
{
    buffer_append_byte(buffer, 0);
    return (const char *)buffer->data;
}

static void
refusals_survive_any_payload(void **state)
{
    struct world *w = *state;
    buffer_reset(&w->json);
    translate_refusal(STATUS_NOT_FOUND, (struct bytes){(const uint8_t *)"\xc1garbage", 8},
                      &w->json);
    assert_string_equal(
        finished(&w->json),
        "{\"ok\":false,\"detail\":\"not_found\",\"error\":{\"code\":3001,\"message\":\"not found\","
        "\"detail\":\"not_found\",\"context\":{}}}");
    struct error error = ERROR_INIT;
    struct buffer payload = {0};
    error_set_field(&error, "amount", "came \"ten\", expected an integer");
    error_pack(&payload, STATUS_VALIDATION, &error);
    buffer_reset(&w->json);
    translate_refusal(STATUS_VALIDATION, buffer_bytes(&payload), &w->json);
    assert_string_equal(
        finished(&w->json),
        "{\"ok\":false,\"detail\":\"validation_error\",\"error\":{\"code\":1005,\"message\":"
        "\"amount: came \\\"ten\\\", expected an integer\",\"detail\":\"validation_error\","
        "\"context\":{\"field\":\"amount\"}}}");
    buffer_clear(&payload);
}

static void
events_are_one_line_each(void **state)
{
    struct world *w = *state;
    struct buffer payload = {0};
    pack_map(&payload, 1);
    pack_pair_string(&payload, "chunk", "a\nb\r\n\n");
    buffer_reset(&w->json);
    assert_true(sse_chunk(&w->json, buffer_bytes(&payload)));
    assert_string_equal(finished(&w->json), "data: {\"chunk\":\"a\\nb\\r\\n\\n\"}\n\n");

    buffer_reset(&payload);
    pack_string(&payload, "plain");
    buffer_reset(&w->json);
    assert_true(sse_chunk(&w->json, buffer_bytes(&payload)));
    assert_string_equal(finished(&w->json), "data: {\"chunk\":\"plain\"}\n\n");

    buffer_reset(&payload);
    pack_map(&payload, 2);
    pack_pair_bool(&payload, "done", false);
    pack_pair_uint(&payload, "tokens_used", 7);
    buffer_reset(&w->json);
    assert_true(sse_done(&w->json, buffer_bytes(&payload)));
    assert_string_equal(finished(&w->json), "data: {\"done\":true,\"tokens_used\":7}\n\n");

    buffer_reset(&w->json);
    sse_error(&w->json, STATUS_TIMEOUT, (struct bytes){0});
    assert_string_equal(
        finished(&w->json),
        "data: {\"error\":{\"code\":1004,\"message\":\"no answer in time\",\"detail\":\"timeout\","
        "\"context\":{}}}\n\n");

    buffer_reset(&w->json);
    assert_false(sse_chunk(&w->json, (struct bytes){(const uint8_t *)"\xc1", 1}));
    assert_int_equal(w->json.size, 0);
    buffer_clear(&payload);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(texts_of_the_query_take_the_types_of_their_fields),
        TEST(texts_that_do_not_fit_stay_texts),
        TEST(path_and_query_beat_the_body),
        TEST(bodies_that_are_no_objects_are_refused),
        TEST(streams_are_asked_for_by_body_or_route),
        TEST(the_first_capability_counts_and_leaves_the_payload),
        TEST(base64url_tokens_are_decoded_with_and_without_padding),
        TEST(unreadable_capabilities_have_their_words),
        TEST(refusals_survive_any_payload),
        TEST(events_are_one_line_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
