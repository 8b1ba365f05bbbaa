/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/session.h"

#include "broker/core/answer.h"
#include "broker/core/directory.h"
#include "broker/core/hold.h"
#include "broker/core/peers.h"
#include "broker/core/presence.h"
#include "broker/core/revoke.h"
#include "kernel/pack.h"

static void
pack_welcome(const struct core *core, const struct peer *peer, struct buffer *out)
{
    pack_map(out, 7);
    pack_pair_uint(out, "version", MESSAGE_VERSION);
    pack_pair_uint(out, "epoch", core->options.epoch);
    pack_pair_uint(out, "record_max", RECORD_SIZE_MAX);
    pack_pair_uint(out, "frame_max", FRAME_SIZE_MAX);
    pack_pair_uint(out, "stream_credit", core->options.stream_credit);
    pack_pair_uint(out, "requests_max", core->options.pending_peer_max);
    pack_pair_uint(out, "heartbeat_ms", peer->heartbeat_us / 1000);
}

const char *
hello_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    struct value payload;
    uint64_t version_min, version_max;
    if (!value_parse(message->payload, &payload) ||
        !value_find_uint(&payload, "version_min", &version_min) ||
        !value_find_uint(&payload, "version_max", &version_max)) {
        error_set(&error, "hello: expected a map with version_min and version_max");
        return answer_refuse(core, peer, message, STATUS_INVALID, &error);
    }
    if (version_min > MESSAGE_VERSION || version_max < MESSAGE_VERSION) {
        error_set(&error, "the broker speaks version %d, the peer %llu to %llu", MESSAGE_VERSION,
                  (unsigned long long)version_min, (unsigned long long)version_max);
        return answer_refuse(core, peer, message, STATUS_VERSION, &error);
    }
    peer_end_session(core, peer);
    peer->greeted = true;
    peer->greeted_us = core->now.wall_us;
    presence_joined(core, peer);
    buffer_reset(&core->payload);
    peer_pace(core, peer);
    pack_welcome(core, peer, &core->payload);
    struct message welcome = {
        .kind = KIND_HELLO, .correlation = message->id, .payload = buffer_bytes(&core->payload)};
    answer_send(core, peer, &welcome);
    revoke_tell_all(core, peer);
    peer_watch(core, peer);
    return VERDICT_ANSWERED;
}

static bool
read_ready(const struct message *message, struct ready *ready, struct error *error)
{
    struct value payload;
    *ready = (struct ready){0};
    if (!value_parse(message->payload, &payload) ||
        !value_find_text(&payload, "service", &ready->service) || ready->service.size == 0 ||
        !value_find_bool(&payload, "single", &ready->single)) {
        error_set(error, "ready: expected a map with service (text) and single (boolean)");
        return false;
    }
    struct value store;
    if (value_find(&payload, "store_uuid", &store) && store.type != VALUE_NIL) {
        if (store.type != VALUE_BIN || store.as.bin.size != sizeof ready->pin.store.bytes) {
            error_set(error, "ready: store_uuid is expected to be 16 bytes");
            return false;
        }
        ready->has_store = true;
        memcpy(ready->pin.store.bytes, store.as.bin.data, sizeof ready->pin.store.bytes);
        value_find_uint(&payload, "store_epoch", &ready->pin.epoch);
    }
    uint64_t requests_max = 0;
    value_find_uint(&payload, "requests_max", &requests_max);
    ready->requests_max = requests_max > UINT32_MAX ? UINT32_MAX : (uint32_t)requests_max;
    return true;
}

const char *
ready_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    struct ready ready;
    if (!read_ready(message, &ready, &error))
        return answer_refuse(core, peer, message, STATUS_INVALID, &error);
    enum status status = directory_join(core, peer, &ready, &error);
    if (status != STATUS_OK)
        return answer_refuse(core, peer, message, status, &error);

    struct message accepted = {
        .kind = KIND_CONTROL, .correlation = message->id, .type = text_of("ready")};
    answer_send(core, peer, &accepted);
    if (peer->instance)
        hold_dispatch(core, peer->instance->service);
    return VERDICT_ANSWERED;
}

const char *
heartbeat_receive(struct core *core, struct peer *peer, const struct message *message)
{
    (void)core, (void)peer, (void)message; /* that it came is all it says */
    return VERDICT_ACCEPTED;
}

const char *
bye_receive(struct core *core, struct peer *peer, const struct message *message)
{
    (void)message;
    peer_end_session(core, peer);
    return VERDICT_ACCEPTED;
}

const char *
session_ask_hello(struct core *core, struct peer *peer)
{
    uint64_t now_us = core->now.monotonic_us;
    figures_refused(&core->figures, "hello_required");
    if (peer->hello_answered_us != 0 && now_us - peer->hello_answered_us < HELLO_ANSWER_US)
        return "refused: hello_required";
    peer->hello_answered_us = now_us ? now_us : 1;
    answer_count_refusal(core, peer);
    struct message ask = {.kind = KIND_CONTROL, .type = text_of("hello_required")};
    answer_send(core, peer, &ask);
    return "refused: hello_required";
}
