/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "contracts/engine.h"
#include "contracts/identity.h"
#include "contracts/memory.h"
#include "kernel/contract.h"

/* Kinds of field that no contract uses yet. */
enum {
    PROBE_TOKEN,
    PROBE_AMOUNT,
    PROBE_AT,
    PROBE_PATTERN,
    PROBE_COUNTS,
    PROBE_ANYTHING,
    PROBE_FREE,
    PROBE_FIELDS
};

static const struct field probe_fields[PROBE_FIELDS] = {
    [PROBE_TOKEN] = {.name = "token",
                     .type = FIELD_STRING,
                     .flags = FIELD_NULLABLE | FIELD_SECRET,
                     .size_min = 4,
                     .size_max = 8},
    [PROBE_AMOUNT] = {.name = "amount",
                      .type = FIELD_AMOUNT,
                      .flags = FIELD_NULLABLE,
                      .min = INT64_MIN,
                      .max = INT64_MAX},
    [PROBE_AT] = {.name = "at",
                  .type = FIELD_TIMESTAMP,
                  .flags = FIELD_NULLABLE,
                  .size_min = 1,
                  .size_max = 64},
    [PROBE_PATTERN] = {.name = "pattern",
                       .type = FIELD_GLOB,
                       .flags = FIELD_NULLABLE,
                       .size_min = 1,
                       .size_max = 255},
    [PROBE_COUNTS] = {.name = "counts",
                      .type = FIELD_LIST,
                      .item = FIELD_INTEGER,
                      .flags = FIELD_NULLABLE,
                      .size_max = 3},
    [PROBE_ANYTHING] = {.name = "anything", .type = FIELD_ANY, .flags = FIELD_NULLABLE},
    [PROBE_FREE] = {.name = "free",
                    .type = FIELD_NUMBER,
                    .flags = FIELD_NULLABLE,
                    .number_min = -INFINITY,
                    .number_max = 1e300},
};
static const struct operation probe = {.service = "probe",
                                       .name = "probe",
                                       .type = "probe",
                                       .timeout_ms = 1000,
                                       .fields = probe_fields,
                                       .field_count = PROBE_FIELDS,
                                       .capability_action = "file:read",
                                       .capability_resource =
                                           "file:{pattern}/{at}/{nobody}{amount}"};

struct fixture {
    struct buffer payload;
    struct arguments arguments;
    struct error error;
};

static int
set_up(void **state)
{
    static struct fixture fixture;

    buffer_init(&fixture.payload);
    fixture.error = ERROR_INIT;
    *state = &fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;

    buffer_clear(&fixture->payload);
    return 0;
}

static const struct operation *
store(void)
{
    return &memory_contract.operations[OP_MEMORY_STORE];
}

static const struct operation *
search(void)
{
    return &memory_contract.operations[OP_MEMORY_SEARCH];
}

/* Begins a store request of `more` fields besides the two that are required. */
static struct buffer *
begin_store(struct fixture *fixture, uint32_t more)
{
    pack_map(&fixture->payload, 2 + more);
    pack_pair_string(&fixture->payload, "content", "My cat is called Pishi");
    pack_pair_string(&fixture->payload, "agent_id", "agent:kasra");
    return &fixture->payload;
}

static enum status
validate(struct fixture *fixture, const struct operation *operation)
{
    return contract_validate(operation, buffer_bytes(&fixture->payload), &fixture->arguments,
                             &fixture->error);
}

static void
assert_refused(struct fixture *fixture, const struct operation *operation, const char *field,
               const char *message)
{
    assert_int_equal(validate(fixture, operation), STATUS_VALIDATION);
    assert_string_equal(fixture->error.field, field);
    assert_string_equal(fixture->error.message, message);
}

