/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/secret_scan.h"
#include "tests/unit/cli/fixture_home.h"

struct found {
    size_t count;
    size_t sure;
    size_t line;
    char path[PATH_SIZE];
    char kind[64];
};

static void
keep(void *context, const char *path, const struct secret_match *match)
{
    struct found *found = context;
    found->count++;
    found->sure += match->sure;
    found->line = match->line;
    snprintf(found->path, sizeof found->path, "%s", path);
    snprintf(found->kind, sizeof found->kind, "%s", match->kind);
}

static struct found
scan(const char *content)
{
    struct found found = {0};
    struct secret_scan secrets = {.on_found = keep, .context = &found};
    secret_scan_text(&secrets, "file", text_of(content));
    return found;
}

/* In two parts, so that nobody takes this file for one that holds secrets. */
#define DIGITS "0123456789abcdefghijABCDEFGHIJ0123456789"
#define PRIVATE "PRIVATE KEY-----"
#define AWS "AKIA"

static void
knows_the_forms_of_keys(void **state)
{
    static const char *const secrets[] = {
        ("sk-" DIGITS),
        ("x = sk-ant-" DIGITS),
        ("\"" AWS "ABCDEFGHIJ123456\""),
        ("ghp_" DIGITS),
        ("github_pat_" DIGITS),
        ("AIza" DIGITS),
        ("hf_" DIGITS),
        ("glpat-" DIGITS),
        ("xoxb-" DIGITS),
        ("npm_" DIGITS),
        ("eyJ" DIGITS ".eyJ" DIGITS ".x"),
        ("-----BEGIN " PRIVATE),
        ("-----BEGIN OPENSSH " PRIVATE),
    };
    (void)state;
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        struct found found = scan(secrets[i]);
        if (found.count != 1 || found.sure != 1)
            fail_msg("not found: %s", secrets[i]);
    }
}

static void
knows_values_by_their_names(void **state)
{
    static const char *const secrets[] = {
        "{\"api_key\": \"abcdefgh1\"}", "PASSWORD = 'correct-horse'",
        "\"bot_token\":\"abcdefgh1\"",  "openaiApiKey: \"abcdefgh1\"",
        "client-secret: \"abcdefgh1\"", "{\"secret_key_hex\":\"00ff00ff\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        struct found found = scan(secrets[i]);
        if (found.count != 1 || found.sure != 0)
            fail_msg("not found: %s", secrets[i]);
    }
}

static void
passes_over_what_is_no_secret(void **state)
{
    static const char *const harmless[] = {
        "",
        "\n\n",
        "sk-short1",
        ("ask-" DIGITS),
        "sk-a-class-of-a-style-sheet-without-digits",
        "{\"api_key\": \"\"}",
        "{\"api_key\": \"secret:openai\"}",
        "{\"api_key\": \"${OPENAI_API_KEY}\"}",
        "{\"password\": \"xxxxxxxxxx\"}",
        "{\"api_key_file\": \"/run/keys/openai\"}",
        "{\"broker_public_key\": \"0123456789abcdef\"}",
        "{\"tokenizer\": \"something-long\"}",
        "{\"description\": \"the token: see the manual\"}",
        "{\"token\": \"a text of several words\"}",
        "-----BEGIN PUBLIC KEY-----",
        "\"token\": \"unfinished",
    };
    (void)state;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        struct found found = scan(harmless[i]);
        if (found.count != 0)
            fail_msg("taken for a secret: %s", harmless[i]);
    }
}

static void
says_the_line(void **state)
{
    (void)state;
    struct found found = scan("{\n\n  \"api_key\": \"abcdefgh1\"\n}\n");
    assert_int_equal(found.count, 1);
    assert_int_equal(found.line, 3);
}

static void
tells_a_bounded_number_of_lines(void **state)
{
    (void)state;
    char content[100 * 32] = "";
    for (size_t i = 0; i < 100; i++)
        strcat(content, "password='abcdefgh1'\n");
    assert_int_equal(scan(content).count, SECRET_SCAN_LINES_MAX);
}

static void
a_line_of_beginnings_is_cheap(void **state)
{
    (void)state;
    enum { SIZE = SECRET_SCAN_FILE_MAX };
    struct found found = {0};
    struct secret_scan secrets = {.on_found = keep, .context = &found};
    char *content = malloc(SIZE);
    assert_non_null(content);
    for (size_t i = 0; i < SIZE; i++)
        content[i] = "sk-"[i % 3];
    secret_scan_text(&secrets, "file", (struct text){content, SIZE});
    assert_int_equal(found.count, 0);
    free(content);
}

static void
looks_into_folders_but_follows_no_links(void **state)
{
    struct temporary_home home;
    struct found found = {0};
    struct secret_scan secrets = {.on_found = keep, .context = &found};
    char path[PATH_SIZE];
    (void)state;
    temporary_home_make(&home);
    temporary_file(&home, "plugins/a/b/tool.py", "key = 'sk-" DIGITS "'\n", 0600);
    temporary_file(&home, "elsewhere/tool.py", "key = 'sk-" DIGITS "'\n", 0600);
    temporary_link(&home, "plugins/link", "../elsewhere");
    temporary_link(&home, "plugins/link.py", "../elsewhere/tool.py");
    snprintf(path, sizeof path, "%s/plugins/pipe", home.path);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/plugins", home.path);

    secret_scan_folder(&secrets, path, "", true);
    assert_int_equal(found.count, 1);
    assert_non_null(strstr(found.path, "plugins/a/b/tool.py"));
    assert_int_equal(secrets.files, 1);

    secret_scan_folder(&secrets, path, "", false);
    assert_int_equal(found.count, 1);
    secret_scan_folder(&secrets, "/nonexistent", "", true);
    assert_int_equal(secrets.unreadable, 0);
    temporary_home_remove(&home);
}

static void
folders_that_are_too_deep_are_said_to_be(void **state)
{
    struct temporary_home home;
    struct found found = {0};
    struct secret_scan secrets = {.on_found = keep, .context = &found};
    char relative[256] = "";
    (void)state;
    temporary_home_make(&home);
    for (size_t i = 0; i <= SECRET_SCAN_DEPTH_MAX; i++)
        strcat(relative, "d/");
    strcat(relative, "file");
    temporary_file(&home, relative, "x", 0600);
    secret_scan_folder(&secrets, home.path, "", true);
    assert_true(secrets.too_many);
    temporary_home_remove(&home);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_forms_of_keys),
        cmocka_unit_test(knows_values_by_their_names),
        cmocka_unit_test(passes_over_what_is_no_secret),
        cmocka_unit_test(says_the_line),
        cmocka_unit_test(tells_a_bounded_number_of_lines),
        cmocka_unit_test(a_line_of_beginnings_is_cheap),
        cmocka_unit_test(looks_into_folders_but_follows_no_links),
        cmocka_unit_test(folders_that_are_too_deep_are_said_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
