/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct route one[] = {{DOOR_ENGINE, "GET", "/tasks"},
                                   {DOOR_ENGINE, "GET", "/tasks/list"}};
static const struct route two[] = {{DOOR_ENGINE, "POST", "/tasks/create"}};
static const struct route three[] = {{DOOR_ENGINE, "GET", "/tasks/{id}"}};
static const struct route four[] = {{DOOR_ENGINE, "POST", "/tasks/{id}/{action}"}};
static const struct route five[] = {{DOOR_TOOLS, "GET", "/all"}};

static const struct operation task_operations[] = {
    {.service = "tasks", .name = "list", .routes = one, .route_count = 2},
    {.service = "tasks", .name = "create", .routes = two, .route_count = 1},
    {.service = "tasks", .name = "get", .routes = three, .route_count = 1},
    {.service = "tasks", .name = "step", .routes = four, .route_count = 1},
    {.service = "tasks", .name = "tools", .routes = five, .route_count = 1},
};
static const struct operation clash_operations[] = {
    {.service = "engine", .name = "clash", .routes = three, .route_count = 1},
};
static const struct contract tasks = {
    .service = "tasks", .operations = task_operations, .operation_count = 5};
static const struct contract clash = {
    .service = "engine", .operations = clash_operations, .operation_count = 1};
static const struct contract *const good[] = {&tasks, NULL};
static const struct contract *const bad[] = {&tasks, &clash, NULL};

struct fixture {
    struct routes *routes;
    struct uri uri;
    struct buffer storage; /* a match's values point into it */
};

static int
setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(routes_new(&fixture->routes, good, NULL), STATUS_OK);
    *state = fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *fixture = *state;
    routes_destroy(&fixture->routes);
    buffer_clear(&fixture->storage);
    free(fixture);
    return 0;
}

static enum status
find(struct fixture *fixture, const char *method, const char *path, struct route_match *match)
{
    struct uri *uri = &fixture->uri;
    assert_int_equal(uri_parse(text_of(path), uri, &fixture->storage, NULL), STATUS_OK);
    return routes_find(fixture->routes, DOOR_ENGINE, text_of(method), uri->segments,
                       uri->segment_count, match);
}

static void
literal_segments_beat_parameters(void **state)
{
    struct route_match match;
    assert_int_equal(find(*state, "GET", "/tasks/list", &match), STATUS_OK);
    assert_string_equal(match.operation->name, "list");
    assert_int_equal(match.count, 0);
    assert_int_equal(find(*state, "GET", "/tasks/t1", &match), STATUS_OK);
    assert_string_equal(match.operation->name, "get");
    assert_true(text_equal_string(match.names[0], "id"));
    assert_true(text_equal_string(match.values[0], "t1"));
}

static void
a_literal_without_the_method_leaves_the_parameter_its_turn(void **state)
{
    struct route_match match;
    assert_int_equal(find(*state, "GET", "/tasks/create", &match), STATUS_OK);
    assert_string_equal(match.operation->name, "get");
    assert_int_equal(find(*state, "POST", "/tasks/create", &match), STATUS_OK);
    assert_string_equal(match.operation->name, "create");
}

static void
parameters_keep_their_order(void **state)
{
    struct route_match match;
    assert_int_equal(find(*state, "POST", "/tasks/t1/claim", &match), STATUS_OK);
    assert_int_equal(match.count, 2);
    assert_true(text_equal_string(match.names[1], "action"));
    assert_true(text_equal_string(match.values[1], "claim"));
}

static void
another_method_names_all_that_the_path_knows(void **state)
{
    struct route_match match;
    assert_int_equal(find(*state, "DELETE", "/tasks/create", &match), STATUS_METHOD_NOT_ALLOWED);
    assert_string_equal(match.allow, "GET, HEAD, POST, OPTIONS");
    assert_int_equal(find(*state, "DELETE", "/tasks", &match), STATUS_METHOD_NOT_ALLOWED);
    assert_string_equal(match.allow, "GET, HEAD, OPTIONS");
    assert_int_equal(find(*state, "BREW", "/tasks", &match), STATUS_METHOD_NOT_ALLOWED);
}

static void
head_finds_get(void **state)
{
    struct route_match match;
    assert_int_equal(find(*state, "HEAD", "/tasks/t1", &match), STATUS_OK);
}

static void
unknown_empty_and_overlong_paths_are_not_found(void **state)
{
    struct route_match match;
    assert_int_equal(find(*state, "GET", "/", &match), STATUS_NOT_FOUND);
    assert_int_equal(find(*state, "GET", "/tasks/", &match), STATUS_NOT_FOUND);
    assert_int_equal(find(*state, "GET", "//tasks", &match), STATUS_NOT_FOUND);
    assert_int_equal(find(*state, "GET", "/tasks/a/b/c", &match), STATUS_NOT_FOUND);
    assert_int_equal(find(*state, "GET", "/all", &match), STATUS_NOT_FOUND);
}

static enum status
find_service(struct fixture *fixture, const char *service, const char *path,
             struct route_match *match)
{
    struct uri *uri = &fixture->uri;
    assert_int_equal(uri_parse(text_of(path), uri, &fixture->storage, NULL), STATUS_OK);
    return routes_find_service(fixture->routes, text_of(service), text_of("GET"), uri->segments,
                               uri->segment_count, match);
}

static void
a_service_is_found_whatever_the_door(void **state)
{
    struct route_match match;
    assert_int_equal(find_service(*state, "tasks", "/all", &match), STATUS_OK);
    assert_string_equal(match.operation->name, "tools");
    assert_int_equal(find_service(*state, "nobody", "/all", &match), STATUS_NOT_FOUND);
}

static void
a_path_below_its_service_does_not_name_it_twice(void **state)
{
    struct route_match match;
    assert_int_equal(find_service(*state, "tasks", "/", &match), STATUS_OK);
    assert_string_equal(match.operation->name, "list");
    assert_int_equal(find_service(*state, "tasks", "/t1", &match), STATUS_OK);
    assert_string_equal(match.operation->name, "get");
    assert_int_equal(match.count, 1);
    assert_true(text_equal_string(match.names[0], "id"));
    assert_true(text_equal_string(match.values[0], "t1"));
    assert_int_not_equal(find_service(*state, "tasks", "/tasks/t1", &match), STATUS_OK);
}

static void
two_operations_on_one_route_are_refused(void **state)
{
    struct routes *routes = NULL;
    struct error error = ERROR_INIT;
    (void)state;
    assert_int_equal(routes_new(&routes, bad, &error), STATUS_CONFLICT);
    assert_null(routes);
    assert_non_null(strstr(error.message, "tasks.get and engine.clash"));
}

static void
every_generated_contract_fits(void **state)
{
    struct routes *routes = NULL;
    struct error error = ERROR_INIT;
    (void)state;
    enum status status = routes_new(&routes, contracts, &error);
    if (status != STATUS_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, STATUS_OK);
    assert_true(routes_has_door(routes, DOOR_MEMORY));
    assert_true(routes_has_door(routes, DOOR_ENGINE));
    routes_destroy(&routes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(literal_segments_beat_parameters),
        TEST(a_literal_without_the_method_leaves_the_parameter_its_turn),
        TEST(parameters_keep_their_order),
        TEST(another_method_names_all_that_the_path_knows),
        TEST(head_finds_get),
        TEST(unknown_empty_and_overlong_paths_are_not_found),
        TEST(a_service_is_found_whatever_the_door),
        TEST(a_path_below_its_service_does_not_name_it_twice),
        cmocka_unit_test(two_operations_on_one_route_are_refused),
        cmocka_unit_test(every_generated_contract_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