static void
assert_text(struct text text, const char *expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void
a_request_with_only_the_required_fields_gets_the_defaults(void **state)
{
    struct fixture *fixture = *state;
    begin_store(fixture, 0);

    assert_int_equal(validate(fixture, store()), STATUS_OK);

    assert_text(arguments_text(&fixture->arguments, MEMORY_STORE_AGENT_ID), "agent:kasra");
    assert_text(arguments_text(&fixture->arguments, MEMORY_STORE_MEMORY_TYPE), "engram");
    assert_true(fabs(arguments_number(&fixture->arguments, MEMORY_STORE_IMPORTANCE) - 0.5) < 1e-9);
    assert_false(arguments_has(&fixture->arguments, MEMORY_STORE_METADATA));
    assert_ptr_equal(fixture->arguments.operation, store());
    assert_int_equal(fixture->arguments.map.as.count, 2);
}

static void
an_integer_is_a_number(void **state)
{
    struct fixture *fixture = *state;
    pack_pair_uint(begin_store(fixture, 1), "importance", 1);

    assert_int_equal(validate(fixture, store()), STATUS_OK);

    assert_true(fabs(arguments_number(&fixture->arguments, MEMORY_STORE_IMPORTANCE) - 1.0) < 1e-9);
}

static void
a_text_for_a_number_is_refused_with_what_came_and_what_was_expected(void **state)
{
    struct fixture *fixture = *state;
    pack_pair_string(begin_store(fixture, 1), "importance", "high");

    assert_refused(fixture, store(), "importance",
                   "importance: came \"high\" (text), expected a number from 0 to 1");
}

static void
a_missing_field_is_named(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_pair_string(&fixture->payload, "agent_id", "agent:kasra");

    assert_refused(fixture, &engine_contract.operations[OP_ENGINE_CHAT], "message",
                   "message: missing, expected text of 1 to 65536 bytes");
}

static void
no_payload_counts_as_an_empty_map(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(validate(fixture, &engine_contract.operations[OP_ENGINE_MODELS]), STATUS_OK);
    assert_refused(fixture, search(), "query", "query: missing, expected text of 1 to 8192 bytes");
}

static void
null_for_an_optional_field_counts_as_absent(void **state)
{
    struct fixture *fixture = *state;
    begin_store(fixture, 2);
    pack_pair_nil(&fixture->payload, "metadata");
    pack_pair_nil(&fixture->payload, "memory_type");

    assert_int_equal(validate(fixture, store()), STATUS_OK);

    assert_false(arguments_has(&fixture->arguments, MEMORY_STORE_METADATA));
    assert_text(arguments_text(&fixture->arguments, MEMORY_STORE_MEMORY_TYPE), "engram");
}

static void
null_for_a_required_field_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_pair_nil(&fixture->payload, "query");

    assert_refused(fixture, search(), "query",
                   "query: came null, expected text of 1 to 8192 bytes");
}

static void
unknown_fields_are_ignored(void **state)
{
    struct fixture *fixture = *state;
    begin_store(fixture, 2);
    pack_pair_bool(&fixture->payload, "colour", true);
    pack_uint(&fixture->payload, 7);
    pack_nil(&fixture->payload);

    assert_int_equal(validate(fixture, store()), STATUS_OK);
}

static void
of_duplicate_keys_the_first_counts(void **state)
{
    struct fixture *fixture = *state;
    begin_store(fixture, 1);
    pack_pair_uint(&fixture->payload, "agent_id", 9);

    assert_int_equal(validate(fixture, store()), STATUS_OK);

    assert_text(arguments_text(&fixture->arguments, MEMORY_STORE_AGENT_ID), "agent:kasra");
}

static void
a_whole_number_does_not_come_as_a_floating_point_number(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 2);
    pack_pair_string(&fixture->payload, "query", "cat");
    pack_pair_double(&fixture->payload, "limit", 3.0);

    assert_refused(fixture, search(), "limit",
                   "limit: came 3.0 (number), expected a whole number from 1 to 100");
}

static void
a_whole_number_beyond_its_bounds_or_64_bits_is_refused(void **state)
{
    static const struct {
        uint64_t value;
        const char *message;
    } rows[] = {
        {0, "limit: came 0 (number), expected a whole number from 1 to 100"},
        {101, "limit: came 101 (number), expected a whole number from 1 to 100"},
        {UINT64_MAX,
         "limit: came 18446744073709551615 (number), expected a whole number from 1 to 100"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buffer_reset(&fixture->payload);
        pack_map(&fixture->payload, 2);
        pack_pair_string(&fixture->payload, "query", "cat");
        pack_pair_uint(&fixture->payload, "limit", rows[i].value);
        assert_refused(fixture, search(), "limit", rows[i].message);
    }
}

static void
a_number_beyond_its_bounds_or_not_finite_is_refused(void **state)
{
    static const double values[] = {1.0000000000000002, -0.1, INFINITY, -INFINITY, NAN};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        buffer_reset(&fixture->payload);
        pack_pair_double(begin_store(fixture, 1), "importance", values[i]);
        assert_int_equal(validate(fixture, store()), STATUS_VALIDATION);
        assert_string_equal(fixture->error.field, "importance");
    }
}

