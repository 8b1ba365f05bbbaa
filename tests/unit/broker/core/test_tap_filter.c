/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/core/tap_filter.h"

static const uint8_t trace[] = "0123456789abcdef";

static struct tap_header
reply(uint32_t status)
{
    return (struct tap_header){.kind = text_of("reply"),
                               .source = text_of("service:memory"),
                               .target = text_of("agent:kasra"),
                               .type = text_of("memory_store"),
                               .verdict = text_of("forwarded"),
                               .trace = {trace, TRACE_ID_SIZE},
                               .has_status = true,
                               .status = status};
}

static bool
matches(struct tap_query query, const struct tap_header *header)
{
    struct tap_filter *filter = NULL;
    assert_int_equal(tap_filter_new(&filter, &query, NULL), STATUS_OK);
    bool result = tap_filter_matches(filter, header);
    tap_filter_destroy(&filter);
    return result;
}

static void
the_line_has_a_word_for_each_part(void **state)
{
    (void)state;
    struct buffer line;
    struct tap_header header = reply(STATUS_OK);
    struct tap_header failed = reply(STATUS_TIMEOUT);
    struct tap_header empty = {.has_status = false};
    buffer_init(&line);
    tap_line(&header, &line);
    buffer_append_byte(&line, '|');
    tap_line(&failed, &line);
    buffer_append_byte(&line, '|');
    tap_line(&empty, &line);
    buffer_append_byte(&line, '\0');
    assert_string_equal((char *)line.data,
                        "reply service:memory agent:kasra memory_store ok forwarded|"
                        "reply service:memory agent:kasra memory_store 1004 forwarded|"
                        "- - - - - -");
    buffer_clear(&line);
}

static void
statuses_are_good_bad_or_a_number(void **state)
{
    (void)state;
    struct tap_header good = reply(STATUS_OK);
    struct tap_header bad = reply(STATUS_TIMEOUT);
    struct tap_header request = {.kind = text_of("request")};
    assert_true(matches((struct tap_query){.status = text_of("ok")}, &good));
    assert_false(matches((struct tap_query){.status = text_of("ok")}, &bad));
    assert_true(matches((struct tap_query){.status = text_of("error")}, &bad));
    assert_false(matches((struct tap_query){.status = text_of("error")}, &good));
    assert_true(matches((struct tap_query){.status = text_of("1004")}, &bad));
    assert_false(matches((struct tap_query){.status = text_of("1003")}, &bad));
    assert_true(matches((struct tap_query){.status = text_of("0")}, &good));
    assert_false(matches((struct tap_query){.status = text_of("ok")}, &request));
}

static void
all_parts_have_to_match(void **state)
{
    (void)state;
    struct tap_header header = reply(STATUS_OK);
    struct tap_query query = {.source = text_of("service:*"),
                              .target = text_of("agent:kasra"),
                              .type = text_of("memory_*"),
                              .kind = text_of("reply"),
                              .verdict = text_of("forw*"),
                              .status = text_of("ok"),
                              .trace = text_of("30313233343536373839616263646566"),
                              .header = text_of("memory_store ok")};
    assert_true(matches(query, &header));
    struct text *const parts[] = {&query.source, &query.target,  &query.type,
                                  &query.kind,   &query.verdict, &query.header};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct text before = *parts[i];
        *parts[i] = text_of("other");
        assert_false(matches(query, &header));
        *parts[i] = before;
    }
    query.trace = text_of("ffffffffffffffffffffffffffffffff");
    assert_false(matches(query, &header));
}

static void
what_cannot_be_right_names_its_part(void **state)
{
    (void)state;
    char long_pattern[TAP_PATTERN_MAX + 2];
    memset(long_pattern, 'x', sizeof long_pattern - 1);
    long_pattern[sizeof long_pattern - 1] = '\0';
    const struct {
        struct tap_query query;
        const char *field;
    } rows[] = {
        {{.status = text_of("fine")}, "status"},
        {{.status = text_of("-1")}, "status"},
        {{.status = text_of("1234567890")}, "status"},
        {{.trace = text_of("0123")}, "trace"},
        {{.trace = text_of("zz313233343536373839616263646566")}, "trace"},
        {{.header = text_of("(")}, "header"},
        {{.header = text_of(long_pattern)}, "header"},
        {{.type = text_of(long_pattern)}, "type"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tap_filter *filter = NULL;
        struct error error = ERROR_INIT;
        assert_int_equal(tap_filter_new(&filter, &rows[i].query, &error), STATUS_INVALID);
        assert_null(filter);
        assert_string_equal(error.field, rows[i].field);
        assert_string_equal(error.word, "bad_filter");
    }
}

static struct text
any_of(unsigned *seed, const char *const *words, size_t count)
{
    return text_of(words[(size_t)rand_r(seed) % count]);
}

/* Whatever the filter lets pass, the sieve lets pass. */
static void
the_sieve_never_keeps_back_what_the_filter_wants(void **state)
{
    (void)state;
    static const char *const patterns[] = {"",  "",     "a",  "b",       "*",
                                           "?", "[ab]", "a*", "request", "re*"};
    static const char *const words[] = {"", "a", "b", "ab", "request", "reply"};
    static const char *const statuses[] = {"", "", "ok", "error", "0", "7"};
    unsigned seed = 3;
    size_t passed = 0;
    for (int i = 0; i < 20000; i++) {
        struct tap_query query = {.source = any_of(&seed, patterns, 10),
                                  .target = any_of(&seed, patterns, 10),
                                  .type = any_of(&seed, patterns, 10),
                                  .kind = any_of(&seed, patterns, 10),
                                  .status = any_of(&seed, statuses, 6)};
        enum kind kind = (enum kind)(rand_r(&seed) % (KIND_ERROR + 1));
        struct tap_header header = {.kind = kind ? text_of(kind_word(kind)) : text_of(""),
                                    .source = any_of(&seed, words, 6),
                                    .target = any_of(&seed, words, 6),
                                    .type = any_of(&seed, words, 6),
                                    .has_status = kind == KIND_REPLY || kind == KIND_ERROR,
                                    .status = (uint32_t)(rand_r(&seed) % 2) * 7};
        struct tap_filter *filter = NULL;
        assert_int_equal(tap_filter_new(&filter, &query, NULL), STATUS_OK);
        if (tap_filter_matches(filter, &header)) {
            passed++;
            assert_true(tap_sieve_passes(tap_filter_sieve(filter), kind, header.source,
                                         header.target, header.type, header.trace));
        }
        tap_filter_destroy(&filter);
    }
    assert_true(passed > 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_has_a_word_for_each_part),
        cmocka_unit_test(statuses_are_good_bad_or_a_number),
        cmocka_unit_test(all_parts_have_to_match),
        cmocka_unit_test(what_cannot_be_right_names_its_part),
        cmocka_unit_test(the_sieve_never_keeps_back_what_the_filter_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
