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
#include <unistd.h>

#include "sdk/c/connection.h"

struct folder {
    char path[64];
    char swarm[128];
    char key[128];
    struct connection connection;
};

static int
setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->path, "/tmp/sos-connection-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    snprintf(f->swarm, sizeof f->swarm, "%s/swarm.json", f->path);
    snprintf(f->key, sizeof f->key, "%s/agent.json", f->path);

    struct curve_keys broker;
    curve_keys_make(&broker);
    curve_keys_make(&f->connection.keys);
    strcpy(f->connection.endpoint, "tcp://127.0.0.1:6066");
    strcpy(f->connection.identity, "agent:kasra");
    memcpy(f->connection.broker_public_key, broker.public_key, CURVE_KEY_TEXT_SIZE);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct folder *f = *state;
    unlink(f->swarm);
    unlink(f->key);
    assert_int_equal(rmdir(f->path), 0); /* and no temporary file was left */
    free(f);
    return 0;
}

static void
write_text(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void
what_was_saved_is_loaded_again(void **state)
{
    struct folder *f = *state;
    struct connection loaded;
    struct error error = ERROR_INIT;

    assert_int_equal(connection_save(&f->connection, f->key, &error), STATUS_OK);
    assert_int_equal(connection_load(&loaded, NULL, f->key, &error), STATUS_OK);

    assert_string_equal(loaded.endpoint, f->connection.endpoint);
    assert_string_equal(loaded.identity, "agent:kasra");
    assert_string_equal(loaded.broker_public_key, f->connection.broker_public_key);
    assert_string_equal(loaded.keys.public_key, f->connection.keys.public_key);
    assert_string_equal(loaded.keys.secret_key, f->connection.keys.secret_key);
}

static void
a_saved_file_is_the_owners_alone(void **state)
{
    struct folder *f = *state;
    struct stat facts;
    write_text(f->key, "old", 0644);

    assert_int_equal(connection_save(&f->connection, f->key, NULL), STATUS_OK);

    assert_int_equal(stat(f->key, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
}

static void
a_key_file_takes_the_rest_from_the_swarm_file(void **state)
{
    struct folder *f = *state;
    char swarm[512];
    snprintf(swarm, sizeof swarm, "{\"endpoint\": \"%s\", \"broker_public_key\": \"%s\"}",
             f->connection.endpoint, f->connection.broker_public_key);
    /* Z85 may hold no quote or backslash, so the text stands as it is. */
    write_text(f->swarm, swarm, 0644);
    struct connection key_only = f->connection;
    key_only.endpoint[0] = '\0';
    key_only.broker_public_key[0] = '\0';
    assert_int_equal(connection_save(&key_only, f->key, NULL), STATUS_OK);

    struct connection loaded;
    struct error error = ERROR_INIT;
    assert_int_equal(connection_load(&loaded, f->swarm, f->key, &error), STATUS_OK);
    assert_string_equal(loaded.endpoint, f->connection.endpoint);
    assert_string_equal(loaded.broker_public_key, f->connection.broker_public_key);

    assert_int_equal(connection_load(&loaded, NULL, f->key, &error), STATUS_OK);
    assert_string_equal(loaded.endpoint, "");
    write_text(f->swarm, "{}", 0644);
    assert_int_equal(connection_load(&loaded, f->swarm, f->key, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "endpoint"));
}

static void
the_home_knows_the_endpoint_better_than_an_old_connection_file(void **state)
{
    struct folder *f = *state;
    struct connection loaded;
    struct error error = ERROR_INIT;
    assert_int_equal(connection_save(&f->connection, f->key, NULL), STATUS_OK);

    /* A connection file that says it all needs no home. */
    assert_int_equal(connection_load_home(&loaded, f->swarm, f->key, &error), STATUS_OK);
    assert_string_equal(loaded.endpoint, "tcp://127.0.0.1:6066");

    write_text(f->swarm, "{\"endpoint\": \"tcp://127.0.0.1:7000\"}", 0644);
    assert_int_equal(connection_load_home(&loaded, f->swarm, f->key, &error), STATUS_OK);
    assert_string_equal(loaded.endpoint, "tcp://127.0.0.1:7000");
    assert_string_equal(loaded.broker_public_key, f->connection.broker_public_key);

    /* A key alone does. */
    f->connection.endpoint[0] = '\0';
    f->connection.broker_public_key[0] = '\0';
    assert_int_equal(connection_save(&f->connection, f->key, NULL), STATUS_OK);
    assert_int_equal(unlink(f->swarm), 0);
    assert_int_equal(connection_load_home(&loaded, f->swarm, f->key, &error), STATUS_NOT_FOUND);
}

static void
a_connection_made_by_hand_is_checked(void **state)
{
    struct folder *f = *state;
    struct error error = ERROR_INIT;
    assert_int_equal(connection_check(&f->connection, &error), STATUS_OK);
    strcpy(f->connection.identity, "kasra");
    assert_int_equal(connection_check(&f->connection, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "identity"));
    strcpy(f->connection.identity, "agent:kasra");
    strcpy(f->connection.endpoint, "http://localhost");
    assert_int_equal(connection_check(&f->connection, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "endpoint"));
}

static void
a_key_file_that_others_can_read_is_refused(void **state)
{
    struct folder *f = *state;
    struct connection loaded;
    struct error error = ERROR_INIT;
    assert_int_equal(connection_save(&f->connection, f->key, NULL), STATUS_OK);
    chmod(f->key, 0640);

    assert_int_equal(connection_load(&loaded, NULL, f->key, &error), STATUS_FORBIDDEN);

    assert_non_null(strstr(error.message, "0640"));
    assert_non_null(strstr(error.message, f->key));
}

static void
a_missing_file_is_named(void **state)
{
    struct folder *f = *state;
    struct connection loaded;
    struct error error = ERROR_INIT;

    assert_int_equal(connection_load(&loaded, NULL, f->key, &error), STATUS_NOT_FOUND);

    assert_non_null(strstr(error.message, f->key));
}

static void
what_is_wrong_in_a_file_is_named_and_no_key_is_quoted(void **state)
{
    struct folder *f = *state;
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"", "not JSON"},
        {"{\"curve_secret_key\": SECRET", "not JSON"},
        {"[]", "expected a JSON object"},
        {"{\"endpoint\": 5}", "\"endpoint\" must be text"},
        {"{\"endpoint\": \"http://x\"}", "\"endpoint\" is ill-formed"},
        {"{\"endpoint\": \"tcp://h:1\"}", "\"broker_public_key\" is missing"},
        {"{\"endpoint\": \"tcp://h:1\", \"endpoint\": \"tcp://h:2\"}", "not JSON"},
        {"{\"endpoint\": \"tcp://h:1\", \"broker_public_key\": \"SECRET\"}",
         "\"broker_public_key\" is ill-formed"},
        {"{\"broker_public_key\": \"x\"}", "\"endpoint\" is missing"},
        {"{\"identity\": \"\"}", "\"identity\" must be text of 1 to 255 bytes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct connection loaded;
        struct error error = ERROR_INIT;
        write_text(f->key, rows[i].text, 0600);
        assert_int_equal(connection_load(&loaded, NULL, f->key, &error), STATUS_VALIDATION);
        if (!strstr(error.message, rows[i].expected))
            fail_msg("\"%s\" does not hold \"%s\"", error.message, rows[i].expected);
        assert_non_null(strstr(error.message, f->key));
        assert_null(strstr(error.message, "SECRET"));
    }
}

static void
a_folder_or_a_huge_file_is_refused(void **state)
{
    struct folder *f = *state;
    struct connection loaded;
    struct error error = ERROR_INIT;
    assert_int_equal(connection_load(&loaded, NULL, f->path, &error), STATUS_INVALID);

    write_text(f->key, "{", 0600);
    assert_int_equal(truncate(f->key, 100 * 1024 * 1024), 0);
    assert_int_equal(connection_load(&loaded, NULL, f->key, &error), STATUS_TOO_LARGE);
    assert_non_null(strstr(error.message, f->key));
}

static void
clearing_leaves_no_secret(void **state)
{
    struct folder *f = *state;
    static const struct connection zero;

    connection_clear(&f->connection);

    assert_memory_equal(&f->connection, &zero, sizeof zero);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_is_loaded_again),
        TEST(a_saved_file_is_the_owners_alone),
        TEST(a_key_file_takes_the_rest_from_the_swarm_file),
        TEST(the_home_knows_the_endpoint_better_than_an_old_connection_file),
        TEST(a_connection_made_by_hand_is_checked),
        TEST(a_key_file_that_others_can_read_is_refused),
        TEST(a_missing_file_is_named),
        TEST(what_is_wrong_in_a_file_is_named_and_no_key_is_quoted),
        TEST(a_folder_or_a_huge_file_is_refused),
        TEST(clearing_leaves_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
