/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "actors/identity/identity.h"
#include "actors/identity/onboarding.h"
#include "kernel/curve.h"
#include "kernel/identity.h"
#include "tests/unit/actors/service_fixture.h"

static const char no_keys[] = "{\"keys\":[]}";
static const char nova[] = "agent:nova";

struct keys {
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
};

static int
setup(void **state)
{
    struct error error = ERROR_INIT;
    struct service_fixture *f = service_open(&identity_service, NULL, &error);
    assert_non_null(f);
    service_run(f);
    service_answer(f, service_call(f, "key_list"), STATUS_OK, no_keys);
    f->source = "user:operator";
    f->own = calloc(1, sizeof(struct keys));
    assert_non_null(f->own);
    crypto_sign_keypair(((struct keys *)f->own)->public_key, ((struct keys *)f->own)->secret_key);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct service_fixture *f = *state;
    free(f->own);
    service_close(&f);
    return 0;
}

/* What was said and asked so far; nothing of it waits. */
static void
forget(struct service_fixture *f)
{
    service_forget(f);
    for (size_t i = 0; i < f->call_count; i++)
        buffer_clear(&f->calls[i].json);
    f->call_count = 0;
}

/* ---- the machine */

static void
the_machine_allows_what_its_table_says_and_nothing_else(void **state)
{
    /* By state, by action: the next state, or -1. */
    static const int next[AGENT_STATES][AGENT_ACTIONS] = {
        /*                    identify verify reject assign activate suspend reactivate terminate */
        [STATE_ANONYMOUS] = {1, -1, -1, -1, -1, -1, -1, -1},
        [STATE_IDENTIFIED] = {-1, 2, 0, -1, -1, -1, -1, -1},
        [STATE_VERIFIED] = {-1, -1, -1, 3, -1, -1, -1, -1},
        [STATE_SQUAD_ASSIGNED] = {-1, -1, -1, -1, 4, -1, -1, -1},
        [STATE_ACTIVE] = {-1, -1, -1, -1, -1, 5, -1, 6},
        [STATE_SUSPENDED] = {-1, -1, -1, -1, -1, -1, 4, 6},
        [STATE_TERMINATED] = {-1, -1, -1, -1, -1, -1, -1, -1},
    };
    (void)state;
    for (int from = 0; from < AGENT_STATES; from++) {
        for (int action = 0; action < AGENT_ACTIONS; action++) {
            struct error error = ERROR_INIT;
            int at = from;
            enum status status = state_step(&agent_machine, &at, action, &error);
            assert_int_equal(status, next[from][action] < 0 ? STATUS_CONFLICT : STATUS_OK);
            assert_int_equal(at, next[from][action] < 0 ? from : next[from][action]);
            if (status == STATUS_OK)
                continue;
            assert_contains(error.message, agent_machine.state_names[from]);
            assert_contains(error.message, agent_machine.event_names[action]);
        }
    }
}

/* ---- driving one agent */

static void
append_claim(struct service_fixture *f, struct buffer *json, const char *agent, int curve)
{
    char hex[crypto_sign_PUBLICKEYBYTES * 2 + 1];
    sodium_bin2hex(hex, sizeof hex, ((struct keys *)f->own)->public_key,
                   crypto_sign_PUBLICKEYBYTES);
    buffer_append_format(json, "{\"agent_id\":\"%s\",\"public_key\":\"%s\"", agent, hex);
    if (curve) {
        const uint8_t bytes[CURVE_KEY_SIZE] = {(uint8_t)curve, 7};
        char key[CURVE_KEY_TEXT_SIZE];
        curve_key_format(bytes, key);
        buffer_append_string(json, ",\"curve_public_key\":");
        json_append_text(json, text_of(key));
    }
    buffer_append_string(json, ",\"metadata\":{\"from\":\"afar\"}}");
    buffer_append_byte(json, 0);
}

static struct uuid
identify(struct service_fixture *f, const char *agent, int curve)
{
    struct buffer json;
    buffer_init(&json);
    append_claim(f, &json, agent, curve);
    struct uuid id = service_send(f, "identity_identify", service_text(&json));
    buffer_clear(&json);
    return id;
}

/* Answers everything that the broker is asked with yes. */
static void
obey(struct service_fixture *f)
{
    while (service_calls_waiting(f) > 0) {
        struct sent_call *call = NULL;
        for (size_t i = 0; i < f->call_count && !call; i++)
            if (f->calls[i].handle)
                call = &f->calls[i];
        bool lists = strcmp(call->type, "key_list") == 0;
        service_answer(f, call, STATUS_OK, lists ? no_keys : "{}");
    }
}

