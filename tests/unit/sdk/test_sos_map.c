/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "kernel/status.h"
#include "sdk/c/sos.h"

static struct sos_map *
parsed(const struct sos_map *map)
{
    struct sos_map *again = NULL;
    struct sos_error error;
    if (sos_map_parse(&again, sos_map_payload(map), &error) != SOS_OK)
        fail_msg("%s", error.message);
    return again;
}

static void
what_is_put_is_got_after_packing(void **state)
{
    (void)state;
    struct sos_map *map = sos_map_new();
    sos_map_put_text(map, "text", "grüß");
    sos_map_put_int(map, "negative", INT64_MIN);
    sos_map_put_uint(map, "large", UINT64_MAX);
    sos_map_put_double(map, "half", 0.5);
    sos_map_put_bool(map, "yes", true);
    sos_map_put_bytes(map, "bytes", "\0\1", 2);
    sos_map_put_nil(map, "nil");

    struct sos_map *again = parsed(map);

    assert_string_equal(sos_map_text(again, "text"), "grüß");
    assert_true(sos_map_int(again, "negative", 0) == INT64_MIN);
    assert_true(sos_map_uint(again, "large", 0) == UINT64_MAX);
    assert_true(sos_map_double(again, "half", 0) == 0.5);
    assert_true(sos_map_bool(again, "yes", false));
    assert_int_equal(sos_map_bytes(again, "bytes").size, 2);
    assert_int_equal(sos_map_type(again, "nil"), SOS_TYPE_NIL);
    assert_int_equal(sos_map_count(again), 7);
    assert_string_equal(sos_map_key(again, 1), "negative");
    sos_map_free(&map);
    sos_map_free(&again);
}

static void
absent_and_other_types_give_the_fallback(void **state)
{
    (void)state;
    struct sos_map *map = sos_map_new();
    sos_map_put_text(map, "text", "x");
    sos_map_put_uint(map, "large", UINT64_MAX);

    assert_null(sos_map_text(map, "absent"));
    assert_int_equal(sos_map_int(map, "text", 7), 7);
    assert_int_equal(sos_map_int(map, "large", 7), 7);
    assert_int_equal(sos_map_uint(map, "text", 8), 8);
    assert_true(sos_map_bool(map, "text", true));
    assert_null(sos_map_get(map, "text"));
    assert_int_equal(sos_map_type(map, "absent"), SOS_TYPE_NONE);
    assert_null(sos_map_text(NULL, "absent"));
    assert_int_equal(sos_map_count(NULL), 0);
    sos_map_free(&map);
}

static void
a_path_leads_through_maps_and_lists(void **state)
{
    (void)state;
    struct sos_map *map = sos_map_new();
    struct sos_map *items = sos_map_new_list();
    struct sos_map *item = sos_map_new();
    sos_map_put_text(item, "name", "first");
    sos_map_put_int(item, "a.b", 4);
    sos_map_put_map(items, NULL, &item);
    sos_map_put_int(items, NULL, 5);
    sos_map_put_map(map, "items", &items);
    sos_map_put_int(map, "dotted.key", 6);
    assert_null(items);

    struct sos_map *again = parsed(map);

    assert_string_equal(sos_map_text(again, "items.0.name"), "first");
    assert_int_equal(sos_map_int(again, "items.0.a.b", 0), 4);
    assert_int_equal(sos_map_int(again, "items.1", 0), 5);
    assert_int_equal(sos_map_int(again, "items.2", -1), -1);
    assert_int_equal(sos_map_int(again, "items.x", -1), -1);
    assert_int_equal(sos_map_int(again, "dotted.key", 0), 6);
    assert_null(sos_map_get(again, "items.1"));
    assert_int_equal(sos_map_count(sos_map_get(again, "items")), 2);
    assert_null(sos_map_key(sos_map_get(again, "items"), 0));
    sos_map_free(&map);
    sos_map_free(&again);
}

static void
a_key_that_is_put_again_replaces(void **state)
{
    (void)state;
    struct sos_map *map = sos_map_new();
    sos_map_put_text(map, "a", "long enough to be on the heap");
    sos_map_put_int(map, "b", 1);
    assert_int_equal(sos_map_payload(map).size > 0, 1);
    sos_map_put_int(map, "a", 2);

    struct sos_map *again = parsed(map);

    assert_int_equal(sos_map_count(again), 2);
    assert_int_equal(sos_map_int(again, "a", 0), 2);
    sos_map_free(&map);
    sos_map_free(&again);
}

static void
a_map_that_could_not_be_made_is_refused(void **state)
{
    (void)state;
    struct sos_map *map = sos_map_new();
    struct sos_map *again = NULL;
    struct sos_error error;
    sos_map_put_text(map, NULL, "no key");
    assert_int_equal(sos_map_parse(&again, sos_map_payload(map), &error), SOS_NOMEM);
    assert_non_null(strstr(error.message, "without a key"));
    sos_map_free(&map);

    map = sos_map_new();
    sos_map_put_payload(map, "broken", (struct sos_bytes){"\x81", 1});
    assert_int_equal(sos_map_parse(&again, sos_map_payload(map), &error), SOS_NOMEM);
    sos_map_free(&map);
}

static void
bytes_that_are_no_map_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {{"\x01", 1}, {"\x81\x01\x02", 3}, {"\x81\xa1", 2}, {"\x80\x80", 2}, {"\xc1", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sos_map *map = NULL;
        struct sos_error error = {0};
        int status = sos_map_parse(&map, (struct sos_bytes){cases[i].bytes, cases[i].size}, &error);
        assert_int_equal(status, SOS_INVALID);
        assert_int_equal(error.status, SOS_INVALID);
        assert_null(map);
    }
}

