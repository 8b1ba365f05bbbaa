/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "kernel/identity.h"

enum {
    QUIET_MS = 400,    /* long enough for an answer that must not come */
    AT_ONCE_MS = 2000, /* before the peer would be cut for its silence */
};

static struct message
question(const char *service)
{
    return (struct message){.kind = KIND_REQUEST,
                            .target = text_of(service),
                            .type = text_of("health_check"),
                            .ttl_ms = 5000};
}

static void
a_known_key_gets_in_and_its_calls_are_answered(void **state)
{
    struct fixture *f = *state;
    struct client *kasra = client_open(f, "agent:kasra", &f->kasra_keys);
    struct client *memory = client_open(f, "service:memory", &f->memory_keys);
    client_hello(kasra);
    client_serve(memory, "memory");

    struct uuid id = client_say(kasra, question("service:memory"));
    const struct message *request = client_take(memory, 5000);
    assert_non_null(request);
    assert_true(uuid_equal(&request->id, &id));
    assert_true(text_equal_string(request->source, "agent:kasra"));
    client_say(memory, (struct message){.kind = KIND_REPLY, .correlation = id});
    const struct message *reply = client_take(kasra, 5000);
    assert_non_null(reply);
    assert_true(uuid_equal(&reply->correlation, &id));

    id = client_say(kasra, question("service:bus"));
    reply = client_take(kasra, 5000);
    assert_non_null(reply);
    assert_int_equal(reply->status, STATUS_OK);
    client_close(&kasra);
    client_close(&memory);
}

static void
start_again(struct fixture *f, const char *setting)
{
    struct error error = ERROR_INIT;
    struct broker_options options = fixture_options(f);
    broker_stop(&f->broker);
    assert_int_equal(config_apply_argument(f->config, setting, &error), STATUS_OK);
    assert_int_equal(broker_start(&f->broker, &options, &error), STATUS_OK);
}

static void
an_unknown_key_comes_in_as_a_stranger_who_may_nothing(void **state)
{
    struct fixture *f = *state;
    struct curve_keys keys;
    uint8_t key[CURVE_KEY_SIZE];
    char name[IDENTITY_ANONYMOUS_SIZE];
    curve_keys_make(&keys);
    assert_true(curve_key_parse(keys.public_key, key));
    identity_anonymous(key, name);
    struct client *client = client_open(f, name, &keys);
    client_hello(client);
    client_say(client, question("service:bus"));
    const struct message *reply = client_take(client, 5000);
    assert_non_null(reply);
    assert_int_equal(reply->status, STATUS_OK); /* health_check */
    client_say(client, (struct message){.kind = KIND_SEND,
                                        .target = text_of("agent:kasra"),
                                        .type = text_of("note")});
    const struct message *refusal = client_take(client, 5000);
    assert_non_null(refusal);
    assert_int_equal(refusal->status, STATUS_FORBIDDEN);
    client->identity = "agent:kasra"; /* nor may it be somebody else */
    client_say(client, question("service:bus"));
    refusal = client_take(client, 5000);
    assert_non_null(refusal);
    assert_int_equal(refusal->status, STATUS_FORBIDDEN);
    client_close(&client);
}

