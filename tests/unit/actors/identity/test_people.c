/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/identity/guild.h"
#include "actors/identity/identity.h"
#include "actors/identity/user.h"
#include "tests/unit/actors/service_fixture.h"

static int
setup(void **state)
{
    struct error error = ERROR_INIT;
    struct service_fixture *f = service_open(&identity_service, NULL, &error);
    assert_non_null(f);
    service_run(f);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, "{\"keys\":[]}");
    f->source = "user:operator";
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
assert_asked(struct service_fixture *f, const char *type, const char *json, enum status status,
             const char *part)
{
    const struct sent_reply *reply = service_ask(f, type, json);
    assert_int_equal(reply->status, status);
    assert_contains(reply_json(reply), part);
}

static void
make_user(struct service_fixture *f, const char *name)
{
    char json[256];
    snprintf(json, sizeof json, "{\"name\":\"%s\"}", name);
    assert_asked(f, "identity_user_create", json, STATUS_OK, "\"type\":\"user\"");
}

static void
a_user_is_made_once_and_stays(void **state)
{
    struct service_fixture *f = *state;
    assert_asked(f, "identity_user_create",
                 "{\"name\":\"Ana Maria\",\"bio\":\"b\",\"metadata\":{\"a\":1}}", STATUS_OK,
                 "\"id\":\"user:Ana_Maria\"");
    assert_asked(f, "identity_user_create", "{\"name\":\"Ana_Maria\"}", STATUS_ALREADY_EXISTS,
                 "user_exists");
    service_reopen(f);
    service_run(f);
    assert_asked(f, "identity_user_get", "{\"id\":\"user:Ana_Maria\"}", STATUS_OK,
                 "\"bio\":\"b\",\"avatar_url\":null,\"level\":1,\"xp\":0,\"roles\":[]");
    assert_asked(f, "identity_user_get", "{\"id\":\"user:Ana_Maria\"}", STATUS_OK,
                 "\"metadata\":{\"a\":1}");
    assert_asked(f, "identity_user_get", "{\"id\":\"user:ana\"}", STATUS_NOT_FOUND,
                 "user_not_found");
}

static void
nobody_takes_the_name_of_somebody_who_has_no_row(void **state)
{
    static const char *const names[] = {"operator", "local", "anonymous-0123456789abcdef"};
    struct service_fixture *f = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"name\":\"%s\"}", names[i]);
        assert_asked(f, "identity_user_create", json, STATUS_ALREADY_EXISTS, "user_exists");
    }
}

static void
names_that_make_no_id_are_refused(void **state)
{
    static const char *const names[] = {"",   "/",  "a/b",      "a:b",       "..",    "a..b",
                                        " a", "-a", "\xc3\xa9", "a\\u0000b", "a\\nb", "a*"};
    struct service_fixture *f = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char json[128];
        snprintf(json, sizeof json, "{\"name\":\"%s\",\"owner_id\":\"user:operator\"}", names[i]);
        assert_asked(f, "identity_user_create", json, STATUS_VALIDATION, "name");
        assert_asked(f, "identity_guild_create", json, STATUS_VALIDATION, "name");
    }
    char json[256], name[PERSON_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[PERSON_NAME_MAX + 1] = '\0';
    snprintf(json, sizeof json, "{\"name\":\"%s\"}", name);
    assert_asked(f, "identity_user_create", json, STATUS_VALIDATION, "name");
    snprintf(json, sizeof json, "{\"name\":\"%.*s\"}", PERSON_NAME_MAX, name);
    assert_asked(f, "identity_user_create", json, STATUS_OK, "user:aaa");
    assert_asked(f, "identity_user_create", "{\"name\":3}", STATUS_VALIDATION, "name");
    assert_asked(f, "identity_user_create", "{}", STATUS_VALIDATION, "name");
}

static void
a_guild_has_a_leader_members_and_channels(void **state)
{
    struct service_fixture *f = *state;
    make_user(f, "ana");
    make_user(f, "ben");
    assert_asked(
        f, "identity_guild_create",
        "{\"name\":\"The Builders\",\"owner_id\":\"user:ana\",\"description\":\"d\"}", STATUS_OK,
        "\"members\":[\"user:ana\"],\"member_roles\":{\"user:ana\":\"leader\"},\"channels\":"
        "[\"general\",\"announcements\"]");
    assert_asked(f, "identity_guild_create",
                 "{\"name\":\"the BUILDERS\",\"owner_id\":\"user:ben\"}", STATUS_ALREADY_EXISTS,
                 "guild_exists");
    static const char join[] = "{\"guild_id\":\"guild:the_builders\",\"user_id\":\"user:ben\"}";
    assert_asked(f, "identity_guild_join", join, STATUS_OK,
                 "{\"status\":\"joined\",\"guild_id\":\"guild:the_builders\"}");
    assert_asked(f, "identity_guild_join", join, STATUS_INVALID, "already_a_member");
    assert_asked(f, "identity_guild_join",
                 "{\"guild_id\":\"guild:the_builders\",\"user_id\":\"agent:river\"}", STATUS_OK,
                 "joined");
    service_reopen(f);
    service_run(f);
    assert_asked(f, "identity_guild_members", "{\"id\":\"guild:the_builders\"}", STATUS_OK,
                 "[{\"id\":\"agent:river\",\"name\":\"river\",\"role\":\"member\"},"
                 "{\"id\":\"user:ana\",\"name\":\"ana\",\"role\":\"leader\"},"
                 "{\"id\":\"user:ben\",\"name\":\"ben\",\"role\":\"member\"}]");
    const struct sent_reply *page = service_ask(
        f, "identity_guild_members", "{\"id\":\"guild:the_builders\",\"limit\":1,\"offset\":1}");
    assert_contains(reply_json(page), "user:ana");
    assert_lacks(reply_json(page), "user:ben");
    assert_asked(f, "identity_user_get", "{\"id\":\"user:ben\"}", STATUS_OK,
                 "\"guilds\":[\"guild:the_builders\"]");
}

