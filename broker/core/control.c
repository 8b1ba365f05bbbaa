/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/control.h"

#include "broker/core/access.h"
#include "broker/core/answer.h"
#include "broker/core/mail.h"
#include "broker/core/peers.h"
#include "broker/core/presence.h"
#include "broker/core/revoke.h"
#include "broker/core/stream.h"
#include "kernel/identity.h"
#include "kernel/pack.h"

/* Each takes at most 380 bytes of a record. */
enum { KEY_LIST_MAX = 500 };

typedef enum status change_fn(struct core *core, const struct value *payload, struct buffer *out,
                              struct error *error);

static enum status
key_list(struct core *core, const struct value *payload, struct buffer *out, struct error *error)
{
    struct text after = {NULL, 0};
    uint64_t limit = KEY_LIST_MAX;
    struct value member;
    if ((value_find(payload, "after", &member) && !value_find_text(payload, "after", &after)) ||
        (value_find(payload, "limit", &member) && !value_find_uint(payload, "limit", &limit)) ||
        limit == 0 || limit > KEY_LIST_MAX) {
        error_set(error, "key_list: after is expected to be a text, limit 1 to %d", KEY_LIST_MAX);
        return STATUS_INVALID;
    }
    bool more = false;
    pack_map(out, 2);
    pack_string(out, "keys");
    enum status status =
        core->sink.key_list(core->sink.context, after, (uint32_t)limit, out, &more, error);
    if (status == STATUS_OK)
        pack_pair_bool(out, "more", more);
    return status;
}

/* Who holds such a key is made by hand, offline: the identity service must not be a way to them. */
static bool
is_reserved(struct text identity)
{
    return text_starts_with(identity, "service:") || text_starts_with(identity, "system:") ||
           text_equal_string(identity, "user:operator") || identity_is_anonymous(identity);
}

static enum status
read_access(const struct value *payload, enum access *access, struct error *error)
{
    struct text word;
    struct value member;
    *access = ACCESS_FULL;
    if (!value_find(payload, "access", &member) || member.type == VALUE_NIL)
        return STATUS_OK;
    if (value_find_text(payload, "access", &word) && access_parse(word, access) &&
        *access != ACCESS_NONE)
        return STATUS_OK;
    error_set(error, "access: expected full, read_only or onboarding");
    return STATUS_INVALID;
}

static enum status
check_identity(struct text identity, struct error *error)
{
    struct identity parsed;
    enum status status = identity_parse(identity, &parsed, error);
    if (status == STATUS_OK && is_reserved(identity)) {
        error_set_word(error, "identity_reserved",
                       "keys of service:, system:, user:operator and user:anonymous- are not "
                       "changed over the bus");
        status = STATUS_FORBIDDEN;
    }
    return status;
}

/* In the sessions that run, too. */
static enum status
apply_access(struct core *core, struct text identity, enum access access)
{
    enum status status = access_set(core->accesses, identity, access);
    for (struct list_node *node = core->all_peers.next; node != &core->all_peers;
         node = node->next) {
        struct peer *peer = CONTAINER_OF(node, struct peer, all);
        if (peer->access != access && text_equal(peer->identity, identity))
            peer_set_access(core, peer, access);
    }
    return status;
}

static enum status
key_add(struct core *core, const struct value *payload, struct buffer *out, struct error *error)
{
    enum access access;
    struct text identity, key;
    if (!value_find_text(payload, "identity", &identity) ||
        !value_find_text(payload, "curve_public_key", &key)) {
        error_set(error, "key_add: expected a map with identity and curve_public_key (texts)");
        return STATUS_INVALID;
    }
    enum status status = check_identity(identity, error);
    if (status == STATUS_OK)
        status = read_access(payload, &access, error);
    if (status == STATUS_OK)
        status = core->sink.key_add(core->sink.context, identity, key, access, error);
    if (status == STATUS_OK)
        status = apply_access(core, identity, access);
    if (status == STATUS_OK) {
        pack_map(out, 0);
        event_tell(core, "key.added", "identity", identity);
    }
    return status;
}

static enum status
key_access(struct core *core, const struct value *payload, struct buffer *out, struct error *error)
{
    enum access access;
    struct text identity, word;
    if (!value_find_text(payload, "identity", &identity) ||
        !value_find_text(payload, "access", &word)) {
        error_set(error, "key_access: expected a map with identity and access (texts)");
        return STATUS_INVALID;
    }
    enum status status = check_identity(identity, error);
    if (status == STATUS_OK)
        status = read_access(payload, &access, error);
    if (status != STATUS_OK)
        return status;
    status = core->sink.key_access(core->sink.context, identity, access, error);
    /* Less holds at once even if the table could not be written; the caller knows that a restart
     * would not remember it. */
    if (status == STATUS_OK || access > access_of(core->accesses, identity)) {
        enum status applied = apply_access(core, identity, access);
        status = status == STATUS_OK ? applied : status;
    }
    if (status == STATUS_OK) {
        pack_map(out, 0);
        event_tell(core, "key.access", "identity", identity);
    }
    return status;
}

/* key: of those that came with it alone; empty: of all. */
static void
cut_sessions(struct core *core, struct text identity, struct text key)
{
    for (struct list_node *node = core->all_peers.next; node != &core->all_peers;
         node = node->next) {
        struct peer *peer = CONTAINER_OF(node, struct peer, all);
        if (text_equal(peer->identity, identity) &&
            (key.size == 0 || text_equal_string(key, peer->key)))
            peer_doom(core, peer, "key_revoked");
    }
}

