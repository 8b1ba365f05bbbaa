/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <zmq.h>

#include "broker/net/zap.h"
#include "kernel/clock.h"
#include "kernel/identity.h"

struct zap_fixture {
    void *context;
    void *asker;
    struct keytable *keys;
    struct logger logger;
    struct clock clock;
    struct zap *zap;
    struct curve_keys known, revoked;
    const char *address; /* that the connections come from */
    _Atomic uint64_t now_us;
    char answer[6][300];
    size_t answer_sizes[6];
};

static struct now
read_clock(void *context)
{
    const struct zap_fixture *f = context;
    return (struct now){f->now_us, f->now_us};
}

static void
sink_line(void *context, enum log_level level, struct text line)
{
    (void)context, (void)level, (void)line;
}

static int
setup(void **state)
{
    struct zap_fixture *f = calloc(1, sizeof *f);
    struct error error = ERROR_INIT;
    int zero = 0;
    f->clock = (struct clock){.read = read_clock, .context = f};
    f->now_us = 1;
    f->address = "127.0.0.1";
    f->logger = (struct logger){.service = "broker", .clock = &f->clock, .sink = sink_line};
    assert_int_equal(keytable_open(&f->keys, "/nonexistent/keys.json", &error), STATUS_OK);
    curve_keys_make(&f->known);
    curve_keys_make(&f->revoked);
    keytable_add(f->keys, text_of("agent:kasra"), text_of(f->known.public_key), false, 1, &error);
    keytable_add(f->keys, text_of("agent:old"), text_of(f->revoked.public_key), false, 1, &error);
    keytable_revoke(f->keys, text_of("agent:old"));
    f->context = zmq_ctx_new();
    assert_int_equal(zap_start(&f->zap, f->context, f->keys, NULL, &f->logger, &error), STATUS_OK);
    f->asker = zmq_socket(f->context, ZMQ_REQ);
    zmq_setsockopt(f->asker, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_connect(f->asker, "inproc://zeromq.zap.01"), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct zap_fixture *f = *state;
    zmq_close(f->asker);
    zap_stop(&f->zap);
    zmq_ctx_term(f->context);
    keytable_close(&f->keys);
    free(f);
    return 0;
}

static void
read_answer(struct zap_fixture *f)
{
    int more = 1;
    size_t size = sizeof more;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(more, 1);
        int got = zmq_recv(f->asker, f->answer[i], sizeof f->answer[i] - 1, 0);
        assert_true(got >= 0);
        f->answer[i][got] = '\0';
        f->answer_sizes[i] = (size_t)got;
        zmq_getsockopt(f->asker, ZMQ_RCVMORE, &more, &size);
    }
    assert_int_equal(more, 0);
}

/* The code that a key gets. */
static const char *
ask(struct zap_fixture *f, const char *version, const char *domain, const char *mechanism,
    const void *credentials, size_t size)
{
    zmq_send(f->asker, version, strlen(version), ZMQ_SNDMORE);
    zmq_send(f->asker, "7", 1, ZMQ_SNDMORE);
    zmq_send(f->asker, domain, strlen(domain), ZMQ_SNDMORE);
    zmq_send(f->asker, f->address, strlen(f->address), ZMQ_SNDMORE);
    zmq_send(f->asker, "", 0, ZMQ_SNDMORE);
    zmq_send(f->asker, mechanism, strlen(mechanism), ZMQ_SNDMORE);
    zmq_send(f->asker, credentials, size, 0);
    read_answer(f);
    assert_string_equal(f->answer[0], "1.0");
    assert_string_equal(f->answer[1], "7");
    return f->answer[2];
}

static const char *
ask_key(struct zap_fixture *f, const struct curve_keys *keys)
{
    uint8_t key[CURVE_KEY_SIZE];
    assert_true(curve_key_parse(keys->public_key, key));
    return ask(f, "1.0", "sos", "CURVE", key, sizeof key);
}

static void
a_known_key_is_let_in_as_its_identity(void **state)
{
    struct zap_fixture *f = *state;
    assert_string_equal(ask_key(f, &f->known), "200");
    assert_string_equal(f->answer[4], "agent:kasra");
    assert_non_null(memmem(f->answer[5], f->answer_sizes[5], ZAP_SESSION, strlen(ZAP_SESSION)));
    assert_non_null(memmem(f->answer[5], f->answer_sizes[5], f->known.public_key, 40));
}

static void
every_session_gets_another_number(void **state)
{
    struct zap_fixture *f = *state;
    char first[300];
    ask_key(f, &f->known);
    memcpy(first, f->answer[5], sizeof first);
    size_t size = f->answer_sizes[5];
    ask_key(f, &f->known);
    assert_int_equal(f->answer_sizes[5], size);
    assert_memory_not_equal(first, f->answer[5], size);
}

