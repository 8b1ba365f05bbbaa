/* SPDX-License-Identifier: Apache-2.0 */
/* Records of inboxes and channels. The peer only carries them: what was not answered, which
 * channels a lost session listened to, and what is said again is its owner's to know. */
#include "sdk/c/peer_internal.h"

static bool
is_sayable(enum kind kind)
{
    switch (kind) {
    case KIND_SEND:
    case KIND_ACK:
    case KIND_NACK:
    case KIND_PUBLISH:
    case KIND_SUBSCRIBE:
    case KIND_UNSUBSCRIBE:
    case KIND_CONTROL:
        return true;
    default:
        return false;
    }
}

static enum status
check_session(const struct peer *peer, struct error *error)
{
    if (peer_is_connected(peer))
        return STATUS_OK;
    if (*peer->refusal.message && error)
        *error = peer->refusal;
    else
        error_set(error, "not connected to %s", peer->connection.endpoint);
    return STATUS_UNAVAILABLE;
}

enum status
peer_say(struct peer *peer, const struct message *message, struct uuid *id, struct error *error)
{
    if (!is_sayable(message->kind)) {
        error_set(error, "a peer does not say %s by itself", kind_word(message->kind));
        return STATUS_INVALID;
    }
    enum status status = check_session(peer, error);
    if (status != STATUS_OK)
        return status;
    struct message fresh = peer_message(peer, message->kind);
    struct message said = *message;
    said.source = fresh.source;
    if (uuid_is_nil(&said.id))
        said.id = fresh.id;
    if (said.timestamp_us == 0)
        said.timestamp_us = fresh.timestamp_us;
    status = peer_post(peer, &said, false, error);
    if (status == STATUS_OK && id)
        *id = said.id;
    return status;
}

enum status
peer_say_record(struct peer *peer, struct bytes record, struct error *error)
{
    enum status status = check_session(peer, error);
    if (status == STATUS_OK)
        status = peer_post_record(peer, record, false, error);
    return status;
}

static bool
is_of_the_bus(const struct message *message)
{
    switch (message->kind) {
    case KIND_DELIVER:
    case KIND_EVENT:
    case KIND_ACK:
    case KIND_ERROR:
        return true;
    case KIND_CONTROL:
        return text_equal_string(message->type, "events_dropped") ||
               text_equal_string(message->type, "capabilities_revoked") ||
               text_equal_string(message->type, "policy_changed");
    default:
        return false;
    }
}

bool
bus_receive(struct peer *peer, const struct message *message)
{
    if (!is_of_the_bus(message))
        return false;
    bool told = message->kind != KIND_ERROR || !uuid_is_nil(&message->correlation);
    if (peer->callbacks.on_bus && told) {
        peer->callbacks.on_bus(peer->callbacks.context, message);
    } else if (message->kind == KIND_ERROR) {
        struct error error = ERROR_INIT;
        error_unpack(message->payload, &error);
        log_warn(peer->logger, "the broker refused a record: %s", error.message);
    }
    return true;
}
