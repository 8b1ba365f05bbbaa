/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/net/keytable.h"
#include "cli/home.h"
#include "kernel/json.h"
#include "platform/audit.h"
#include "tests/unit/cli/fixture_doctor.h"

/* ---- settings, keys */

static void
settings_are_fine_or_named(void **state)
{
    struct fixture *f = *state;
    f->host.user = 1000;
    doctor_expect_ok(f, "settings");
    doctor_set(f, "env=production");
    doctor_expect_ok(f, "settings");
    f->host.user = 0;
    doctor_expect(f, "settings", FINDING_WARNING, "", "root");
    doctor_set(f, "cors_origins=*");
    doctor_expect(f, "settings", FINDING_ERROR, "cors_origins", "*");
    f->doctor.settings_error = "config/sos.json: line 1 is no JSON";
    doctor_expect(f, "settings", FINDING_ERROR, "", "line 1 is no JSON");
}

static void
prepare(struct fixture *f)
{
    struct error error = ERROR_INIT;
    if (home_prepare(f->home.path, fake.now.wall_us, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

static void
keys_that_sos_made_are_fine(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    doctor_expect_ok(f, "keys");
}

static void
a_home_that_is_not_there_is_a_note(void **state)
{
    struct fixture *f = *state;
    f->doctor.home = "/tmp/sos-none-at-all";
    doctor_expect(f, "keys", FINDING_NOTE, "sos-none", "no home");
    assert_int_equal(f->doctor.findings.counts[FINDING_ERROR], 0);
    doctor_expect(f, "sync", FINDING_NOTE, "sos-none", "no home");
}

static void
keys_that_others_may_read_are_errors(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];
    prepare(f);
    snprintf(path, sizeof path, "%s/secrets/memory.key", f->home.path);
    assert_int_equal(chmod(path, 0644), 0);
    doctor_expect(f, "keys", FINDING_ERROR, "secrets/memory.key", "0644");
    assert_int_equal(f->doctor.findings.counts[FINDING_ERROR], 1);
}

static void
keys_that_are_damaged_are_errors_without_their_content(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    temporary_file(&f->home, "secrets/river.key", "{\"public_key_hex\": \"5ec7e7\"}", 0600);
    temporary_file(&f->home, "secrets/memory.key", "{\"identity\": 5ec7e7", 0600);
    temporary_file(&f->home, "data/broker/keys.json", "[5ec7e7", 0600);
    doctor_expect(f, "keys", FINDING_ERROR, "river.key", "");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_ERROR, "memory.key", ""));
    assert_non_null(findings_find(&f->doctor.findings, FINDING_ERROR, "keys.json", ""));
    assert_null(findings_find(&f->doctor.findings, FINDING_ERROR, "", "5ec7e7"));
}

static void
a_key_that_was_revoked_is_an_error(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];
    struct error error = ERROR_INIT;
    struct keytable *table = NULL;
    prepare(f);
    snprintf(path, sizeof path, "%s/data/broker/keys.json", f->home.path);
    assert_int_equal(keytable_open(&table, path, &error), STATUS_OK);
    assert_int_equal(keytable_revoke(table, text_of("service:memory")), 1);
    assert_int_equal(keytable_save(table, &error), STATUS_OK);
    keytable_close(&table);
    doctor_expect(f, "keys", FINDING_ERROR, "memory.key", "is revoked");
    assert_int_equal(f->doctor.findings.counts[FINDING_ERROR], 1);
}

static void
a_key_of_another_identity_is_an_error(void **state)
{
    struct fixture *f = *state;
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    prepare(f);
    snprintf(from, sizeof from, "%s/secrets/engine.key", f->home.path);
    snprintf(to, sizeof to, "%s/secrets/memory.key", f->home.path);
    assert_int_equal(rename(from, to), 0);
    doctor_expect(f, "keys", FINDING_ERROR, "memory.key", "another identity");
}

static void
a_key_that_the_broker_does_not_know_is_a_warning(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    temporary_file(&f->home, "data/broker/keys.json",
                   "{\"version\": 1, \"keys\": [], \"stores\": {}}", 0600);
    doctor_expect(f, "keys", FINDING_WARNING, "memory.key", "does not know");
}

/* ---- what the swarm knows */

/* The swarm of a test: one answer, JSON, for the first page; behind it come empty ones. */
static struct {
    const char *answer;
    enum status status;
    size_t calls;
} swarm;

static enum status
fake_call(void *context, const struct operation *operation, struct bytes payload,
          struct buffer *reply, struct error *error)
{
    (void)context;
    (void)operation;
    (void)payload;
    if (swarm.status != STATUS_OK) {
        error_set(error, "service:identity is away");
        return swarm.status;
    }
    struct json_parser *parser = json_parser_new();
    const char *json = swarm.calls++ == 0 ? swarm.answer : "[]";
    enum status status = json_to_msgpack(parser, text_of(json), reply, error);
    json_parser_destroy(&parser);
    return status;
}