static void
who_and_what_is_unknown_is_said(void **state)
{
    struct service_fixture *f = *state;
    make_user(f, "ana");
    assert_asked(f, "identity_guild_create", "{\"name\":\"g\",\"owner_id\":\"user:ben\"}",
                 STATUS_NOT_FOUND, "user_not_found");
    assert_asked(f, "identity_guild_create", "{\"name\":\"g\",\"owner_id\":\"ben\"}",
                 STATUS_VALIDATION, "owner_id");
    assert_asked(f, "identity_guild_create", "{\"name\":\"g\",\"owner_id\":\"service:memory\"}",
                 STATUS_VALIDATION, "owner_id");
    assert_asked(f, "identity_guild_join", "{\"guild_id\":\"guild:g\",\"user_id\":\"user:ana\"}",
                 STATUS_NOT_FOUND, "guild_not_found");
    assert_asked(f, "identity_guild_join", "{\"guild_id\":\"guild:g\",\"user_id\":\"user:x\"}",
                 STATUS_NOT_FOUND, "user_not_found");
    assert_asked(f, "identity_guild_join", "{\"guild_id\":\"guild:g\",\"user_id\":\"\"}",
                 STATUS_VALIDATION, "user_id");
    assert_asked(f, "identity_guild_get", "{\"id\":\"guild:g\"}", STATUS_NOT_FOUND,
                 "guild_not_found");
    assert_asked(f, "identity_guild_members", "{\"id\":\"guild:g\"}", STATUS_NOT_FOUND,
                 "guild_not_found");
}

static void
an_agent_acts_for_itself_alone(void **state)
{
    struct service_fixture *f = *state;
    f->source = "agent:mallory";
    assert_asked(f, "identity_guild_create", "{\"name\":\"g\",\"owner_id\":\"agent:victim\"}",
                 STATUS_FORBIDDEN, "capability_subject_mismatch");
    assert_asked(f, "identity_guild_create", "{\"name\":\"g\",\"owner_id\":\"agent:mallory\"}",
                 STATUS_OK, "guild:g");
    assert_asked(f, "identity_guild_join",
                 "{\"guild_id\":\"guild:g\",\"user_id\":\"agent:victim\"}", STATUS_FORBIDDEN,
                 "capability_subject_mismatch");
}

static void
a_guild_and_a_member_have_room_for_so_many(void **state)
{
    struct service_fixture *f = *state;
    char json[256];
    assert_asked(f, "identity_guild_create", "{\"name\":\"g\",\"owner_id\":\"agent:a0\"}",
                 STATUS_OK, "guild:g");
    for (int i = 1; i < GUILD_MEMBERS_MAX; i++) {
        snprintf(json, sizeof json, "{\"guild_id\":\"guild:g\",\"user_id\":\"agent:a%d\"}", i);
        assert_asked(f, "identity_guild_join", json, STATUS_OK, "joined");
    }
    assert_asked(f, "identity_guild_join", "{\"guild_id\":\"guild:g\",\"user_id\":\"agent:late\"}",
                 STATUS_QUOTA_EXCEEDED, "guild_full");
    for (int i = 1; i < MEMBER_GUILDS_MAX; i++) {
        snprintf(json, sizeof json, "{\"name\":\"g%d\",\"owner_id\":\"agent:a0\"}", i);
        assert_asked(f, "identity_guild_create", json, STATUS_OK, "guild:g");
    }
    assert_asked(f, "identity_guild_create", "{\"name\":\"more\",\"owner_id\":\"agent:a0\"}",
                 STATUS_QUOTA_EXCEEDED, "too_many_guilds");
}

static void
every_failing_store_call_leaves_all_rows_or_none(void **state)
{
    struct service_fixture *f = *state;
    bool passed = false;
    for (int step = 0; step < 30 && !passed; step++) {
        char json[128];
        store_fault_after(f->store, step);
        snprintf(json, sizeof json, "{\"name\":\"g%d\",\"owner_id\":\"agent:a\"}", step);
        passed = service_ask(f, "identity_guild_create", json)->status == STATUS_OK;
        store_fault_after(f->store, -1);
        service_pass(f, 6000);
        snprintf(json, sizeof json, "{\"id\":\"guild:g%d\"}", step);
        const struct sent_reply *reply = service_ask(f, "identity_guild_get", json);
        assert_int_equal(reply->status, passed ? STATUS_OK : STATUS_NOT_FOUND);
        if (passed)
            assert_contains(reply_json(reply), "\"agent:a\":\"leader\"");
    }
    assert_true(passed);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_user_is_made_once_and_stays),
        TEST(nobody_takes_the_name_of_somebody_who_has_no_row),
        TEST(names_that_make_no_id_are_refused),
        TEST(a_guild_has_a_leader_members_and_channels),
        TEST(who_and_what_is_unknown_is_said),
        TEST(an_agent_acts_for_itself_alone),
        TEST(a_guild_and_a_member_have_room_for_so_many),
        TEST(every_failing_store_call_leaves_all_rows_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