static void
copy_challenge(struct service_fixture *f, const struct uuid *id, char challenge[static 256])
{
    struct text text = reply_text(service_find_reply(f, id), "challenge");
    assert_true(text.size > 64 && text.size < 256);
    memcpy(challenge, text.data, text.size);
    challenge[text.size] = '\0';
}

static struct uuid
verify(struct service_fixture *f, const char *agent, const char *challenge)
{
    uint8_t signature[crypto_sign_BYTES];
    char hex[crypto_sign_BYTES * 2 + 1], json[512];
    crypto_sign_detached(signature, NULL, (const uint8_t *)challenge, strlen(challenge),
                         ((struct keys *)f->own)->secret_key);
    sodium_bin2hex(hex, sizeof hex, signature, sizeof signature);
    snprintf(json, sizeof json, "{\"id\":\"%s\",\"signature\":\"ed25519:%s\"}", agent, hex);
    return service_send(f, "identity_verify", json);
}

static struct uuid
move(struct service_fixture *f, const char *agent, const char *type)
{
    char json[256];
    snprintf(json, sizeof json, "{\"id\":\"%s\",\"squad_id\":\"squad:s\",\"reason\":\"why\"}",
             agent);
    return service_send(f, type, json);
}

static const char *
look(struct service_fixture *f, const char *agent)
{
    char json[256];
    snprintf(json, sizeof json, "{\"id\":\"%s\"}", agent);
    struct uuid id = service_send(f, "identity_get", json);
    return service_reply(f, &id);
}

static void
assert_state(struct service_fixture *f, const char *agent, const char *state)
{
    char part[64];
    snprintf(part, sizeof part, "\"state\":\"%s\"", state);
    assert_contains(look(f, agent), part);
}

