/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct client *
acquire(struct limits *limits, const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return limits_acquire(limits, (struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return limits_acquire(limits, (struct sockaddr *)&v6);
}

static void
connections_of_one_address_are_counted_together(void **state)
{
    struct limits *limits = limits_new(0);
    (void)state;
    struct client *one = acquire(limits, "127.0.0.1");
    assert_ptr_equal(acquire(limits, "127.0.0.1"), one);
    assert_ptr_equal(acquire(limits, "::ffff:127.0.0.1"), one);
    assert_int_equal(one->connections, 3);
    assert_ptr_not_equal(acquire(limits, "127.0.0.2"), one);
    struct client *network = acquire(limits, "2001:db8::1");
    assert_ptr_equal(acquire(limits, "2001:db8::ffff:1"), network);
    assert_ptr_not_equal(acquire(limits, "2001:db8:0:1::1"), network);
    limits_destroy(&limits);
}

static void
loopback_is_not_limited_unless_asked_for(void **state)
{
    struct limits *limits = limits_new(0);
    uint32_t retry = 0;
    (void)state;
    struct client *local = acquire(limits, "127.0.0.1");
    for (int i = 0; i < 5000; i++)
        assert_true(limits_admit(limits, local, 1, &retry));
    struct client *remote = acquire(limits, "10.0.0.1");
    for (int i = 0; i < LIMITS_REMOTE_DEFAULT; i++)
        assert_true(limits_admit(limits, remote, 1, &retry));
    assert_false(limits_admit(limits, remote, 1, &retry));
    assert_int_equal(retry, 1);
    limits_destroy(&limits);
}

static void
used_up_requests_come_back_with_time(void **state)
{
    struct limits *limits = limits_new(60);
    uint32_t retry = 0;
    uint64_t now = 1000000;
    (void)state;
    struct client *client = acquire(limits, "127.0.0.1");
    for (int i = 0; i < 60; i++)
        assert_true(limits_admit(limits, client, now, &retry));
    assert_false(limits_admit(limits, client, now, &retry));
    assert_int_equal(retry, 2);
    assert_true(limits_admit(limits, client, now + 1000000, &retry));
    assert_false(limits_admit(limits, client, now + 1000000, &retry));
    limits_release(limits, client);
    assert_ptr_equal(acquire(limits, "127.0.0.1"), client);
    assert_false(limits_admit(limits, client, now + 1000000, &retry));
    limits_destroy(&limits);
}

static void
more_addresses_than_the_table_holds_share_one_entry(void **state)
{
    struct limits *limits = limits_new(0);
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct client *last = NULL;
    (void)state;
    for (uint32_t i = 0; i < LIMITS_CLIENTS_MAX + 2; i++) {
        v4.sin_addr.s_addr = htonl(0x0a000000 + i);
        struct client *client = limits_acquire(limits, (struct sockaddr *)&v4);
        assert_non_null(client);
        if (i == LIMITS_CLIENTS_MAX + 1)
            assert_ptr_equal(client, last);
        last = client;
    }
    assert_int_equal(last->connections, 2);
    limits_destroy(&limits);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_of_one_address_are_counted_together),
        cmocka_unit_test(loopback_is_not_limited_unless_asked_for),
        cmocka_unit_test(used_up_requests_come_back_with_time),
        cmocka_unit_test(more_addresses_than_the_table_holds_share_one_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