void
core_revoked(struct core *core, struct text identity, struct now now)
{
    core->now = now;
    cut_sessions(core, identity, (struct text){NULL, 0});
    event_tell(core, "key.revoked", "identity", identity);
    peers_reap(core);
}

static enum status
key_revoke(struct core *core, const struct value *payload, struct buffer *out, struct error *error)
{
    struct text identity, key = {NULL, 0};
    struct value member;
    if (!value_find_text(payload, "identity", &identity) ||
        (value_find(payload, "curve_public_key", &member) && member.type != VALUE_NIL &&
         !value_find_text(payload, "curve_public_key", &key))) {
        error_set(error, "key_revoke: expected a map with identity and, for one key alone, "
                         "curve_public_key (texts)");
        return STATUS_INVALID;
    }
    uint64_t count = 0;
    enum status status = core->sink.key_revoke(core->sink.context, identity, key, &count, error);
    /* Also when the table could not be written: the key is refused from now on, and the caller
     * knows that a restart would not remember it. */
    cut_sessions(core, identity, key);
    if (key.size == 0)
        apply_access(core, identity, ACCESS_NONE);
    if (status == STATUS_OK) {
        pack_map(out, 1);
        pack_pair_uint(out, "revoked", count);
    }
    if (count > 0)
        event_tell(core, "key.revoked", "identity", identity);
    return status;
}

static enum status
key_forget(struct core *core, const struct value *payload, struct buffer *out, struct error *error)
{
    struct text identity, key;
    if (!value_find_text(payload, "identity", &identity) ||
        !value_find_text(payload, "curve_public_key", &key)) {
        error_set(error, "key_forget: expected a map with identity and curve_public_key (texts, "
                         "the key empty when it has none)");
        return STATUS_INVALID;
    }
    enum status status = check_identity(identity, error);
    if (status == STATUS_OK)
        status = core->sink.key_forget(core->sink.context, identity, key, error);
    if (status == STATUS_OK) {
        if (access_of(core->accesses, identity) == ACCESS_ONBOARDING)
            access_set(core->accesses, identity, ACCESS_FULL);
        cut_sessions(core, identity, (struct text){NULL, 0});
        pack_map(out, 0);
        event_tell(core, "key.forgotten", "identity", identity);
    }
    return status;
}

/* Who misses it asks by itself before long. */
static void
tell_services(struct core *core, struct text edition)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_text(&payload, "edition", edition);
    for (struct list_node *node = core->all_peers.next; !payload.failed && node != &core->all_peers;
         node = node->next) {
        struct peer *peer = CONTAINER_OF(node, struct peer, all);
        struct message control = {.kind = KIND_CONTROL,
                                  .type = text_of("policy_changed"),
                                  .payload = buffer_bytes(&payload)};
        if (peer_is_service(peer))
            answer_send(core, peer, &control);
    }
    buffer_clear(&payload);
}

/* Services ask service:identity for what is in force now. */
static enum status
policy_changed(struct core *core, const struct value *payload, struct buffer *out,
               struct error *error)
{
    enum { EDITION_MAX = 32 };
    struct text edition;
    if (!value_find_text(payload, "edition", &edition) || edition.size > EDITION_MAX) {
        error_set(error, "policy_changed: expected a map with edition (text)");
        return STATUS_INVALID;
    }
    event_tell(core, "policy.changed", "edition", edition);
    tell_services(core, edition);
    pack_map(out, 0);
    return STATUS_OK;
}

static const struct {
    const char *type;
    change_fn *run;
} changes[] = {
    {"policy_changed", policy_changed},  {"key_list", key_list},     {"key_add", key_add},
    {"key_access", key_access},          {"key_revoke", key_revoke}, {"key_forget", key_forget},
    {"capability_revoke", revoke_change}};

static const char *
change_keys(struct core *core, struct peer *peer, const struct message *message, change_fn *run)
{
    struct error error = ERROR_INIT;
    if (!text_equal_string(peer->identity, "service:identity")) {
        error_set_word(&error, "not_identity_service",
                       "only service:identity changes keys and revokes capabilities");
        return answer_refuse(core, peer, message, STATUS_FORBIDDEN, &error);
    }
    static const uint8_t nothing[] = {0xc0};
    struct bytes bytes =
        message->payload.size ? message->payload : (struct bytes){nothing, sizeof nothing};
    struct value payload;
    if (!value_parse(bytes, &payload)) {
        error_set(&error, "%.*s: the payload is not msgpack", TEXT_ARGS(message->type));
        answer_failure(core, peer, &message->id, message->type, STATUS_INVALID, &error);
        return VERDICT_ANSWERED;
    }
    buffer_reset(&core->payload);
    enum status status = run(core, &payload, &core->payload, &error);
    if (status == STATUS_OK)
        answer_reply(core, peer, &message->id, message->type, buffer_bytes(&core->payload));
    else
        answer_failure(core, peer, &message->id, message->type, status, &error);
    return VERDICT_ANSWERED;
}

const char *
control_receive(struct core *core, struct peer *peer, const struct message *message)
{
    if (text_equal_string(message->type, "credit"))
        return credit_receive(core, peer, message);
    if (text_equal_string(message->type, "extend"))
        return extend_receive(core, peer, message);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (text_equal_string(message->type, changes[i].type))
            return change_keys(core, peer, message, changes[i].run);
    }
    struct error error = ERROR_INIT;
    error_set_word(&error, "control_unknown", "no such control record");
    return answer_refuse(core, peer, message, STATUS_INVALID, &error);
}