static void
an_unknown_key_is_refused_in_the_handshake(void **state)
{
    struct fixture *f = *state;
    struct curve_keys stranger;
    start_again(f, "bus.anonymous=false");
    curve_keys_make(&stranger);
    struct client *client = client_open(f, "agent:kasra", &stranger);
    void *monitor =
        client_watch(client, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    client_say(client, question("service:bus"));
    assert_true(client_wait_event(monitor, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 5000));
    assert_null(client_take(client, QUIET_MS));
    zmq_close(monitor);
    client_close(&client);
}

static void
a_peer_without_curve_is_refused(void **state)
{
    struct fixture *f = *state;
    struct client *client = client_open(f, "agent:kasra", NULL);
    client_say(client, question("service:bus"));
    assert_null(client_take(client, QUIET_MS));
    client_close(&client);
}

static void
a_stolen_source_is_refused(void **state)
{
    struct fixture *f = *state;
    struct client *client = client_open(f, "agent:kasra", &f->kasra_keys);
    client_hello(client);
    struct message forged = question("service:bus");
    forged.source = text_of("service:identity");
    client_say(client, forged);
    const struct message *refusal = client_take(client, 5000);
    assert_non_null(refusal);
    assert_int_equal(refusal->kind, KIND_ERROR);
    assert_int_equal(refusal->status, STATUS_FORBIDDEN);
    client_close(&client);
}

static void
a_revoked_key_is_cut_while_connected_and_stays_out(void **state)
{
    struct fixture *f = *state;
    struct client *kasra = client_open(f, "agent:kasra", &f->kasra_keys);
    struct client *identity = client_open(f, "service:identity", &f->identity_keys);
    client_hello(kasra);
    client_hello(identity);
    void *monitor = client_watch(kasra, ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);

    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "identity", "agent:kasra");
    client_say(identity, (struct message){.kind = KIND_CONTROL,
                                          .target = text_of("service:bus"),
                                          .type = text_of("key_revoke"),
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    const struct message *reply = client_take(identity, 5000);
    assert_non_null(reply);
    assert_int_equal(reply->status, STATUS_OK);
    assert_true(client_wait_event(monitor, ZMQ_EVENT_DISCONNECTED, 5000));
    assert_true(client_wait_event(monitor, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 5000));

    struct keytable *table = NULL;
    struct key_entry entry;
    struct error error = ERROR_INIT;
    assert_int_equal(keytable_open(&table, f->key_table, &error), STATUS_OK);
    assert_true(keytable_find(table, text_of(f->kasra_keys.public_key), &entry));
    assert_true(entry.revoked);
    keytable_close(&table);
    zmq_close(monitor);
    client_close(&kasra);
    client_close(&identity);
}

static void
a_key_that_is_added_while_running_gets_in(void **state)
{
    struct fixture *f = *state;
    struct client *identity = client_open(f, "service:identity", &f->identity_keys);
    client_hello(identity);
    struct curve_keys keys;
    curve_keys_make(&keys);
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "identity", "agent:new");
    pack_pair_string(&payload, "curve_public_key", keys.public_key);
    client_say(identity, (struct message){.kind = KIND_CONTROL,
                                          .target = text_of("service:bus"),
                                          .type = text_of("key_add"),
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    assert_int_equal(client_take(identity, 5000)->status, STATUS_OK);
    struct client *client = client_open(f, "agent:new", &keys);
    client_hello(client);
    client_close(&client);
    client_close(&identity);
}

/* One page of the broker's keys, its names in a row; whether more follow. */
static bool
list_identities(struct client *identity, const char *after, char names[static 256])
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "after", after);
    pack_pair_uint(&payload, "limit", 2);
    client_say(identity, (struct message){.kind = KIND_CONTROL,
                                          .type = text_of("key_list"),
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    const struct message *reply = client_take(identity, 5000);
    assert_non_null(reply);
    assert_int_equal(reply->status, STATUS_OK);
    struct value map, keys, entry;
    bool more;
    assert_true(value_parse(reply->payload, &map));
    assert_true(value_find_bool(&map, "more", &more));
    assert_true(value_find(&map, "keys", &keys));
    struct entries entries = value_entries(&keys);
    names[0] = '\0';
    while (entries_next(&entries, &entry)) {
        struct text name;
        size_t used = strlen(names);
        assert_true(value_find_text(&entry, "identity", &name));
        snprintf(names + used, 256 - used, "%.*s ", TEXT_ARGS(name));
    }
    return more;
}

static void
the_identity_service_lists_the_keys_page_by_page(void **state)
{
    struct fixture *f = *state;
    char names[256];
    struct client *identity = client_open(f, "service:identity", &f->identity_keys);
    client_hello(identity);
    assert_true(list_identities(identity, "", names));
    assert_string_equal(names, "agent:kasra service:identity ");
    assert_false(list_identities(identity, f->identity_keys.public_key, names));
    assert_string_equal(names, "service:memory ");
    client_close(&identity);
}

/* The answer to service:memory's `ready` with this store, over a connection of its own. */
static enum status
serve_from(struct fixture *f, uint64_t epoch)
{
    static const struct uuid store = {{1, 2, 3}};
    struct client *memory = client_open(f, "service:memory", &f->memory_keys);
    struct buffer payload;
    client_hello(memory);
    buffer_init(&payload);
    pack_map(&payload, 4);
    pack_pair_string(&payload, "service", "memory");
    pack_pair_bool(&payload, "single", false);
    pack_string(&payload, "store_uuid");
    pack_bin(&payload, store.bytes, sizeof store.bytes);
    pack_pair_uint(&payload, "store_epoch", epoch);
    client_say(memory, (struct message){.kind = KIND_READY, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    const struct message *answer = client_take(memory, 5000);
    assert_non_null(answer);
    enum status status = (enum status)answer->status;
    client_close(&memory);
    return status;
}

static void
restart(struct fixture *f)
{
    struct error error = ERROR_INIT;
    struct broker_options options = fixture_options(f);
    broker_stop(&f->broker);
    assert_int_equal(broker_start(&f->broker, &options, &error), STATUS_OK);
}

static void
an_old_copy_of_a_store_is_refused_by_the_next_broker_too(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(serve_from(f, 7), STATUS_OK);
    restart(f);
    assert_int_equal(serve_from(f, 6), STATUS_CONFLICT);
    assert_int_equal(serve_from(f, 8), STATUS_OK);
    restart(f);
    assert_int_equal(serve_from(f, 7), STATUS_CONFLICT);
}

static void
a_store_that_could_not_be_written_down_is_as_if_it_never_came(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(unlink(f->key_table), 0);
    assert_int_equal(mkdir(f->key_table, 0700), 0); /* in the way */
    assert_int_equal(serve_from(f, 7), STATUS_STORE_FAILED);
    assert_int_equal(rmdir(f->key_table), 0);
    assert_int_equal(serve_from(f, 5), STATUS_OK);

    assert_int_equal(unlink(f->key_table), 0);
    assert_int_equal(mkdir(f->key_table, 0700), 0);
    assert_int_equal(serve_from(f, 9), STATUS_STORE_FAILED);
    assert_int_equal(rmdir(f->key_table), 0);
    assert_int_equal(serve_from(f, 6), STATUS_OK);
}

static void
a_service_that_disconnects_has_its_requests_answered_at_once(void **state)
{
    struct fixture *f = *state;
    struct client *kasra = client_open(f, "agent:kasra", &f->kasra_keys);
    struct client *memory = client_open(f, "service:memory", &f->memory_keys);
    client_hello(kasra);
    client_serve(memory, "memory");
    client_say(kasra, question("service:memory"));
    assert_non_null(client_take(memory, 5000));
    client_close(&memory);
    const struct message *reply = client_take(kasra, 1000); /* before any heartbeat is missed */
    assert_non_null(reply);
    assert_int_equal(reply->status, STATUS_UNAVAILABLE);
    client_close(&kasra);
}

static void
a_message_of_several_frames_cuts_the_peer(void **state)
{
    struct fixture *f = *state;
    struct client *client = client_open(f, "agent:kasra", &f->kasra_keys);
    client_hello(client);
    void *monitor = client_watch(client, ZMQ_EVENT_DISCONNECTED);
    zmq_send(client->socket, "one", 3, ZMQ_SNDMORE);
    zmq_send(client->socket, "two", 3, 0);
    assert_true(client_wait_event(monitor, ZMQ_EVENT_DISCONNECTED, AT_ONCE_MS));
    zmq_close(monitor);
    client_close(&client);
}

static void
garbage_cuts_the_peer_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct client *mallory = client_open(f, "agent:kasra", &f->kasra_keys);
    struct client *memory = client_open(f, "service:memory", &f->memory_keys);
    client_hello(mallory);
    client_hello(memory);
    void *monitor = client_watch(mallory, ZMQ_EVENT_DISCONNECTED);
    zmq_send(mallory->socket, "\x40\x00\x00\x00\x00\x01", 6, 0); /* a gigabyte follows, it says */
    assert_true(client_wait_event(monitor, ZMQ_EVENT_DISCONNECTED, AT_ONCE_MS));
    client_say(memory, question("service:bus"));
    assert_int_equal(client_take(memory, 5000)->status, STATUS_OK);
    zmq_close(monitor);
    client_close(&mallory);
    client_close(&memory);
}

static void
a_frame_over_the_limit_is_not_even_received(void **state)
{
    struct fixture *f = *state;
    struct client *client = client_open(f, "agent:kasra", &f->kasra_keys);
    client_hello(client);
    void *monitor = client_watch(client, ZMQ_EVENT_DISCONNECTED);
    size_t size = 4 * 1024 * 1024;
    char *bytes = calloc(1, size);
    zmq_send(client->socket, bytes, size, 0);
    assert_true(client_wait_event(monitor, ZMQ_EVENT_DISCONNECTED, AT_ONCE_MS));
    free(bytes);
    zmq_close(monitor);
    client_close(&client);
}

static void
a_peer_that_names_its_own_routing_id_is_cut(void **state)
{
    struct fixture *f = *state;
    struct client *client = calloc(1, sizeof *client);
    client->identity = "agent:kasra";
    client->context = zmq_ctx_new();
    client->socket = zmq_socket(client->context, ZMQ_DEALER);
    zmq_setsockopt(client->socket, ZMQ_ROUTING_ID, "chosen", 6);
    zmq_setsockopt(client->socket, ZMQ_CURVE_SERVERKEY, f->broker_keys.public_key, 41);
    zmq_setsockopt(client->socket, ZMQ_CURVE_PUBLICKEY, f->kasra_keys.public_key, 41);
    zmq_setsockopt(client->socket, ZMQ_CURVE_SECRETKEY, f->kasra_keys.secret_key, 41);
    int zero = 0;
    zmq_setsockopt(client->socket, ZMQ_LINGER, &zero, sizeof zero);
    void *monitor = client_watch(client, ZMQ_EVENT_DISCONNECTED);
    assert_int_equal(zmq_connect(client->socket, broker_endpoint(f->broker)), 0);
    client_say(client, question("service:bus"));
    assert_true(client_wait_event(monitor, ZMQ_EVENT_DISCONNECTED, AT_ONCE_MS));
    zmq_close(monitor);
    client_close(&client);
}

static void
a_burst_that_the_pipe_does_not_take_still_arrives_whole_and_in_order(void **state)
{
    struct fixture *f = *state;
    enum { BURST = 3000 };
    struct client *kasra = client_open(f, "agent:kasra", &f->kasra_keys);
    client_hello(kasra);
    static struct uuid sent[BURST];
    struct buffer frame;
    buffer_init(&frame);
    for (int i = 0; i < BURST; i++) {
        struct message record = question("service:bus");
        struct error error = ERROR_INIT;
        record.version = MESSAGE_VERSION;
        record.id = uuid_next(&kasra->ids, 1767225600000000);
        record.source = text_of("agent:kasra");
        sent[i] = record.id;
        assert_int_equal(message_encode(&frame, &record, &error), STATUS_OK);
    }
    assert_true(frame.size < FRAME_SIZE_MAX);
    assert_true(zmq_send(kasra->socket, frame.data, frame.size, 0) >= 0);
    buffer_clear(&frame);

    int got = 0;
    zmq_pollitem_t item = {kasra->socket, 0, ZMQ_POLLIN, 0};
    while (got < BURST && zmq_poll(&item, 1, 5000) > 0) {
        int size = zmq_recv(kasra->socket, kasra->frame, sizeof kasra->frame, 0);
        struct bytes rest = {kasra->frame, (size_t)size};
        while (rest.size > 0) {
            size_t used;
            struct error error = ERROR_INIT;
            assert_int_equal(message_decode(&kasra->received, rest, &used, &error), STATUS_OK);
            if (kasra->received.kind == KIND_REPLY)
                assert_true(uuid_equal(&kasra->received.correlation, &sent[got++]));
            rest.data += used;
            rest.size -= used;
        }
    }
    assert_int_equal(got, BURST);
    client_close(&kasra);
}

/* More than its pipe, the kernel and the broker's buffer for it hold: what is too much is answered
 * as busy, the rest waits. */
static void
a_service_that_starts_to_read_late_gets_all_that_waits_in_order(void **state)
{
    struct fixture *f = *state;
    enum { REQUESTS = 1500, SIZE = 20000 };
    static const uint8_t payload[SIZE];
    static struct uuid sent[REQUESTS];
    struct client *memory = client_open_small(f, "service:memory", &f->memory_keys, 1);
    struct client *kasra = client_open(f, "agent:kasra", &f->kasra_keys);
    client_serve(memory, "memory");
    client_hello(kasra);
    for (int i = 0; i < REQUESTS; i++) {
        struct message record = question("service:memory");
        record.ttl_ms = 60000;
        record.payload = (struct bytes){payload, sizeof payload};
        sent[i] = client_say(kasra, record);
    }
    int next = 0;
    const struct message *record;
    for (int i = 0; (record = client_take(memory, QUIET_MS)); i++) {
        if (i % 100 == 0) {
            client_say(memory, (struct message){.kind = KIND_HEARTBEAT});
            client_say(kasra, (struct message){.kind = KIND_HEARTBEAT});
        }
        assert_int_equal(record->kind, KIND_REQUEST);
        while (next < REQUESTS && !uuid_equal(&record->id, &sent[next]))
            next++;
        assert_true(next++ < REQUESTS); /* none twice, none out of order */
        client_say(memory, (struct message){.kind = KIND_REPLY,
                                            .correlation = record->id,
                                            .target = text_of("agent:kasra")});
    }
    int refused = 0, taken = 0;
    while (taken + refused < REQUESTS) {
        record = client_take(kasra, AT_ONCE_MS);
        assert_non_null(record);
        assert_int_equal(record->kind, KIND_REPLY);
        refused += record->status == STATUS_BUSY;
        taken += record->status == STATUS_OK;
    }
    assert_true(taken > 200); /* what a pipe of 128 frames and 1 MiB hold, and more */
    client_close(&memory);
    client_close(&kasra);
}

static void
a_port_that_is_taken_is_named_with_its_setting(void **state)
{
    struct fixture *f = *state;
    struct broker *second = NULL;
    struct error error = ERROR_INIT;
    struct broker_options options = fixture_options(f);
    options.port = (uint16_t)strtoul(strrchr(broker_endpoint(f->broker), ':') + 1, NULL, 10);
    assert_int_equal(broker_start(&second, &options, &error), STATUS_UNAVAILABLE);
    assert_null(second);
    assert_non_null(strstr(error.message, "broker.port"));
    assert_non_null(strstr(error.message, "127.0.0.1"));
}

static void
a_damaged_key_table_keeps_the_broker_from_starting(void **state)
{
    struct fixture *f = *state;
    struct broker *second = NULL;
    struct error error = ERROR_INIT;
    char path[160];
    snprintf(path, sizeof path, "%s/damaged.json", f->folder);
    FILE *file = fopen(path, "w");
    fputs("{\"version\": 1", file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    fclose(file);
    struct broker_options options = fixture_options(f);
    options.key_table = path;
    assert_int_equal(broker_start(&second, &options, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, path));
    unlink(path);
}

static void
connections_that_say_nothing_do_not_keep_others_out(void **state)
{
    struct fixture *f = *state;
    enum { IDLE = 200 };
    int idle[IDLE];
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port =
        htons((uint16_t)strtoul(strrchr(broker_endpoint(f->broker), ':') + 1, NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < IDLE; i++) {
        idle[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(idle[i], (struct sockaddr *)&address, sizeof address), 0);
    }
    struct client *kasra = client_open(f, "agent:kasra", &f->kasra_keys);
    client_hello(kasra);
    client_close(&kasra);
    for (int i = 0; i < IDLE; i++)
        close(idle[i]);
}

static void
a_broker_that_stops_lets_its_port_go(void **state)
{
    struct fixture *f = *state;
    uint16_t port = (uint16_t)strtoul(strrchr(broker_endpoint(f->broker), ':') + 1, NULL, 10);
    assert_null(broker_failure(f->broker));
    broker_stop(&f->broker);
    struct error error = ERROR_INIT;
    struct broker_options options = fixture_options(f);
    options.port = port;
    assert_int_equal(broker_start(&f->broker, &options, &error), STATUS_OK);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_known_key_gets_in_and_its_calls_are_answered),
        TEST(an_unknown_key_comes_in_as_a_stranger_who_may_nothing),
        TEST(an_unknown_key_is_refused_in_the_handshake),
        TEST(a_peer_without_curve_is_refused),
        TEST(a_stolen_source_is_refused),
        TEST(a_revoked_key_is_cut_while_connected_and_stays_out),
        TEST(a_key_that_is_added_while_running_gets_in),
        TEST(the_identity_service_lists_the_keys_page_by_page),
        TEST(an_old_copy_of_a_store_is_refused_by_the_next_broker_too),
        TEST(a_store_that_could_not_be_written_down_is_as_if_it_never_came),
        TEST(a_service_that_disconnects_has_its_requests_answered_at_once),
        TEST(a_message_of_several_frames_cuts_the_peer),
        TEST(garbage_cuts_the_peer_and_nobody_else),
        TEST(a_frame_over_the_limit_is_not_even_received),
        TEST(a_peer_that_names_its_own_routing_id_is_cut),
        TEST(a_burst_that_the_pipe_does_not_take_still_arrives_whole_and_in_order),
        TEST(a_service_that_starts_to_read_late_gets_all_that_waits_in_order),
        TEST(a_port_that_is_taken_is_named_with_its_setting),
        TEST(a_damaged_key_table_keeps_the_broker_from_starting),
        TEST(connections_that_say_nothing_do_not_keep_others_out),
        TEST(a_broker_that_stops_lets_its_port_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