static void
infinity_is_no_number_even_where_no_bound_excludes_it(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_pair_double(&fixture->payload, "free", -INFINITY);

    assert_int_equal(validate(fixture, &probe), STATUS_VALIDATION);
}

static void
a_text_outside_its_list_of_words_is_refused_with_the_list(void **state)
{
    struct fixture *fixture = *state;
    pack_pair_string(begin_store(fixture, 1), "memory_type", "dream");

    assert_refused(fixture, store(), "memory_type",
                   "memory_type: came \"dream\" (text), expected one of engram, fact, episode, "
                   "skill, context");
}

static void
an_entry_of_a_list_is_named_by_its_place(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 2);
    pack_pair_string(&fixture->payload, "query", "cat");
    pack_string(&fixture->payload, "memory_types");
    pack_array(&fixture->payload, 2);
    pack_string(&fixture->payload, "fact");
    pack_string(&fixture->payload, "dream");

    assert_refused(fixture, search(), "memory_types",
                   "memory_types: came \"dream\" (text) as entry 1, expected one of engram, fact, "
                   "episode, skill, context");
}

static void
a_list_of_too_many_or_of_the_wrong_kind_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_string(&fixture->payload, "counts");
    pack_array(&fixture->payload, 4);
    for (unsigned i = 0; i < 4; i++)
        pack_uint(&fixture->payload, i);

    assert_refused(fixture, &probe, "counts",
                   "counts: came a list of 4, expected a list of at most 3 whole numbers");

    buffer_reset(&fixture->payload);
    pack_map(&fixture->payload, 1);
    pack_string(&fixture->payload, "counts");
    pack_array(&fixture->payload, 1);
    pack_bool(&fixture->payload, true);

    assert_refused(
        fixture, &probe, "counts",
        "counts: came true (boolean) as entry 0, expected a list of at most 3 whole numbers");
}

static void
a_long_text_is_cut_in_the_message(void **state)
{
    struct fixture *fixture = *state;
    char content[300];
    memset(content, 'a', sizeof content);
    pack_map(&fixture->payload, 2);
    pack_pair_string(&fixture->payload, "content", "x");
    pack_pair_text(&fixture->payload, "agent_id", (struct text){content, sizeof content});

    assert_refused(
        fixture, store(), "agent_id",
        "agent_id: came \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…\" (text of 300 bytes), "
        "expected an identity of 1 to 255 bytes without control characters");
}

static void
an_identity_has_no_control_characters(void **state)
{
    static const char *const identities[] = {"agent:\n", "agent:\x7f", "agent:\xc2\x85", ""};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++) {
        buffer_reset(&fixture->payload);
        pack_map(&fixture->payload, 2);
        pack_pair_string(&fixture->payload, "content", "x");
        pack_pair_string(&fixture->payload, "agent_id", identities[i]);
        assert_int_equal(validate(fixture, store()), STATUS_VALIDATION);
        for (const char *at = fixture->error.message; *at; at++)
            assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
    }
}

static void
an_identity_of_any_words_is_kept_as_given(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 2);
    pack_pair_string(&fixture->payload, "content", "x");
    pack_pair_string(&fixture->payload, "agent_id", "treasury éàß");

    assert_int_equal(validate(fixture, store()), STATUS_OK);

    assert_text(arguments_text(&fixture->arguments, MEMORY_STORE_AGENT_ID), "treasury éàß");
}

static void
text_that_is_not_utf8_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_pair_string(&fixture->payload, "query", "\xff\xfe");

    assert_refused(fixture, search(), "query",
                   "query: came text that is not UTF-8, expected text of 1 to 8192 bytes");
}

static void
a_map_holds_only_what_json_can(void **state)
{
    struct fixture *fixture = *state;
    pack_string(begin_store(fixture, 1), "metadata");
    pack_map(&fixture->payload, 1);
    pack_string(&fixture->payload, "inner");
    pack_array(&fixture->payload, 1);
    pack_bin(&fixture->payload, "\1\2", 2);

    assert_refused(fixture, store(), "metadata",
                   "metadata: came a map with a value that JSON cannot hold, expected a map of at "
                   "most 64 entries");

    buffer_reset(&fixture->payload);
    pack_string(begin_store(fixture, 1), "metadata");
    pack_map(&fixture->payload, 1);
    pack_uint(&fixture->payload, 1);
    pack_string(&fixture->payload, "a key that is no text");

    assert_int_equal(validate(fixture, store()), STATUS_VALIDATION);
}