/* Brings a new agent as far as this state. */
static void
bring(struct service_fixture *f, const char *agent, int curve, enum agent_state to)
{
    char challenge[256];
    struct uuid id = identify(f, agent, curve);
    obey(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    copy_challenge(f, &id, challenge);
    if (to == STATE_ANONYMOUS)
        move(f, agent, "identity_reject");
    if (to >= STATE_VERIFIED)
        verify(f, agent, challenge);
    if (to >= STATE_SQUAD_ASSIGNED)
        move(f, agent, "identity_assign_squad");
    obey(f);
    if (to >= STATE_ACTIVE)
        move(f, agent, "identity_activate");
    obey(f);
    if (to == STATE_SUSPENDED)
        move(f, agent, "identity_suspend");
    if (to == STATE_TERMINATED)
        move(f, agent, "identity_terminate");
    obey(f);
    assert_state(f, agent, agent_state_word(to));
}

/* ---- handlers */

static void
each_action_moves_from_its_states_and_is_refused_from_all_others(void **state)
{
    struct service_fixture *f = *state;
    int number = 0;
    for (int from = 0; from < AGENT_STATES; from++) {
        for (int action = 0; action < AGENT_ACTIONS; action++) {
            char agent[32], type[48];
            number++;
            snprintf(agent, sizeof agent, "agent:a%d", number);
            snprintf(type, sizeof type, "identity_%s", agent_machine.event_names[action]);
            bring(f, agent, number, (enum agent_state)from);
            if (action == ACTION_VERIFY && from == STATE_IDENTIFIED)
                continue; /* its challenge is gone: the tests below */
            struct uuid id = action == ACTION_IDENTIFY ? identify(f, agent, number)
                             : action == ACTION_VERIFY ? verify(f, agent, "x")
                                                       : move(f, agent, type);
            obey(f);
            bool allowed = state_allows(&agent_machine, from, action);
            assert_int_equal(service_status(f, &id), allowed ? STATUS_OK : STATUS_CONFLICT);
            if (!allowed) {
                assert_contains(service_reply(f, &id), agent);
                assert_contains(service_reply(f, &id), agent_machine.state_names[from]);
                assert_contains(service_reply(f, &id), agent_machine.event_names[action]);
                assert_state(f, agent, agent_machine.state_names[from]);
            }
            forget(f);
        }
    }
}

static void
each_state_tells_the_broker_what_the_agent_may(void **state)
{
    struct service_fixture *f = *state;
    char challenge[256];
    struct uuid id = identify(f, nova, 1);
    assert_contains(service_text(&service_call(f, "key_add")->json), "\"access\":\"onboarding\"");
    obey(f);
    copy_challenge(f, &id, challenge);
    verify(f, nova, challenge);
    assert_int_equal(service_calls_waiting(f), 0);
    id = move(f, nova, "identity_assign_squad");
    assert_contains(service_text(&service_call(f, "bus_join")->json),
                    "{\"squad\":\"squad:s\",\"agent_id\":\"agent:nova\"}");
    assert_false(service_has_reply(f, &id));
    obey(f);
    assert_contains(service_reply(f, &id), "\"squad_id\":\"squad:s\"");
    move(f, nova, "identity_activate");
    assert_contains(service_text(&service_call(f, "key_access")->json), "\"access\":\"full\"");
    obey(f);
    move(f, nova, "identity_suspend");
    assert_contains(service_text(&service_call(f, "key_access")->json), "\"access\":\"read_only\"");
    obey(f);
    move(f, nova, "identity_reactivate");
    assert_contains(service_text(&service_call(f, "key_access")->json), "\"access\":\"full\"");
    obey(f);
    id = move(f, nova, "identity_terminate");
    assert_string_equal(service_text(&service_call(f, "key_revoke")->json),
                        "{\"identity\":\"agent:nova\"}");
    service_answer(f, service_call(f, "key_revoke"), STATUS_OK, "{}");
    assert_contains(service_text(&service_call(f, "bus_leave")->json), "\"squad\":\"squad:s\"");
    obey(f);
    assert_contains(service_reply(f, &id), "\"status\":\"revoked\"");
}

static void
what_the_broker_did_not_confirm_of_a_step_is_asked_again(void **state)
{
    static const struct {
        enum agent_state from;
        const char *type, *call;
    } rows[] = {{STATE_IDENTIFIED, "identity_reject", "key_forget"},
                {STATE_VERIFIED, "identity_assign_squad", "bus_join"},
                {STATE_SQUAD_ASSIGNED, "identity_activate", "key_access"},
                {STATE_ACTIVE, "identity_suspend", "key_access"},
                {STATE_SUSPENDED, "identity_reactivate", "key_access"},
                {STATE_ACTIVE, "identity_terminate", "key_revoke"}};
    struct service_fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char agent[32];
        snprintf(agent, sizeof agent, "agent:b%zu", i);
        bring(f, agent, (int)i + 1, rows[i].from);
        struct uuid id = move(f, agent, rows[i].type);
        service_answer(f, service_call(f, rows[i].call), STATUS_UNAVAILABLE, "no broker");
        assert_int_equal(service_status(f, &id), STATUS_UNAVAILABLE);
        service_pass(f, 5000);
        assert_non_null(service_call(f, rows[i].call)->handle);
        service_reopen(f); /* and once more after a crash */
        service_run(f);
        service_answer(f, service_call(f, "key_list"), STATUS_OK, no_keys);
        assert_non_null(service_call(f, rows[i].call)->handle);
        obey(f);
        service_pass(f, 5000);
        assert_int_equal(service_calls_waiting(f), 0);
    }
}

/* The answer to what was asked before the second step must not end the second step's duty. */
static void
an_answer_about_an_older_step_ends_no_newer_duty(void **state)
{
    struct service_fixture *f = *state;
    bring(f, nova, 1, STATE_ACTIVE);
    move(f, nova, "identity_suspend");
    struct sent_call *first = service_call(f, "key_access");
    move(f, nova, "identity_reactivate");
    struct sent_call *second = service_call(f, "key_access");
    assert_ptr_not_equal(first, second);
    service_answer(f, second, STATUS_UNAVAILABLE, "lost");
    service_answer(f, first, STATUS_OK, "{}");
    struct sent_call *again = service_call(f, "key_access");
    assert_contains(service_text(&again->json), "\"access\":\"full\"");
    obey(f);
    service_pass(f, 5000);
    assert_int_equal(service_calls_waiting(f), 0);
    assert_state(f, nova, "active");
}

