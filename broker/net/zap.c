/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/zap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "kernel/identity.h"

enum {
    FRAMES = 7, /* version, request id, domain, address, routing id, mechanism, credentials */
    FRAME_MAX = 512
};

enum frame { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS };

struct zap {
    void *handler; /* REP; the thread's */
    void *inner;   /* PAIR: the thread's end */
    void *outer;   /* PAIR: the owner's end */
    struct keytable *keys;
    struct audit_log *audit;
    const struct logger *logger;
    uint64_t sessions;
    atomic_bool welcomes_strangers;
    uint64_t strangers_since_us; /* the second that is counted … */
    unsigned strangers;          /* … and those who came in it */
    pthread_t thread;
    bool running;
};

struct zap_request {
    struct {
        uint8_t data[FRAME_MAX];
        size_t size;
    } frames[FRAMES];
    bool readable;
};

/* Reads the whole message in any case, so that it can be answered. False: no more to be had. */
static bool
receive(struct zap *zap, struct zap_request *request)
{
    request->readable = true;
    int count = 0;
    for (bool more = true; more; count++) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, zap->handler, 0) < 0) {
            zmq_msg_close(&frame);
            return false;
        }
        size_t size = zmq_msg_size(&frame);
        if (count >= FRAMES || size > FRAME_MAX) {
            request->readable = false;
        } else {
            request->frames[count].size = size;
            if (size > 0)
                memcpy(request->frames[count].data, zmq_msg_data(&frame), size);
        }
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    for (int i = count; i < FRAMES; i++)
        request->frames[i].size = 0;
    request->readable = request->readable && count == FRAMES;
    return true;
}

static bool
frame_is(const struct zap_request *request, enum frame frame, const char *text)
{
    return request->frames[frame].size == strlen(text) &&
           memcmp(request->frames[frame].data, text, strlen(text)) == 0;
}

/* By the address as libzmq writes it, without a port. */
static bool
is_loopback(struct text address)
{
    return text_starts_with(address, "127.") || text_equal_string(address, "::1") ||
           text_starts_with(address, "::ffff:127.");
}

static bool
may_come_as_stranger(struct zap *zap, const struct zap_request *request)
{
    struct text address = {(const char *)request->frames[ADDRESS].data,
                           request->frames[ADDRESS].size};
    if (!atomic_load(&zap->welcomes_strangers) || !is_loopback(address))
        return false;
    uint64_t now_us = clock_now(zap->logger->clock).monotonic_us;
    if (now_us - zap->strangers_since_us >= 1000000) {
        zap->strangers_since_us = now_us;
        zap->strangers = 0;
    }
    return zap->strangers++ < STRANGERS_PER_SECOND;
}

static bool
is_allowed(struct zap *zap, const struct zap_request *request, struct key_entry *entry)
{
    if (!request->readable || !frame_is(request, VERSION, "1.0") ||
        !frame_is(request, DOMAIN, ZAP_DOMAIN) || !frame_is(request, MECHANISM, "CURVE") ||
        request->frames[CREDENTIALS].size != CURVE_KEY_SIZE)
        return false;
    char key[CURVE_KEY_TEXT_SIZE];
    curve_key_format(request->frames[CREDENTIALS].data, key);
    if (keytable_find(zap->keys, text_of(key), entry))
        return !entry->revoked;
    if (!may_come_as_stranger(zap, request))
        return false;
    identity_anonymous(request->frames[CREDENTIALS].data, entry->identity);
    memcpy(entry->curve_public_key, key, sizeof key);
    return true;
}

/* ZMTP's form: 1 octet name size, name, 4 octets value size, value. */
static void
append_property(struct buffer *out, const char *name, const char *value)
{
    size_t size = strlen(value);
    buffer_append_byte(out, (uint8_t)strlen(name));
    buffer_append_string(out, name);
    for (int shift = 24; shift >= 0; shift -= 8)
        buffer_append_byte(out, (uint8_t)(size >> shift));
    buffer_append_string(out, value);
}

static bool
send_part(struct zap *zap, const void *data, size_t size, bool more)
{
    return zmq_send(zap->handler, data, size, more ? ZMQ_SNDMORE : 0) >= 0;
}

static bool
answer(struct zap *zap, const struct zap_request *request, const struct key_entry *entry)
{
    struct buffer metadata;
    buffer_init(&metadata);
    if (entry) {
        char session[24];
        snprintf(session, sizeof session, "%llu", (unsigned long long)++zap->sessions);
        append_property(&metadata, ZAP_SESSION, session);
        append_property(&metadata, ZAP_KEY, entry->curve_public_key);
        if (metadata.failed)
            entry = NULL;
    }
    const char *code = entry ? "200" : "400";
    const char *text = entry ? "OK" : "unknown key";
    const char *user = entry ? entry->identity : "";
    bool sent =
        send_part(zap, "1.0", 3, true) &&
        send_part(zap, request->frames[REQUEST_ID].data, request->frames[REQUEST_ID].size, true) &&
        send_part(zap, code, 3, true) && send_part(zap, text, strlen(text), true) &&
        send_part(zap, user, strlen(user), true) &&
        send_part(zap, metadata.data, entry ? metadata.size : 0, false);
    buffer_clear(&metadata);
    return sent;
}

