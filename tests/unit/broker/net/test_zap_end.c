/* SPDX-License-Identifier: Apache-2.0 */
/* A broker whose authentication thread dies. It cannot be made to from outside, so this program
 * stands before zmq_poll, on which the thread waits. */
#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <zmq.h>

static atomic_bool fails;

/* The broker's only REP socket is the one that authentication is asked at. */
static bool
is_of_authentication(const zmq_pollitem_t *items, int count)
{
    int type = -1;
    size_t size = sizeof type;
    return count > 0 && items[0].socket &&
           zmq_getsockopt(items[0].socket, ZMQ_TYPE, &type, &size) == 0 && type == ZMQ_REP;
}

int
zmq_poll(zmq_pollitem_t *items, int count, long timeout_ms)
{
    int (*behind)(zmq_pollitem_t *, int, long);
    *(void **)(&behind) = dlsym(RTLD_NEXT, "zmq_poll");
    if (atomic_load(&fails) && is_of_authentication(items, count)) {
        errno = ETERM;
        return -1;
    }
    return behind(items, count, timeout_ms);
}

static void
a_broker_whose_authentication_ends_stops_and_says_why(void **state)
{
    struct fixture *f = *state;
    struct client *kasra = client_open(f, "agent:kasra", &f->kasra_keys);
    client_hello(kasra);
    zmq_pollitem_t item = {broker_pipe(f->broker), 0, ZMQ_POLLIN, 0};
    assert_int_equal(zmq_poll(&item, 1, 0), 0);
    assert_null(broker_failure(f->broker));

    atomic_store(&fails, true);
    struct client *another = client_open(f, "agent:kasra", &f->kasra_keys); /* wakes the thread */
    assert_int_equal(zmq_poll(&item, 1, 10000), 1);
    assert_non_null(broker_failure(f->broker));
    assert_non_null(strstr(broker_failure(f->broker)->message, "authentication"));
    atomic_store(&fails, false);
    client_close(&another);
    client_close(&kasra);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_broker_whose_authentication_ends_stops_and_says_why,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