static void
a_wrong_proof_changes_nothing_and_a_right_one_counts_once(void **state)
{
    struct service_fixture *f = *state;
    char challenge[256], other[256];
    struct uuid id = identify(f, nova, 1);
    obey(f);
    copy_challenge(f, &id, challenge);
    assert_contains(challenge, "sos-verify agent:nova ");
    id = identify(f, "agent:other", 2);
    obey(f);
    copy_challenge(f, &id, other);
    id = verify(f, nova, other);
    assert_int_equal(service_status(f, &id), STATUS_UNAUTHORIZED);
    assert_contains(service_reply(f, &id), "invalid_proof");
    assert_state(f, nova, "identified");
    id = verify(f, nova, challenge);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    id = verify(f, nova, challenge);
    assert_int_equal(service_status(f, &id), STATUS_CONFLICT);
    id = verify(f, "agent:nobody", challenge);
    assert_int_equal(service_status(f, &id), STATUS_NOT_FOUND);
}

static void
a_challenge_expires_and_its_agent_begins_anew_and_is_forgotten(void **state)
{
    struct service_fixture *f = *state;
    char challenge[256];
    struct uuid id = identify(f, nova, 1);
    obey(f);
    copy_challenge(f, &id, challenge);
    f->now.wall_us += CHALLENGE_US;
    id = verify(f, nova, challenge);
    assert_int_equal(service_status(f, &id), STATUS_UNAUTHORIZED);
    assert_contains(service_reply(f, &id), "challenge_expired");
    service_pass(f, 5000);
    assert_contains(service_text(&service_call(f, "key_forget")->json), "agent:nova");
    obey(f);
    assert_state(f, nova, "anonymous");
    assert_contains(look(f, nova), "\"actor\":\"system:identity\"");
    assert_contains(look(f, nova), "\"status\":\"none\"");
    id = identify(f, nova, 1); /* the same key is free again */
    obey(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    f->now.wall_us += CHALLENGE_US;
    service_pass(f, 5000);
    obey(f);
    f->now.wall_us += REJECTED_KEPT_US;
    service_pass(f, 5000);
    obey(f);
    assert_contains(look(f, nova), "agent_not_found");
}

static void
bad_claims_are_refused_by_field(void **state)
{
    /* %: the key in hex */
    static const struct {
        const char *json, *field;
    } rows[] = {
        {"{\"agent_id\":\"user:ana\",\"public_key\":\"%\"}", "agent_id"},
        {"{\"agent_id\":\"nova\",\"public_key\":\"%\"}", "agent_id"},
        {"{\"agent_id\":\"agent:../x\",\"public_key\":\"%\"}", "agent_id"},
        {"{\"agent_id\":\"agent:nova\"}", "public_key"},
        {"{\"agent_id\":\"agent:nova\",\"public_key\":\"%0\"}", "public_key"},
        {"{\"agent_id\":\"agent:nova\",\"public_key\":"
         "\"g000000000000000000000000000000000000000000000000000000000000000\"}",
         "public_key"},
        {"{\"agent_id\":\"agent:nova\",\"public_key\":"
         "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
         "public_key"},
        {"{\"agent_id\":\"agent:nova\",\"public_key\":\"%\",\"curve_public_key\":"
         "\"~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\"}",
         "curve_public_key"},
        {"{\"agent_id\":\"agent:nova\",\"public_key\":\"%\",\"metadata\":3}", "metadata"},
    };
    struct service_fixture *f = *state;
    char hex[crypto_sign_PUBLICKEYBYTES * 2 + 1];
    sodium_bin2hex(hex, sizeof hex, ((struct keys *)f->own)->public_key,
                   crypto_sign_PUBLICKEYBYTES);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer json;
        buffer_init(&json);
        for (const char *at = rows[i].json; *at; at++) {
            if (*at == '%')
                buffer_append_string(&json, hex);
            else
                buffer_append_byte(&json, (uint8_t)*at);
        }
        buffer_append_byte(&json, 0);
        struct uuid id = service_send(f, "identity_identify", service_text(&json));
        assert_int_equal(service_status(f, &id), STATUS_VALIDATION);
        assert_contains(service_reply(f, &id), rows[i].field);
        buffer_clear(&json);
    }
    assert_int_equal(service_calls_waiting(f), 0);
}

static void
keys_and_names_are_given_once(void **state)
{
    struct service_fixture *f = *state;
    bring(f, nova, 1, STATE_VERIFIED);
    struct uuid id = identify(f, "agent:thief", 1);
    assert_contains(service_reply(f, &id), "key_exists");
    id = identify(f, nova, 2);
    assert_int_equal(service_status(f, &id), STATUS_CONFLICT);
    id = identify(f, "agent:other", 3);
    service_answer(f, service_call(f, "key_add"), STATUS_ALREADY_EXISTS, "another's");
    service_pass(f, 1);
    assert_int_equal(service_status(f, &id), STATUS_ALREADY_EXISTS);
    assert_state(f, "agent:other", "anonymous");
}