/* Whose key it was when it is a revoked one, and its fingerprint: the key itself is public, but
 * nobody's business either. */
static void
audit_refusal(struct zap *zap, const struct zap_request *request, const struct key_entry *entry)
{
    char fingerprint[FINGERPRINT_TEXT_SIZE] = "";
    char detail[64 + FRAME_MAX];
    struct text actor = text_of(entry->revoked ? entry->identity : "unknown");
    struct bytes key = {request->frames[CREDENTIALS].data, request->frames[CREDENTIALS].size};
    if (request->readable && key.size == CURVE_KEY_SIZE)
        identity_fingerprint(actor, key, fingerprint);
    snprintf(detail, sizeof detail, "%s, from %.*s",
             entry->revoked ? "revoked key"
             : *fingerprint ? "unknown key"
                            : "no key",
             (int)request->frames[ADDRESS].size, (const char *)request->frames[ADDRESS].data);
    struct audit_entry line = {.event = "connection.refused",
                               .actor = text_of(*fingerprint ? fingerprint : "unknown"),
                               .action = text_of("connect"),
                               .resource = text_of("service:bus"),
                               .outcome = "refused",
                               .detail = text_of(detail)};
    audit_log_tell(zap->audit, &line, 0);
}

static bool
handle(struct zap *zap)
{
    struct zap_request request;
    struct key_entry entry = {.revoked = false};
    if (!receive(zap, &request))
        return false;
    if (is_allowed(zap, &request, &entry))
        return answer(zap, &request, &entry);
    audit_refusal(zap, &request, &entry);
    log_warn(zap->logger, "refused a connection from %.*s: unknown or revoked key",
             (int)request.frames[ADDRESS].size, (const char *)request.frames[ADDRESS].data);
    return answer(zap, &request, NULL);
}

static void *
run(void *argument)
{
    struct zap *zap = argument;
    zmq_pollitem_t items[] = {{zap->handler, 0, ZMQ_POLLIN, 0}, {zap->inner, 0, ZMQ_POLLIN, 0}};
    for (;;) {
        int ready = zmq_poll(items, 2, -1);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0 || items[1].revents)
            break;
        if (items[0].revents && !handle(zap) && errno != EINTR)
            break;
    }
    zmq_close(zap->handler);
    zap->handler = NULL;
    zmq_send(zap->inner, "ended", 5, ZMQ_DONTWAIT);
    return NULL;
}

static bool
open_sockets(struct zap *zap, void *zmq_context)
{
    int linger = 0;
    zap->handler = zmq_socket(zmq_context, ZMQ_REP);
    zap->inner = zmq_socket(zmq_context, ZMQ_PAIR);
    zap->outer = zmq_socket(zmq_context, ZMQ_PAIR);
    return zap->handler && zap->inner && zap->outer &&
           zmq_setsockopt(zap->handler, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
           zmq_setsockopt(zap->inner, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
           zmq_setsockopt(zap->outer, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
           zmq_bind(zap->inner, "inproc://sos-zap-control") == 0 &&
           zmq_connect(zap->outer, "inproc://sos-zap-control") == 0 &&
           zmq_bind(zap->handler, "inproc://zeromq.zap.01") == 0;
}

enum status
zap_start(struct zap **zap_p, void *zmq_context, struct keytable *keys, struct audit_log *audit,
          const struct logger *logger, struct error *error)
{
    struct zap *zap = calloc(1, sizeof *zap);
    if (!zap)
        return STATUS_NOMEM;
    zap->keys = keys;
    zap->audit = audit;
    zap->logger = logger;
    if (!open_sockets(zap, zmq_context)) {
        error_set(error, "open the authentication handler: %s", zmq_strerror(zmq_errno()));
        zap_stop(&zap);
        return STATUS_INTERNAL;
    }
    int failed = pthread_create(&zap->thread, NULL, run, zap);
    if (failed) {
        error_set(error, "start the authentication thread: %s", strerror(failed));
        zap_stop(&zap);
        return STATUS_INTERNAL;
    }
    zap->running = true;
    *zap_p = zap;
    return STATUS_OK;
}

void
zap_welcome_strangers(struct zap *zap)
{
    atomic_store(&zap->welcomes_strangers, true);
}

void
zap_stop(struct zap **zap_p)
{
    struct zap *zap = *zap_p;
    if (!zap)
        return;
    if (zap->running) {
        zmq_send(zap->outer, "stop", 4, ZMQ_DONTWAIT);
        pthread_join(zap->thread, NULL);
    }
    if (zap->handler)
        zmq_close(zap->handler);
    if (zap->inner)
        zmq_close(zap->inner);
    if (zap->outer)
        zmq_close(zap->outer);
    free(zap);
    *zap_p = NULL;
}

void *
zap_socket(struct zap *zap)
{
    return zap->outer;
}
