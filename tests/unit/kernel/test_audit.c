/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "kernel/audit.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static const uint64_t MOMENT = 1767225600000001;

static void
format(const char *event, struct buffer *members)
{
    const struct audit_entry entry = {.event = event, .outcome = "ok"};
    buffer_reset(members);
    audit_format(&entry, MOMENT, members);
}

/* Three lines, without their newlines. */
struct lines {
    struct buffer text[3];
    struct audit_link links[3]; /* behind each */
};

static int
setup(void **state)
{
    struct lines *lines = calloc(1, sizeof *lines);
    struct audit_link link = {0};
    struct buffer members;
    buffer_init(&members);
    for (size_t i = 0; i < 3; i++) {
        char event[16];
        snprintf(event, sizeof event, "event.%zu", i);
        format(event, &members);
        audit_chain(&link, i + 1, buffer_text(&members), &lines->text[i]);
        assert_false(lines->text[i].failed);
        lines->text[i].size--;
        lines->links[i] = link;
    }
    buffer_clear(&members);
    *state = lines;
    return 0;
}

static int
teardown(void **state)
{
    struct lines *lines = *state;
    for (size_t i = 0; i < 3; i++)
        buffer_clear(&lines->text[i]);
    free(lines);
    return 0;
}

static struct text
line_of(const struct lines *lines, size_t index)
{
    return buffer_text(&lines->text[index]);
}

static void
members_are_all_there_and_escape_what_others_chose(void **state)
{
    (void)state;
    struct buffer members;
    buffer_init(&members);
    struct audit_entry entry = {.event = "tap.started",
                                .actor = text_of("user:operator"),
                                .action = text_of("bus:tap"),
                                .trace = {(const uint8_t *)"0123456789abcdefSPAN-ID8", 24},
                                .outcome = "ok",
                                .detail = text_of("a \"quote\"\nand a line\xff")};
    audit_format(&entry, MOMENT, &members);
    buffer_append_byte(&members, '\0');
    assert_string_equal(
        (char *)members.data,
        "\"ts\":\"2026-01-01T00:00:00.000001Z\",\"event\":\"tap.started\",\"actor\":\"user:"
        "operator\",\"subject\":null,\"action\":\"bus:tap\",\"resource\":null,\"capability_id\":"
        "null,\"trace_id\":\"30313233343536373839616263646566\",\"outcome\":\"ok\",\"detail\":\"a "
        "\\\"quote\\\"\\nand a line\xef\xbf\xbd\"");
    buffer_clear(&members);
}

/* The bytes that docs/SECURITY.md names, hashed here by hand. */
static void
the_hash_is_the_sha256_of_the_line_up_to_it(void **state)
{
    (void)state;
    struct audit_link link = {0};
    struct buffer members, line, expected;
    uint8_t hash[32];
    char hex[65];
    buffer_init(&members);
    buffer_init(&line);
    buffer_init(&expected);
    format("x", &members);
    audit_chain(&link, 7, buffer_text(&members), &line);
    buffer_append_string(&expected, "{\"seq\":7,\"prev\":\"" ZEROS "\",");
    buffer_append_text(&expected, buffer_text(&members));
    crypto_hash_sha256(hash, expected.data, expected.size);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    buffer_append_format(&expected, ",\"hash\":\"%s\"}\n", hex);
    assert_int_equal(line.size, expected.size);
    assert_memory_equal(line.data, expected.data, expected.size);
    assert_int_equal(link.seq, 7);
    assert_memory_equal(link.hash.bytes, hash, sizeof hash);
    buffer_clear(&members);
    buffer_clear(&line);
    buffer_clear(&expected);
}

static void
lines_that_follow_each_other_are_good(void **state)
{
    struct lines *lines = *state;
    struct audit_link former = {0};
    for (size_t i = 0; i < 3; i++) {
        struct audit_line line;
        assert_int_equal(audit_check(line_of(lines, i), &former, &line), AUDIT_LINE_GOOD);
        assert_true(audit_hash_equal(&line.prev, &former.hash));
        assert_memory_equal(&line.link.hash, &lines->links[i].hash, AUDIT_HASH_SIZE);
        former = line.link;
    }
}