static void
a_stranger_claims_the_key_it_came_with_alone(void **state)
{
    struct service_fixture *f = *state;
    const uint8_t key[CURVE_KEY_SIZE] = {1, 7};
    char name[IDENTITY_ANONYMOUS_SIZE];
    identity_anonymous(key, name);
    f->source = name;
    struct uuid id = identify(f, nova, 2);
    assert_int_equal(service_status(f, &id), STATUS_FORBIDDEN);
    assert_contains(service_reply(f, &id), "key_mismatch");
    id = identify(f, nova, 0);
    assert_contains(service_reply(f, &id), "key_mismatch");
    id = identify(f, nova, 1);
    obey(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    f->source = "user:anonymous-0000000000000000";
    id = verify(f, nova, "x");
    assert_contains(service_reply(f, &id), "key_mismatch");
}

static void
an_agent_without_a_key_for_the_bus_is_onboarded_too(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = identify(f, nova, 0);
    assert_contains(service_text(&service_call(f, "key_access")->json), "onboarding");
    obey(f);
    assert_contains(service_reply(f, &id), "\"status\":\"none\"");
    char challenge[256];
    copy_challenge(f, &id, challenge);
    verify(f, nova, challenge);
    move(f, nova, "identity_assign_squad");
    obey(f);
    move(f, nova, "identity_activate");
    obey(f);
    id = move(f, nova, "identity_terminate");
    obey(f);
    assert_contains(service_reply(f, &id), "\"status\":\"revoked\"");
}

static void
agents_move_nobody_without_a_capability(void **state)
{
    static const char *const types[] = {"identity_reject",     "identity_assign_squad",
                                        "identity_activate",   "identity_suspend",
                                        "identity_reactivate", "identity_terminate"};
    struct service_fixture *f = *state;
    bring(f, nova, 1, STATE_ACTIVE);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        f->source = "agent:mallory";
        struct uuid id = move(f, nova, types[i]);
        assert_int_equal(service_status(f, &id), STATUS_FORBIDDEN);
        assert_contains(service_reply(f, &id), "not_admin");
        f->source = "user:operator";
        id = move(f, "agent:nobody", types[i]);
        assert_int_equal(service_status(f, &id), STATUS_NOT_FOUND);
    }
    f->source = "agent:warden";
    struct uuid id = service_send_granted(f, "identity_suspend", "{\"id\":\"agent:nova\"}",
                                          "agent:suspend", "agent:nova");
    obey(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_contains(service_reply(f, &id), "\"actor\":\"agent:warden\"");
}

static void
only_so_many_may_wait(void **state)
{
    struct service_fixture *f = *state;
    char agent[32];
    for (int i = 0; i < CANDIDATES_MAX; i++) {
        snprintf(agent, sizeof agent, "agent:c%d", i);
        struct uuid id = identify(f, agent, 0);
        obey(f);
        assert_int_equal(service_status(f, &id), STATUS_OK);
        forget(f);
    }
    struct uuid id = identify(f, nova, 0);
    assert_int_equal(service_status(f, &id), STATUS_QUOTA_EXCEEDED);
    assert_contains(service_reply(f, &id), "too_many_candidates");
}

static void
the_history_keeps_the_last_steps(void **state)
{
    struct service_fixture *f = *state;
    bring(f, nova, 1, STATE_ACTIVE);
    for (int i = 0; i < HISTORY_MAX; i++) {
        move(f, nova, i % 2 ? "identity_reactivate" : "identity_suspend");
        obey(f);
    }
    const char *reply = look(f, nova);
    int count = 0;
    for (const char *at = strstr(reply, "\"action\""); at; at = strstr(at + 1, "\"action\""))
        count++;
    assert_int_equal(count, HISTORY_MAX);
    assert_lacks(reply, "\"identify\"");
    assert_contains(reply, "\"reason\":\"why\"");
}

static void
the_operator_gives_a_name_that_was_rejected(void **state)
{
    struct service_fixture *f = *state;
    struct buffer json;
    bring(f, nova, 1, STATE_ANONYMOUS);
    buffer_init(&json);
    append_claim(f, &json, nova, 5);
    struct uuid id =
        service_send_granted(f, "identity_register", service_text(&json), "agent:spawn", "*");
    obey(f);
    buffer_clear(&json);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_state(f, nova, "active");
    assert_contains(look(f, nova), "\"action\":\"register\"");
    f->now.wall_us += 2 * REJECTED_KEPT_US;
    service_pass(f, 5000);
    obey(f);
    assert_state(f, nova, "active");
}

static void
a_row_without_a_state_counts_as_active(void **state)
{
    static const struct {
        const char *status, *state;
    } rows[] = {{"registered", "active"}, {"revoked", "terminated"}};
    struct service_fixture *f = *state;
    struct error error = ERROR_INIT;
    for (size_t i = 0; i < 2; i++) {
        struct buffer row;
        char id[32], key[CURVE_KEY_TEXT_SIZE];
        const uint8_t bytes[CURVE_KEY_SIZE] = {(uint8_t)(90 + i)};
        struct store_batch *batch = store_batch_new();
        snprintf(id, sizeof id, "agent:old%zu", i);
        curve_key_format(bytes, key);
        buffer_init(&row);
        pack_map(&row, 8);
        pack_pair_string(&row, "status", rows[i].status);
        pack_pair_string(&row, "curve_public_key", key);
        pack_pair_string(&row, "name", "");
        pack_pair_string(&row, "model", "");
        pack_pair_string(&row, "public_key", "");
        pack_pair_string(&row, "reason", "");
        pack_pair_uint(&row, "created_us", 1);
        pack_pair_uint(&row, "revoked_us", 0);
        store_batch_add(batch, STORE_PUT, SPACE_AGENT, text_bytes(text_of(id)), buffer_bytes(&row));
        assert_int_equal(store_commit(f->store, batch, &error), STATUS_OK);
        store_batch_destroy(&batch);
        buffer_clear(&row);
        service_reopen(f);
        assert_state(f, id, rows[i].state);
    }
}

/* Whatever call to the store fails: the step was taken whole or not at all, and what it owes the
 * broker is told in the end. */
static void
every_failing_store_call_leaves_a_step_whole_or_undone(void **state)
{
    struct service_fixture *f = *state;
    bool passed = false;
    for (int step = 0; step < 30 && !passed; step++) {
        char agent[32];
        snprintf(agent, sizeof agent, "agent:f%d", step);
        bring(f, agent, step + 1, STATE_ACTIVE);
        forget(f);
        store_fault_after(f->store, step);
        struct uuid id = move(f, agent, "identity_suspend");
        obey(f);
        store_fault_after(f->store, -1);
        passed = service_status(f, &id) == STATUS_OK;
        for (int rounds = 0; rounds < 3; rounds++) {
            service_pass(f, 6000);
            obey(f);
        }
        const char *now = look(f, agent);
        bool suspended = strstr(now, "\"state\":\"suspended\"") != NULL;
        assert_true(suspended || strstr(now, "\"state\":\"active\""));
        assert_true(suspended || !passed);
        assert_int_equal(strstr(now, "\"action\":\"suspend\"") != NULL, suspended);
        assert_int_equal(service_calls_waiting(f), 0);
    }
    assert_true(passed);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_allows_what_its_table_says_and_nothing_else),
        TEST(each_action_moves_from_its_states_and_is_refused_from_all_others),
        TEST(each_state_tells_the_broker_what_the_agent_may),
        TEST(what_the_broker_did_not_confirm_of_a_step_is_asked_again),
        TEST(an_answer_about_an_older_step_ends_no_newer_duty),
        TEST(a_wrong_proof_changes_nothing_and_a_right_one_counts_once),
        TEST(a_challenge_expires_and_its_agent_begins_anew_and_is_forgotten),
        TEST(bad_claims_are_refused_by_field),
        TEST(keys_and_names_are_given_once),
        TEST(a_stranger_claims_the_key_it_came_with_alone),
        TEST(an_agent_without_a_key_for_the_bus_is_onboarded_too),
        TEST(agents_move_nobody_without_a_capability),
        TEST(only_so_many_may_wait),
        TEST(the_history_keeps_the_last_steps),
        TEST(the_operator_gives_a_name_that_was_rejected),
        TEST(a_row_without_a_state_counts_as_active),
        TEST(every_failing_store_call_leaves_a_step_whole_or_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