static void
everything_else_is_refused_without_an_identity(void **state)
{
    struct zap_fixture *f = *state;
    struct curve_keys unknown;
    uint8_t key[CURVE_KEY_SIZE];
    curve_keys_make(&unknown);
    assert_true(curve_key_parse(f->known.public_key, key));
    assert_string_equal(ask_key(f, &unknown), "400");
    assert_string_equal(f->answer[4], "");
    assert_string_equal(ask_key(f, &f->revoked), "400");
    assert_string_equal(ask(f, "2.0", "sos", "CURVE", key, sizeof key), "400");
    assert_string_equal(ask(f, "1.0", "global", "CURVE", key, sizeof key), "400");
    assert_string_equal(ask(f, "1.0", "sos", "NULL", "", 0), "400");
    assert_string_equal(ask(f, "1.0", "sos", "PLAIN", "user", 4), "400");
    assert_string_equal(ask(f, "1.0", "sos", "CURVE", key, 31), "400");
    static const uint8_t large[600];
    assert_string_equal(ask(f, "1.0", "sos", "CURVE", large, sizeof large), "400");
    assert_string_equal(ask_key(f, &f->known), "200");
}

static const char *
ask_as_stranger(struct zap_fixture *f)
{
    struct curve_keys keys;
    curve_keys_make(&keys);
    return ask_key(f, &keys);
}

static void
strangers_come_in_where_they_are_welcome_as_nobody_in_particular(void **state)
{
    static const char *const near[] = {"127.0.0.1", "127.8.7.6", "::1", "::ffff:127.0.0.1"};
    static const char *const far[] = {"192.168.1.2",     "10.127.0.1", "::2", "fe80::1",
                                      "::ffff:10.0.0.1", "localhost",  ""};
    struct zap_fixture *f = *state;
    struct curve_keys keys;
    uint8_t key[CURVE_KEY_SIZE];
    char name[IDENTITY_ANONYMOUS_SIZE];
    zap_welcome_strangers(f->zap);
    curve_keys_make(&keys);
    assert_true(curve_key_parse(keys.public_key, key));
    identity_anonymous(key, name);
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        f->address = near[i];
        assert_string_equal(ask_key(f, &keys), "200");
        assert_string_equal(f->answer[4], name);
        assert_non_null(memmem(f->answer[5], f->answer_sizes[5], keys.public_key, 40));
    }
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        f->address = far[i];
        assert_string_equal(ask_key(f, &keys), "400");
    }
    f->address = "127.0.0.1";
    assert_string_equal(ask_key(f, &f->known), "200");
    assert_string_equal(f->answer[4], "agent:kasra");
    assert_string_equal(ask_key(f, &f->revoked), "400");
    assert_string_equal(ask(f, "1.0", "global", "CURVE", key, sizeof key), "400");
    assert_string_equal(ask(f, "1.0", "sos", "NULL", "", 0), "400");
}

static void
strangers_come_so_fast_and_no_faster(void **state)
{
    struct zap_fixture *f = *state;
    zap_welcome_strangers(f->zap);
    for (int second = 0; second < 2; second++) {
        f->now_us += 1000000;
        for (int i = 0; i < STRANGERS_PER_SECOND; i++)
            assert_string_equal(ask_as_stranger(f), "200");
        assert_string_equal(ask_as_stranger(f), "400");
        assert_string_equal(ask_key(f, &f->known), "200");
    }
}

static void
requests_of_another_form_are_refused_and_the_next_ones_served(void **state)
{
    struct zap_fixture *f = *state;
    zmq_send(f->asker, "nonsense", 8, 0);
    read_answer(f);
    assert_string_equal(f->answer[2], "400");
    for (int i = 0; i < 20; i++)
        zmq_send(f->asker, "x", 1, ZMQ_SNDMORE);
    zmq_send(f->asker, "x", 1, 0);
    read_answer(f);
    assert_string_equal(f->answer[2], "400");
    assert_string_equal(ask_key(f, &f->known), "200");
}

static void
the_end_of_the_thread_shows_at_its_socket(void **state)
{
    struct zap_fixture *f = *state;
    zmq_pollitem_t item = {zap_socket(f->zap), 0, ZMQ_POLLIN, 0};
    assert_int_equal(zmq_poll(&item, 1, 0), 0);
    zmq_send(zap_socket(f->zap), "stop", 4, 0);
    assert_int_equal(zmq_poll(&item, 1, 5000), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_known_key_is_let_in_as_its_identity),
        TEST(every_session_gets_another_number),
        TEST(everything_else_is_refused_without_an_identity),
        TEST(strangers_come_in_where_they_are_welcome_as_nobody_in_particular),
        TEST(strangers_come_so_fast_and_no_faster),
        TEST(requests_of_another_form_are_refused_and_the_next_ones_served),
        TEST(the_end_of_the_thread_shows_at_its_socket),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