static void
answer(struct fixture *f, const char *json)
{
    f->doctor.swarm_pid = 70;
    f->doctor.call = fake_call;
    swarm.answer = json;
    swarm.status = STATUS_OK;
    swarm.calls = 0;
}

/* The clock of a test stands at 2026-09-21T14:13:20Z. */
#define RIGHT(issued, expires, state)                                                              \
    "[{\"id\":\"cap_1\",\"subject\":\"agent:a\",\"action\":\"memory:read\",\"issued_at\":"         \
    "\"" issued "\",\"expires_at\":\"" expires "\",\"state\":\"" state "\"}]"

static void
capabilities_that_end_soon_are_named(void **state)
{
    struct fixture *f = *state;
    doctor_expect_ok(f, "capabilities");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_OK, "", "no swarm runs"));

    answer(f, RIGHT("2026-09-01T00:00:00Z", "2026-09-21T20:00:00Z", "issued"));
    doctor_expect(f, "capabilities", FINDING_WARNING, "cap_1",
                  "memory:read of agent:a ends in 5 h");
    answer(f, RIGHT("2026-09-21T14:00:00Z", "2026-09-21T15:00:00Z", "issued"));
    doctor_expect_ok(f, "capabilities"); /* was meant to be short */
    assert_non_null(findings_find(&f->doctor.findings, FINDING_OK, "", "1 in force"));
    answer(f, RIGHT("2026-09-01T00:00:00Z", "2026-09-21T20:00:00Z", "revoked"));
    doctor_expect_ok(f, "capabilities");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_OK, "", "0 in force"));
    answer(f, RIGHT("2026-09-01T00:00:00Z", "2026-12-21T20:00:00Z", "issued"));
    doctor_expect_ok(f, "capabilities");
}

static void
a_swarm_that_does_not_answer_is_a_finding(void **state)
{
    struct fixture *f = *state;
    answer(f, "{}");
    doctor_expect(f, "capabilities", FINDING_WARNING, "capability_list", "another kind of answer");
    answer(f, "[]");
    doctor_expect(f, "pairing", FINDING_WARNING, "pairing_summary", "another kind of answer");
    swarm.status = STATUS_UNAVAILABLE;
    doctor_expect(f, "capabilities", FINDING_WARNING, "capability_list", "is away");
    doctor_expect(f, "pairing", FINDING_WARNING, "pairing_summary", "is away");
    f->doctor.call = NULL;
    doctor_expect(f, "capabilities", FINDING_ERROR, "user:operator", "cannot connect");
}

static void
pairing_is_said_in_numbers(void **state)
{
    struct fixture *f = *state;
    doctor_expect_ok(f, "pairing");
    answer(f,
           "{\"pending\":0,\"locked\":0,\"closed_channels\":0,\"allowed\":3,\"allowed_ended\":0}");
    doctor_expect_ok(f, "pairing");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_OK, "", "3 senders"));
    answer(f,
           "{\"pending\":2,\"locked\":1,\"closed_channels\":1,\"allowed\":3,\"allowed_ended\":4}");
    doctor_expect(f, "pairing", FINDING_NOTE, "", "2 codes wait");
    assert_int_equal(f->doctor.findings.counts[FINDING_NOTE], 4);
}

/* ---- policies, trails, secrets */

static void
policies_are_json_objects_or_errors(void **state)
{
    struct fixture *f = *state;
    doctor_expect_ok(f, "policies");
    temporary_file(&f->home, "config/policies/notes.txt", "no policy", 0600);
    doctor_expect_ok(f, "policies");
    temporary_file(&f->home, "config/policies/business.json", "{\"rules\": ", 0600);
    doctor_expect(f, "policies", FINDING_ERROR, "business.json", "");
    temporary_file(&f->home, "config/policies/business.json", "[]", 0600);
    doctor_expect(f, "policies", FINDING_ERROR, "business.json", "object");
}

static void
write_trail(struct fixture *f, const char *name)
{
    char path[PATH_SIZE];
    struct error error = ERROR_INIT;
    struct audit *audit = NULL;
    struct buffer members;
    temporary_folder(&f->home, "data/audit", 0700);
    snprintf(path, sizeof path, "%s/data/audit/%s", f->home.path, name);
    assert_int_equal(audit_open(&audit, path, 0, fake.now.wall_us, &error), STATUS_OK);
    buffer_init(&members);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct audit_entry entry = {.event = "agent.made", .outcome = "ok"};
        buffer_reset(&members);
        audit_format(&entry, fake.now.wall_us, &members);
        assert_int_equal(audit_append(audit, seq, buffer_text(&members), fake.now.wall_us, &error),
                         STATUS_OK);
    }
    buffer_clear(&members);
    audit_close(&audit);
}