static void
every_altered_byte_is_found(void **state)
{
    struct lines *lines = *state;
    struct buffer *text = &lines->text[1];
    for (size_t i = 0; i < text->size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct audit_line line;
            text->data[i] ^= (uint8_t)(1u << bit);
            assert_int_not_equal(audit_check(buffer_text(text), &lines->links[0], &line),
                                 AUDIT_LINE_GOOD);
            text->data[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void
a_line_cut_or_made_longer_anywhere_is_found(void **state)
{
    struct lines *lines = *state;
    struct text whole = line_of(lines, 1);
    struct audit_line line;
    for (size_t size = 0; size < whole.size; size++)
        assert_int_not_equal(audit_check((struct text){whole.data, size}, &lines->links[0], &line),
                             AUDIT_LINE_GOOD);
    buffer_append_string(&lines->text[1], " ");
    assert_int_equal(audit_check(line_of(lines, 1), &lines->links[0], &line), AUDIT_LINE_FOREIGN);
}

static void
a_line_out_of_its_place_is_found(void **state)
{
    struct lines *lines = *state;
    struct audit_line line;
    const struct audit_link begin = {0};
    assert_int_equal(audit_check(line_of(lines, 2), &lines->links[0], &line),
                     AUDIT_LINE_MISPLACED); /* the second was removed */
    assert_int_equal(audit_check(line_of(lines, 0), &lines->links[2], &line), AUDIT_LINE_MISPLACED);
    assert_int_equal(audit_check(line_of(lines, 1), &lines->links[1], &line),
                     AUDIT_LINE_MISPLACED); /* it stands there twice */
    assert_int_equal(audit_check(line_of(lines, 1), &begin, &line), AUDIT_LINE_MISPLACED);
    assert_int_equal(audit_check(line_of(lines, 2), NULL, &line), AUDIT_LINE_GOOD);
}

static void
a_number_that_goes_down_is_found(void **state)
{
    struct lines *lines = *state;
    struct audit_line line;
    struct audit_link former = lines->links[1];
    former.seq = 4;
    assert_int_equal(audit_check(line_of(lines, 2), &former, &line), AUDIT_LINE_MISPLACED);
    former.seq = 3;
    assert_int_equal(audit_check(line_of(lines, 2), &former, &line), AUDIT_LINE_GOOD);
}

static void
what_is_no_line_of_a_trail_is_foreign(void **state)
{
    (void)state;
    static const char *const foreign[] = {
        "",
        "{}",
        "{\"ts\":\"2026-01-01T00:00:00.000001Z\",\"event\":\"x\"}",
        "{\"seq\":1,\"prev\":\"" ZEROS "\",\"hash\":\"" ZEROS "\"}",
        "{\"seq\":01,\"prev\":\"" ZEROS "\",x,\"hash\":\"" ZEROS "\"}",
        "{\"seq\":-1,\"prev\":\"" ZEROS "\",x,\"hash\":\"" ZEROS "\"}",
        "{\"seq\":18446744073709551616,\"prev\":\"" ZEROS "\",x,\"hash\":\"" ZEROS "\"}",
        "{\"seq\":1,\"prev\":\"" ZEROS "\",x,\"hash\":\"A" ZEROS "\"}",
        "{\"seq\":1,\"prev\":\"short\",x,\"hash\":\"" ZEROS "\"}",
    };
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        struct audit_line line;
        assert_int_equal(audit_check(text_of(foreign[i]), NULL, &line), AUDIT_LINE_FOREIGN);
    }
}

static void
the_longest_line_is_shorter_than_its_bound(void **state)
{
    (void)state;
    char controls[2 * AUDIT_TEXT_MAX];
    struct audit_link link = {.seq = UINT64_MAX};
    struct buffer members, line;
    buffer_init(&members);
    buffer_init(&line);
    memset(controls, 1, sizeof controls);
    controls[sizeof controls - 1] = '\0';
    const struct text longest = text_of(controls);
    const struct audit_entry entry = {.event = controls,
                                      .actor = longest,
                                      .subject = longest,
                                      .action = longest,
                                      .resource = longest,
                                      .capability_id = longest,
                                      .outcome = controls,
                                      .detail = longest};
    audit_format(&entry, MOMENT, &members);
    audit_chain(&link, UINT64_MAX, buffer_text(&members), &line);
    assert_in_range(line.size, AUDIT_TEXT_MAX, AUDIT_LINE_MAX);
    struct audit_line found;
    line.size--;
    assert_int_equal(audit_check(buffer_text(&line), NULL, &found), AUDIT_LINE_GOOD);
    buffer_clear(&members);
    buffer_clear(&line);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_all_there_and_escape_what_others_chose),
        cmocka_unit_test(the_hash_is_the_sha256_of_the_line_up_to_it),
        TEST(lines_that_follow_each_other_are_good),
        TEST(every_altered_byte_is_found),
        TEST(a_line_cut_or_made_longer_anywhere_is_found),
        TEST(a_line_out_of_its_place_is_found),
        TEST(a_number_that_goes_down_is_found),
        cmocka_unit_test(what_is_no_line_of_a_trail_is_foreign),
        cmocka_unit_test(the_longest_line_is_shorter_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