static void
nesting_is_bounded(void **state)
{
    (void)state;
    char deep[40];
    struct sos_map *map = NULL;
    memset(deep, '\x91', sizeof deep);
    deep[sizeof deep - 1] = '\x01';
    assert_int_equal(sos_map_parse(&map, (struct sos_bytes){deep, sizeof deep}, NULL), SOS_INVALID);
    assert_int_equal(sos_map_parse(&map, (struct sos_bytes){deep + 10, sizeof deep - 10}, NULL),
                     SOS_OK);
    sos_map_free(&map);
}

static void
an_empty_payload_is_an_empty_map(void **state)
{
    (void)state;
    struct sos_map *map = NULL;
    assert_int_equal(sos_map_parse(&map, (struct sos_bytes){0}, NULL), SOS_OK);
    assert_int_equal(sos_map_count(map), 0);
    sos_map_free(&map);
    struct sos_bytes nothing = sos_map_payload(NULL);
    assert_int_equal(nothing.size, 0);
}

static void
json_comes_in_and_goes_out(void **state)
{
    (void)state;
    static const char json[] =
        "{\"a\":[1,-2,3.5,true,null,\"x\\n\"],\"b\":{\"c\":9223372036854775807},\"d\":0.1}";
    struct sos_map *map = NULL;
    struct sos_error error;
    if (sos_map_from_json(&map, json, &error) != SOS_OK)
        fail_msg("%s", error.message);

    char *out = sos_map_to_json(map);

    assert_string_equal(out, json);
    assert_true(sos_map_int(map, "b.c", 0) == INT64_MAX);
    free(out);
    sos_map_free(&map);
}

static void
json_that_is_wrong_is_refused_with_its_place(void **state)
{
    (void)state;
    struct sos_map *map = NULL;
    struct sos_error error;
    assert_int_equal(sos_map_from_json(&map, "{\"a\": }", &error), SOS_INVALID);
    assert_non_null(strstr(error.message, "line 1"));
    assert_int_equal(sos_map_from_json(&map, "{\"a\":1,\"a\":2}", &error), SOS_INVALID);
    assert_int_equal(sos_map_from_json(&map, "", &error), SOS_INVALID);
    assert_int_equal(sos_map_from_json(&map, NULL, &error), SOS_INVALID);
    assert_int_equal(sos_map_from_json(&map, "7", &error), SOS_INVALID);

    char deep[200] = {0};
    memset(deep, '[', 40);
    memset(deep + 40, ']', 40);
    assert_int_equal(sos_map_from_json(&map, deep, &error), SOS_INVALID);
    assert_non_null(strstr(error.message, "deeper"));
}

static void
any_json_value_is_a_payload(void **state)
{
    (void)state;
    struct sos_bytes payload = {0};
    char *json = NULL;
    assert_int_equal(sos_json_to_payload("[\"x\", 1e300]", &payload, NULL), SOS_OK);
    assert_int_equal(sos_payload_to_json(payload, &json, NULL), SOS_OK);
    assert_string_equal(json, "[\"x\",1e+300]");
    free(json);
    sos_bytes_free(&payload);
    assert_int_equal(sos_payload_to_json((struct sos_bytes){0}, &json, NULL), SOS_OK);
    assert_string_equal(json, "null");
    free(json);
    assert_int_equal(sos_payload_to_json((struct sos_bytes){"\xc1", 1}, &json, NULL), SOS_INVALID);
}

static void
ids_are_read_as_they_are_written(void **state)
{
    (void)state;
    struct sos_id id = {{1, 2, 3}};
    struct sos_id again = {{0}};
    char text[SOS_ID_TEXT_SIZE];
    sos_id_text(&id, text);
    assert_string_equal(text, "01020300-0000-0000-0000-000000000000");
    assert_true(sos_id_parse(text, &again));
    assert_memory_equal(&id, &again, sizeof id);
    assert_false(sos_id_parse("nonsense", &again));
    assert_false(sos_id_parse(NULL, &again));
    assert_false(sos_id_is_none(&id));
    assert_true(sos_id_is_none(&(struct sos_id){{0}}));
}

static void
every_status_has_the_same_number_on_the_wire(void **state)
{
    (void)state;
    static const int numbers[] = {
#define STATUS_NUMBER(id, code, http, word, text) (code),
        STATUS_MAP(STATUS_NUMBER)
#undef STATUS_NUMBER
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_string_equal(sos_status_word(numbers[i]),
                            status_word(status_from_code((uint64_t)numbers[i])));
    assert_int_equal(SOS_UNKNOWN_OUTCOME, STATUS_UNKNOWN_OUTCOME);
    assert_int_equal(SOS_VERSION_UNSUPPORTED, STATUS_VERSION);
    assert_int_equal(SOS_SANDBOX_ERROR, STATUS_SANDBOX_ERROR);
    assert_int_equal(SOS_QUOTA_EXCEEDED, STATUS_QUOTA_EXCEEDED);
    assert_string_equal(sos_status_word(4711), "unknown");
    assert_string_equal(sos_status_word(-1), "unknown");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_got_after_packing),
        cmocka_unit_test(absent_and_other_types_give_the_fallback),
        cmocka_unit_test(a_path_leads_through_maps_and_lists),
        cmocka_unit_test(a_key_that_is_put_again_replaces),
        cmocka_unit_test(a_map_that_could_not_be_made_is_refused),
        cmocka_unit_test(bytes_that_are_no_map_are_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(an_empty_payload_is_an_empty_map),
        cmocka_unit_test(json_comes_in_and_goes_out),
        cmocka_unit_test(json_that_is_wrong_is_refused_with_its_place),
        cmocka_unit_test(any_json_value_is_a_payload),
        cmocka_unit_test(ids_are_read_as_they_are_written),
        cmocka_unit_test(every_status_has_the_same_number_on_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