static void
a_map_of_too_many_entries_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pack_string(begin_store(fixture, 1), "metadata");
    pack_map(&fixture->payload, 65);
    for (unsigned i = 0; i < 65; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%u", i);
        pack_pair_uint(&fixture->payload, key, i);
    }

    assert_refused(fixture, store(), "metadata",
                   "metadata: came a map of 65, expected a map of at most 64 entries");
}

static void
an_id_of_a_foreign_form_is_not_ill_typed(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_pair_string(&fixture->payload, "id", "no uuid at all");

    assert_int_equal(validate(fixture, &memory_contract.operations[OP_MEMORY_GET]), STATUS_OK);
    assert_false(arguments_boolean(&fixture->arguments, MEMORY_GET_EMBEDDING));
}

static void
a_key_has_its_exact_size(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 2);
    pack_pair_string(&fixture->payload, "agent_id", "agent:kasra");
    pack_pair_string(&fixture->payload, "curve_public_key", "short");

    assert_refused(fixture, &identity_contract.operations[OP_IDENTITY_REGISTER], "curve_public_key",
                   "curve_public_key: came \"short\" (text), expected text of 40 bytes");
}

static void
a_secret_is_never_shown(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_pair_string(&fixture->payload, "token", "hunter2hunter2");

    assert_refused(fixture, &probe, "token",
                   "token: came a hidden text, expected text of 4 to 8 bytes");

    buffer_reset(&fixture->payload);
    pack_map(&fixture->payload, 1);
    pack_pair_uint(&fixture->payload, "token", 4711);

    assert_refused(fixture, &probe, "token",
                   "token: came a hidden number, expected text of 4 to 8 bytes");
}

static void
an_amount_spans_64_bits(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_pair_int(&fixture->payload, "amount", INT64_MIN);

    assert_int_equal(validate(fixture, &probe), STATUS_OK);
    assert_true(arguments_integer(&fixture->arguments, PROBE_AMOUNT) == INT64_MIN);

    buffer_reset(&fixture->payload);
    pack_map(&fixture->payload, 1);
    pack_pair_uint(&fixture->payload, "amount", (uint64_t)INT64_MAX + 1);

    assert_refused(
        fixture, &probe, "amount",
        "amount: came 9223372036854775808 (number), expected a whole number of microMIND");
}

static void
a_time_has_to_be_one(void **state)
{
    struct fixture *fixture = *state;
    pack_map(&fixture->payload, 1);
    pack_pair_string(&fixture->payload, "at", "yesterday");

    assert_refused(fixture, &probe, "at",
                   "at: came \"yesterday\" (text), expected a time like 2026-01-02T03:04:05Z");

    buffer_reset(&fixture->payload);
    pack_map(&fixture->payload, 1);
    pack_pair_string(&fixture->payload, "at", "2026-01-02T03:04:05.678Z");

    assert_int_equal(validate(fixture, &probe), STATUS_OK);
}

static void
a_payload_that_is_no_map_or_no_msgpack_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pack_array(&fixture->payload, 0);

    assert_refused(fixture, store(), "body", "body: came no map, expected a map of fields");

    buffer_reset(&fixture->payload);
    buffer_append_byte(&fixture->payload, 0x81);

    assert_int_equal(validate(fixture, store()), STATUS_INVALID);
}

static void
a_refusal_leaves_the_arguments_as_they_were(void **state)
{
    struct fixture *fixture = *state;
    memset(&fixture->arguments, 0x5a, sizeof fixture->arguments);
    struct arguments before = fixture->arguments;

    assert_int_equal(validate(fixture, store()), STATUS_VALIDATION);

    assert_memory_equal(&before, &fixture->arguments, sizeof before);
}

static void
absent_fields_read_as_nothing(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(validate(fixture, &probe), STATUS_OK);

    assert_text(arguments_text(&fixture->arguments, PROBE_PATTERN), "");
    assert_true(arguments_integer(&fixture->arguments, PROBE_AMOUNT) == 0);
    assert_true(fabs(arguments_number(&fixture->arguments, PROBE_FREE)) < 1e-9);
}

static void
the_resource_takes_the_place_of_the_fields_it_names(void **state)
{
    struct fixture *fixture = *state;
    struct buffer resource;
    buffer_init(&resource);
    begin_store(fixture, 0);
    assert_int_equal(validate(fixture, store()), STATUS_OK);

    contract_resource(store(), &fixture->arguments, &resource);

    assert_text(buffer_text(&resource), "memory:agent:kasra/new");
    buffer_clear(&resource);
}

