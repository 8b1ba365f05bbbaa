/* SPDX-License-Identifier: Apache-2.0 */
/* The actor with a real broker, real sockets, a real store: the edge that dispatch's tests leave
 * out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ftw.h>
#include <unistd.h>
#include <zmq.h>

#include "actors/runtime/actor.h"
#include "broker/net/broker.h"
#include "broker/net/keytable.h"
#include "fixture.h"
#include "platform/system_clock.h"

struct swarm {
    struct service_fixture fixture; /* the service looks for it behind its logger */
    struct notes notes;
    char folder[64];
    char key_table[96];
    char store[96];
    struct config *config;
    struct logger logger;
    struct curve_keys broker_keys;
    struct broker *broker;
    struct connection service, client, stranger;
    struct actor *actor;
    struct peer *peer;
};

static void
drop_line(void *context, enum log_level level, struct text line)
{
    (void)context;
    (void)level;
    (void)line;
}

static int
remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void
start_broker(struct swarm *s, uint16_t port)
{
    struct error error = ERROR_INIT;
    const struct broker_options options = {.bind = "127.0.0.1",
                                           .port = port,
                                           .keys = &s->broker_keys,
                                           .key_table = s->key_table,
                                           .config = s->config,
                                           .clock = &system_clock,
                                           .logger = &s->logger};
    if (broker_start(&s->broker, &options, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

static void
make_connection(struct swarm *s, struct connection *connection, const char *identity)
{
    memset(connection, 0, sizeof *connection);
    snprintf(connection->identity, sizeof connection->identity, "%s", identity);
    snprintf(connection->endpoint, sizeof connection->endpoint, "%s", broker_endpoint(s->broker));
    memcpy(connection->broker_public_key, s->broker_keys.public_key, CURVE_KEY_TEXT_SIZE);
}

static void
start_actor(struct swarm *s)
{
    struct error error = ERROR_INIT;
    const struct actor_options options = {.service = &notes_service,
                                          .connection = &s->service,
                                          .store_folder = s->store,
                                          .config = s->config,
                                          .clock = &system_clock,
                                          .logger = &s->logger};
    if (actor_start(&s->actor, &options, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

static void
seed_keys(struct swarm *s)
{
    struct keytable *table = NULL;
    struct error error = ERROR_INIT;
    curve_keys_make(&s->broker_keys);
    curve_keys_make(&s->service.keys);
    curve_keys_make(&s->client.keys);
    assert_int_equal(keytable_open(&table, s->key_table, &error), STATUS_OK);
    assert_int_equal(keytable_add(table, text_of("service:notes"),
                                  text_of(s->service.keys.public_key), true, 1, &error),
                     STATUS_OK);
    assert_int_equal(keytable_add(table, text_of("agent:kasra"), text_of(s->client.keys.public_key),
                                  false, 1, &error),
                     STATUS_OK);
    assert_int_equal(keytable_save(table, &error), STATUS_OK);
    keytable_close(&table);
}

static int
setup(void **state)
{
    struct swarm *s = calloc(1, sizeof *s);
    struct error error = ERROR_INIT;
    snprintf(s->folder, sizeof s->folder, "/tmp/sos-actor-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->key_table, sizeof s->key_table, "%s/keys.json", s->folder);
    snprintf(s->store, sizeof s->store, "%s/notes", s->folder);
    s->config = config_new();
    s->logger = (struct logger){"notes", LOG_INFO, &system_clock, drop_line, &s->fixture};
    s->fixture.own = &s->notes;
    seed_keys(s);
    start_broker(s, 0);
    struct curve_keys service = s->service.keys, client = s->client.keys;
    make_connection(s, &s->service, "service:notes");
    make_connection(s, &s->client, "agent:kasra");
    s->service.keys = service;
    s->client.keys = client;
    start_actor(s);
    const struct peer_options options = {
        .connection = &s->client, .clock = &system_clock, .logger = &s->logger};
    assert_int_equal(peer_open(&s->peer, &options, &error), STATUS_OK);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct swarm *s = *state;
    peer_close(&s->peer);
    actor_stop(&s->actor);
    broker_stop(&s->broker);
    config_destroy(&s->config);
    nftw(s->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(s);
    return 0;
}

static enum status
call(struct swarm *s, const char *type, const char *name, const char *text, struct buffer *reply)
{
    struct buffer payload;
    struct error error = ERROR_INIT;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "name", name);
    pack_pair_string(&payload, "text", text);
    const struct peer_request request = {.kind = KIND_REQUEST,
                                         .target = text_of("service:notes"),
                                         .type = text_of(type),
                                         .payload = buffer_bytes(&payload),
                                         .flags = MESSAGE_IDEMPOTENT,
                                         .ttl_ms = 20000};
    buffer_reset(reply);
    enum status status = peer_call_wait(s->peer, &request, reply, &error);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        print_message("%s: %s\n", type, error.message);
    buffer_clear(&payload);
    return status;
}

static bool
says(const struct buffer *reply, const char *key, const char *text)
{
    struct value map;
    struct text found = {0};
    return value_parse(buffer_bytes(reply), &map) && value_find_text(&map, key, &found) &&
           text_equal_string(found, text);
}

static void
a_write_over_the_wire_can_be_read_back_after_a_restart(void **state)
{
    struct swarm *s = *state;
    struct buffer reply;
    buffer_init(&reply);
    assert_int_equal(call(s, "notes_get", "a", "", &reply), STATUS_NOT_FOUND);
    assert_int_equal(call(s, "notes_put", "a", "one", &reply), STATUS_OK);

    actor_stop(&s->actor);
    start_actor(s);

    assert_int_equal(call(s, "notes_get", "a", "", &reply), STATUS_OK);
    assert_true(says(&reply, "text", "one"));
    assert_int_equal(call(s, "health_check", "a", "", &reply), STATUS_OK);
    assert_true(says(&reply, "status", "ok"));
    buffer_clear(&reply);
}

static void
a_timer_and_a_refused_call_resume_over_the_wire(void **state)
{
    struct swarm *s = *state;
    struct buffer payload, reply;
    struct error error = ERROR_INIT;
    const char *const hows[] = {"timer", "http"};
    const enum status expected[] = {STATUS_OK, STATUS_UNAVAILABLE};
    buffer_init(&payload);
    buffer_init(&reply);
    for (size_t i = 0; i < 2; i++) {
        buffer_reset(&payload);
        pack_map(&payload, 2);
        pack_pair_string(&payload, "name", "w");
        pack_pair_string(&payload, "how", hows[i]);
        const struct peer_request request = {.kind = KIND_REQUEST,
                                             .target = text_of("service:notes"),
                                             .type = text_of("notes_await"),
                                             .payload = buffer_bytes(&payload),
                                             .ttl_ms = 20000};
        assert_int_equal(peer_call_wait(s->peer, &request, &reply, &error), expected[i]);
    }
    buffer_clear(&payload);
    buffer_clear(&reply);
}

struct stream {
    struct peer *peer;
    struct uuid id;
    uint64_t next_seq;
    size_t answers;
    size_t refusals;
};

static void
on_chunk(void *context, const struct message *chunk)
{
    struct stream *stream = context;
    assert_true(chunk->seq == stream->next_seq);
    stream->next_seq++;
    peer_grant(stream->peer, &stream->id, 1);
}

static void
on_reply(void *context, const struct peer_answer *answer)
{
    struct stream *stream = context;
    stream->answers++;
    if (answer->status != STATUS_OK && stream->refusals++ == 0) {
        struct error error = ERROR_INIT;
        error_unpack(answer->payload, &error);
        print_message("refused: %s: %s\n", status_word(answer->status), error.message);
    }
}

static void
await_answers(struct swarm *s, const struct stream *stream, size_t count)
{
    uint64_t end_us = clock_now(&system_clock).monotonic_us + 30000000;
    while (stream->answers < count) {
        zmq_pollitem_t item = {.socket = peer_socket(s->peer), .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 20);
        peer_process(s->peer);
        assert_true(clock_now(&system_clock).monotonic_us < end_us);
    }
}

static void
start_call(struct swarm *s, struct stream *stream, const char *type, const char *name,
           uint64_t count)
{
    struct buffer payload;
    struct error error = ERROR_INIT;
    buffer_init(&payload);
    pack_map(&payload, 3);
    pack_pair_string(&payload, "name", name);
    pack_pair_uint(&payload, "count", count);
    pack_pair_uint(&payload, "size", 100);
    const struct peer_request request = {.kind = KIND_REQUEST,
                                         .target = text_of("service:notes"),
                                         .type = text_of(type),
                                         .payload = buffer_bytes(&payload),
                                         .flags = count ? MESSAGE_STREAM : 0,
                                         .ttl_ms = 20000,
                                         .on_reply = on_reply,
                                         .on_chunk = count ? on_chunk : NULL,
                                         .context = stream};
    assert_int_equal(peer_call(s->peer, &request, &stream->id, &error), STATUS_OK);
    buffer_clear(&payload);
}

static void
a_stream_flows_as_far_as_its_reader_gives_credit(void **state)
{
    struct swarm *s = *state;
    struct stream stream = {.peer = s->peer};
    start_call(s, &stream, "notes_stream", "s", 300);
    await_answers(s, &stream, 1);
    assert_int_equal(stream.refusals, 0);
    assert_int_equal(stream.next_seq, 300);
}

static void
writes_in_flight_together_are_all_answered_and_kept(void **state)
{
    enum { WRITES = 1000 };
    struct swarm *s = *state;
    struct stream stream = {.peer = s->peer};
    struct buffer reply;
    buffer_init(&reply);
    for (int i = 0; i < WRITES; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        start_call(s, &stream, "notes_put", name, 0);
    }
    await_answers(s, &stream, WRITES);
    assert_int_equal(stream.refusals, 0);

    actor_stop(&s->actor);
    start_actor(s);

    assert_int_equal(call(s, "notes_get", "n0", "", &reply), STATUS_OK);
    assert_int_equal(call(s, "notes_get", "n999", "", &reply), STATUS_OK);
    buffer_clear(&reply);
}

static void
what_was_acknowledged_before_a_stop_is_there_after_it(void **state)
{
    enum { WRITES = 400 };
    struct swarm *s = *state;
    struct stream *writes = calloc(WRITES, sizeof *writes);
    struct buffer reply;
    char name[16];
    buffer_init(&reply);
    assert_int_equal(call(s, "notes_put", "first", "", &reply), STATUS_OK);
    for (int i = 0; i < WRITES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        writes[i].peer = s->peer;
        start_call(s, &writes[i], "notes_put", name, 0);
    }
    await_answers(s, &writes[10], 1);

    actor_stop(&s->actor);

    for (int i = 0; i < WRITES; i++) /* the broker answers for the actor that is gone */
        await_answers(s, &writes[i], 1);
    start_actor(s);
    for (int i = 0; i < WRITES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        enum status status = call(s, "notes_get", name, "", &reply);
        if (writes[i].refusals == 0)
            assert_int_equal(status, STATUS_OK);
    }
    buffer_clear(&reply);
    free(writes);
}

static void
an_actor_finds_its_broker_again(void **state)
{
    struct swarm *s = *state;
    struct buffer reply;
    buffer_init(&reply);
    assert_int_equal(call(s, "notes_put", "a", "one", &reply), STATUS_OK);
    uint16_t port = (uint16_t)atoi(strrchr(broker_endpoint(s->broker), ':') + 1);

    broker_stop(&s->broker);
    start_broker(s, port);

    assert_int_equal(call(s, "notes_get", "a", "", &reply), STATUS_OK);
    buffer_clear(&reply);
}

static void
an_actor_that_the_broker_refuses_ends_with_its_words(void **state)
{
    struct swarm *s = *state;
    struct error error = ERROR_INIT;
    struct actor *impostor = NULL;
    const struct actor_options options = {.service = &notes_service,
                                          .connection = &s->client,
                                          .config = s->config,
                                          .clock = &system_clock,
                                          .logger = &s->logger};
    assert_int_equal(actor_start(&impostor, &options, &error), STATUS_OK);
    zmq_pollitem_t item = {.socket = actor_pipe(impostor), .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, 20000), 1);
    assert_true(actor_failure(impostor)->message[0] != '\0');
    actor_stop(&impostor);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_over_the_wire_can_be_read_back_after_a_restart),
        TEST(a_timer_and_a_refused_call_resume_over_the_wire),
        TEST(a_stream_flows_as_far_as_its_reader_gives_credit),
        TEST(writes_in_flight_together_are_all_answered_and_kept),
        TEST(what_was_acknowledged_before_a_stop_is_there_after_it),
        TEST(an_actor_finds_its_broker_again),
        TEST(an_actor_that_the_broker_refuses_ends_with_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