static void
a_broken_chain_is_named_by_file_and_line(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];
    doctor_expect_ok(f, "audit");
    write_trail(f, "bus.jsonl");
    write_trail(f, "identity.jsonl");
    doctor_expect_ok(f, "audit");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_OK, "", "2 trails, 6 lines"));

    snprintf(path, sizeof path, "%s/data/audit/identity.jsonl", f->home.path);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    char line[1024];
    assert_non_null(fgets(line, sizeof line, file));
    long second = ftell(file);
    assert_non_null(fgets(line, sizeof line, file));
    char *event = strstr(line, "agent.made");
    assert_non_null(event);
    assert_int_equal(fseek(file, second + (event - line), SEEK_SET), 0);
    assert_true(fputs("agent.gone", file) >= 0);
    fclose(file);
    doctor_expect(f, "audit", FINDING_ERROR, "identity.jsonl:2", "chain is broken");
    assert_int_equal(f->doctor.findings.counts[FINDING_ERROR], 1);
}

static void
secrets_are_found_and_never_said(void **state)
{
    struct fixture *f = *state;
    static const char key[] = "sk-"
                              "0123456789abcdefghijABCDEFGHIJ";
    char content[128];
    struct buffer out;
    doctor_expect_ok(f, "secrets");
    snprintf(content, sizeof content, "{\n\"key\":\"%s\"}\n", key);
    temporary_file(&f->home, "config/a/provider.json", content, 0600);
    temporary_file(&f->home, "plugins/p/main.py", "password = 'hunter2hunter2'\n", 0600);
    doctor_expect(f, "secrets", FINDING_ERROR, "config/a/provider.json:2", "OpenAI");
    assert_non_null(findings_find(&f->doctor.findings, FINDING_WARNING, "main.py:1", "whose name"));

    buffer_init(&out);
    doctor_print(&f->doctor, true, false, &out);
    doctor_print(&f->doctor, false, false, &out);
    assert_null(memmem(out.data, out.size, key, strlen(key)));
    assert_null(memmem(out.data, out.size, "hunter2", 7));
    buffer_clear(&out);
}

/* ---- the report */

static void
the_report_is_json_whatever_files_are_called(void **state)
{
    struct fixture *f = *state;
    struct buffer out;
    prepare(f);
    temporary_file(&f->home, "agents/a\"\\\n\033[31m\xff.json", "{}", 0644);
    doctor_run(&f->doctor);
    assert_false(doctor_is_content(&f->doctor));
    buffer_init(&out);
    doctor_print(&f->doctor, true, false, &out);
    json_t *root = json_loadb((const char *)out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "findings")), f->doctor.findings.count);
    assert_int_equal(json_integer_value(json_object_get(root, "errors")), 1);
    assert_true(json_is_false(json_object_get(root, "content")));
    json_decref(root);

    buffer_reset(&out);
    doctor_print(&f->doctor, false, false, &out);
    assert_null(memchr(out.data, '\033', out.size));
    buffer_clear(&out);
}

static void
every_check_says_something(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    doctor_run(&f->doctor);
    for (const struct doctor_check *check = doctor_checks; check->name; check++) {
        bool said = false;
        for (size_t i = 0; i < f->doctor.findings.count; i++)
            said = said || strcmp(f->doctor.findings.rows[i].check, check->name) == 0;
        if (!said)
            fail_msg("%s said nothing", check->name);
    }
    assert_true(doctor_is_content(&f->doctor));
}

static void
findings_are_bounded_and_still_counted(void **state)
{
    (void)state;
    struct findings findings;
    findings_init(&findings);
    for (size_t i = 0; i < FINDINGS_MAX + 5; i++)
        findings_add(&findings, FINDING_ERROR, "", "fix", "%zu", i);
    assert_int_equal(findings.count, FINDINGS_MAX);
    assert_int_equal(findings.left_out, 5);
    assert_int_equal(findings.counts[FINDING_ERROR], FINDINGS_MAX + 5);
    findings_clear(&findings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DOCTOR_TEST(settings_are_fine_or_named),
        DOCTOR_TEST(keys_that_sos_made_are_fine),
        DOCTOR_TEST(a_home_that_is_not_there_is_a_note),
        DOCTOR_TEST(keys_that_others_may_read_are_errors),
        DOCTOR_TEST(keys_that_are_damaged_are_errors_without_their_content),
        DOCTOR_TEST(a_key_that_was_revoked_is_an_error),
        DOCTOR_TEST(a_key_of_another_identity_is_an_error),
        DOCTOR_TEST(a_key_that_the_broker_does_not_know_is_a_warning),
        DOCTOR_TEST(capabilities_that_end_soon_are_named),
        DOCTOR_TEST(a_swarm_that_does_not_answer_is_a_finding),
        DOCTOR_TEST(pairing_is_said_in_numbers),
        DOCTOR_TEST(policies_are_json_objects_or_errors),
        DOCTOR_TEST(a_broken_chain_is_named_by_file_and_line),
        DOCTOR_TEST(secrets_are_found_and_never_said),
        DOCTOR_TEST(the_report_is_json_whatever_files_are_called),
        DOCTOR_TEST(every_check_says_something),
        DOCTOR_TEST(findings_are_bounded_and_still_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