static void
a_field_that_is_absent_leaves_nothing_in_the_resource(void **state)
{
    struct fixture *fixture = *state;
    struct buffer resource;
    buffer_init(&resource);
    pack_map(&fixture->payload, 1);
    pack_pair_string(&fixture->payload, "pattern", "{at}");
    assert_int_equal(validate(fixture, &probe), STATUS_OK);

    contract_resource(&probe, &fixture->arguments, &resource);

    /* The value is not read as a template again. */
    assert_text(buffer_text(&resource), "file:{at}//");
    buffer_clear(&resource);
}

static void
contracts_and_operations_are_found_by_name_and_type(void **state)
{
    (void)state;

    const struct contract *contract = contract_find(text_of("memory"));

    assert_ptr_equal(contract, &memory_contract);
    assert_null(contract_find(text_of("memor")));
    assert_ptr_equal(contract_operation(contract, text_of("memory_query")), search());
    assert_null(contract_operation(contract, text_of("search")));
    assert_string_equal(door_word(DOOR_VOICE), "voice");
}

static void
every_operation_knows_its_place_and_its_defaults_are_valid(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; contracts[i]; i++)
        for (unsigned j = 0; j < contracts[i]->operation_count; j++) {
            const struct operation *operation = &contracts[i]->operations[j];
            assert_int_equal(operation->index, j);
            assert_true(operation->timeout_ms > 0);
            assert_string_equal(operation->service, contracts[i]->service);
            for (size_t k = 0; k < operation->field_count; k++) {
                struct value value;
                if (operation->fields[k].fallback.size == 0)
                    continue;
                assert_true(value_parse(operation->fields[k].fallback, &value));
                buffer_reset(&fixture->payload);
                pack_map(&fixture->payload, 1);
                pack_pair_raw(&fixture->payload, operation->fields[k].name,
                              operation->fields[k].fallback);
                fixture->error = ERROR_INIT;
                (void)validate(fixture, operation);
                assert_string_not_equal(fixture->error.field, operation->fields[k].name);
            }
        }
}

static void
the_document_is_embedded_whole(void **state)
{
    (void)state;

    assert_int_equal(strlen(contract_openapi_json), contract_openapi_json_size);
    assert_non_null(strstr(contract_openapi_json, "\"memory_store\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_with_only_the_required_fields_gets_the_defaults),
        TEST(an_integer_is_a_number),
        TEST(a_text_for_a_number_is_refused_with_what_came_and_what_was_expected),
        TEST(a_missing_field_is_named),
        TEST(no_payload_counts_as_an_empty_map),
        TEST(null_for_an_optional_field_counts_as_absent),
        TEST(null_for_a_required_field_is_refused),
        TEST(unknown_fields_are_ignored),
        TEST(of_duplicate_keys_the_first_counts),
        TEST(a_whole_number_does_not_come_as_a_floating_point_number),
        TEST(a_whole_number_beyond_its_bounds_or_64_bits_is_refused),
        TEST(a_number_beyond_its_bounds_or_not_finite_is_refused),
        TEST(infinity_is_no_number_even_where_no_bound_excludes_it),
        TEST(a_text_outside_its_list_of_words_is_refused_with_the_list),
        TEST(an_entry_of_a_list_is_named_by_its_place),
        TEST(a_list_of_too_many_or_of_the_wrong_kind_is_refused),
        TEST(a_long_text_is_cut_in_the_message),
        TEST(an_identity_has_no_control_characters),
        TEST(an_identity_of_any_words_is_kept_as_given),
        TEST(text_that_is_not_utf8_is_refused),
        TEST(a_map_holds_only_what_json_can),
        TEST(a_map_of_too_many_entries_is_refused),
        TEST(an_id_of_a_foreign_form_is_not_ill_typed),
        TEST(a_key_has_its_exact_size),
        TEST(a_secret_is_never_shown),
        TEST(an_amount_spans_64_bits),
        TEST(a_time_has_to_be_one),
        TEST(a_payload_that_is_no_map_or_no_msgpack_is_refused),
        TEST(a_refusal_leaves_the_arguments_as_they_were),
        TEST(absent_fields_read_as_nothing),
        TEST(the_resource_takes_the_place_of_the_fields_it_names),
        TEST(a_field_that_is_absent_leaves_nothing_in_the_resource),
        TEST(contracts_and_operations_are_found_by_name_and_type),
        TEST(every_operation_knows_its_place_and_its_defaults_are_valid),
        TEST(the_document_is_embedded_whole),
    };

    return cmocka_run_group_tests_name("contract", tests, NULL, NULL);
}
