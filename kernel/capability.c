/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/capability.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/clock.h"
#include "kernel/json.h"
#include "kernel/message.h"
#include "kernel/pack.h"

static const char INVALID_WORD[] = "invalid_capability_payload";
static const char SIGNATURE_PREFIX[] = "ed25519:";

enum {
    ID_RANDOM_BYTES = 6, /* "cap_" and 12 hex digits */
    ID_SIZE = sizeof "cap_" + 2 * ID_RANDOM_BYTES,
    SIGNATURE_TEXT_SIZE = sizeof SIGNATURE_PREFIX + 2 * crypto_sign_BYTES
};

struct capability {
    char *id;
    char *subject;
    char *action;
    char *resource;
    char *parent_id; /* NULL: none */
    bool limited;
    int64_t uses;
    uint64_t issued_us;
    uint64_t expires_us;
    struct buffer constraints;
    bool is_signed; /* the signature has the form of one */
    uint8_t signature[crypto_sign_BYTES];
    struct buffer signed_bytes;
};

/* ---- parsing ---- */

static const char *
type_word(enum value_type type)
{
    static const char *const words[] = {
        [VALUE_NIL] = "null",       [VALUE_BOOL] = "a boolean",  [VALUE_UINT] = "an integer",
        [VALUE_INT] = "an integer", [VALUE_DOUBLE] = "a number", [VALUE_TEXT] = "text",
        [VALUE_BIN] = "binary",     [VALUE_ARRAY] = "a list",    [VALUE_MAP] = "an object",
        [VALUE_EXT] = "binary",
    };
    return words[type];
}

static enum status
refuse(struct error *error, const char *member, const char *came, const char *expected)
{
    error_set_word(error, INVALID_WORD, "capability: %s is %s, expected %s", member, came,
                   expected);
    return STATUS_INVALID;
}

/* Finds a member that must be text. Names and paths end at a NUL elsewhere, so one inside would
 * make two readers see two different rights. */
static enum status
find_text(const struct value *token, const char *member, struct text *text, struct error *error)
{
    struct value value;
    if (!value_find(token, member, &value))
        return refuse(error, member, "missing", "text");
    if (value.type != VALUE_TEXT)
        return refuse(error, member, type_word(value.type), "text");
    if (value.as.text.size > 0 && memchr(value.as.text.data, '\0', value.as.text.size))
        return refuse(error, member, "text with a NUL", "text without");
    *text = value.as.text;
    return STATUS_OK;
}

static enum status
copy_text(const struct value *token, const char *member, char **copy, struct error *error)
{
    struct text text;
    enum status status = find_text(token, member, &text, error);
    if (status != STATUS_OK)
        return status;
    *copy = text_copy(text);
    if (!*copy) {
        error_set(error, "out of memory for a capability");
        return STATUS_NOMEM;
    }
    return STATUS_OK;
}

static enum status
read_time(const struct value *token, const char *member, uint64_t *time_us, struct error *error)
{
    struct text text;
    enum status status = find_text(token, member, &text, error);
    if (status != STATUS_OK)
        return status;
    if (!timestamp_parse(text, time_us))
        return refuse(error, member, "text of another form", "an ISO 8601 time");
    return STATUS_OK;
}

static enum status
read_uses(struct capability *capability, const struct value *token, struct error *error)
{
    struct value value;
    if (!value_find(token, "uses_remaining", &value) || value.type == VALUE_NIL)
        return STATUS_OK;
    if (value.type == VALUE_INT)
        capability->uses = value.as.integer;
    else if (value.type == VALUE_UINT && value.as.uint <= INT64_MAX)
        capability->uses = (int64_t)value.as.uint;
    else
        return refuse(error, "uses_remaining",
                      value.type == VALUE_UINT ? "too large" : type_word(value.type),
                      "an integer or null");
    capability->limited = true;
    return STATUS_OK;
}

static enum status
read_parent(struct capability *capability, const struct value *token, struct error *error)
{
    struct value value;
    if (!value_find(token, "parent_id", &value) || value.type == VALUE_NIL)
        return STATUS_OK;
    return copy_text(token, "parent_id", &capability->parent_id, error);
}

static bool
read_hex(struct text hex, uint8_t *bytes, size_t size)
{
    size_t written;
    return hex.size == 2 * size &&
           sodium_hex2bin(bytes, size, hex.data, hex.size, NULL, &written, NULL) == 0 &&
           written == size;
}

/* null or text of another form is an unsigned token: well-formed, but never valid. */
static enum status
read_signature(struct capability *capability, const struct value *token, struct error *error)
{
    struct value value;
    if (!value_find(token, "signature", &value))
        return refuse(error, "signature", "missing", "text \"ed25519:<128 hex digits>\"");
    if (value.type == VALUE_NIL)
        return STATUS_OK;
    if (value.type != VALUE_TEXT)
        return refuse(error, "signature", type_word(value.type), "text");
    struct text hex = value.as.text;
    if (!text_starts_with(hex, SIGNATURE_PREFIX))
        return STATUS_OK;
    hex.data += sizeof SIGNATURE_PREFIX - 1;
    hex.size -= sizeof SIGNATURE_PREFIX - 1;
    capability->is_signed = read_hex(hex, capability->signature, sizeof capability->signature);
    return STATUS_OK;
}

/* The signed members as they stand in the token; what may be absent signs as its default. */
static enum status
make_signed_bytes(struct capability *capability, const struct value *token, struct error *error)
{
    static const struct {
        const char *name;
        bool map; /* default {}, else null */
    } members[] = {
        {"id", false},         {"subject", false},    {"action", false},
        {"resource", false},   {"constraints", true}, {"issued_at", false},
        {"expires_at", false}, {"issuer", false},     {"uses_remaining", false},
        {"parent_id", false},
    };
    const uint32_t count = sizeof members / sizeof members[0];
    struct buffer packed;
    buffer_init(&packed);
    pack_map(&packed, count);
    for (size_t i = 0; i < count; i++) {
        struct value value;
        pack_string(&packed, members[i].name);
        if (value_find(token, members[i].name, &value))
            pack_raw(&packed, value.raw);
        else if (members[i].map)
            pack_map(&packed, 0);
        else
            pack_nil(&packed);
    }
    enum status status = STATUS_NOMEM;
    if (!packed.failed)
        status = json_canonical(buffer_bytes(&packed), &capability->signed_bytes, error);
    buffer_clear(&packed);
    return status;
}

static enum status
read_members(struct capability *capability, const struct value *token, struct error *error)
{
    if (token->type != VALUE_MAP)
        return refuse(error, "the token", type_word(token->type), "an object");
    struct value constraints = {0};
    if (value_find(token, "constraints", &constraints) && constraints.type != VALUE_MAP)
        return refuse(error, "constraints", type_word(constraints.type), "an object");
    if (constraints.type == VALUE_MAP)
        buffer_append(&capability->constraints, constraints.raw.data, constraints.raw.size);
    if (capability->constraints.failed)
        return STATUS_NOMEM;

    struct text issuer;
    enum status status = copy_text(token, "id", &capability->id, error);
    if (status == STATUS_OK)
        status = copy_text(token, "subject", &capability->subject, error);
    if (status == STATUS_OK)
        status = copy_text(token, "action", &capability->action, error);
    if (status == STATUS_OK)
        status = copy_text(token, "resource", &capability->resource, error);
    if (status == STATUS_OK)
        status = find_text(token, "issuer", &issuer, error);
    if (status == STATUS_OK)
        status = read_time(token, "issued_at", &capability->issued_us, error);
    if (status == STATUS_OK)
        status = read_time(token, "expires_at", &capability->expires_us, error);
    if (status == STATUS_OK)
        status = read_uses(capability, token, error);
    if (status == STATUS_OK)
        status = read_parent(capability, token, error);
    if (status == STATUS_OK)
        status = read_signature(capability, token, error);
    if (status == STATUS_OK)
        status = make_signed_bytes(capability, token, error);
    return status;
}

static struct text
trim(struct text text)
{
    while (text.size > 0 && strchr(" \t\r\n", text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && strchr(" \t\r\n", text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Decodes base64url into json and moves *token there; JSON stays as it is. */
static enum status
decode_token(struct text *token, char json[static MESSAGE_CAPABILITY_MAX], struct error *error)
{
    struct text text = trim(*token);
    if (text.size == 0)
        return refuse(error, "the token", "empty", "a JSON object or its base64url form");
    if (text.size > MESSAGE_CAPABILITY_MAX)
        return refuse(error, "the token", "too long", "at most 8192 bytes");
    if (text.data[0] != '{') {
        for (int padding = 0; padding < 2 && text.size > 0 && text.data[text.size - 1] == '=';
             padding++)
            text.size--;
        size_t size;
        if (sodium_base642bin((unsigned char *)json, MESSAGE_CAPABILITY_MAX, text.data, text.size,
                              NULL, &size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
            return refuse(error, "the token", "other text", "a JSON object or its base64url form");
        text = (struct text){json, size};
    }
    *token = text;
    return STATUS_OK;
}

static enum status
token_to_msgpack(struct text token, struct buffer *packed, struct error *error)
{
    char json[MESSAGE_CAPABILITY_MAX];
    enum status status = decode_token(&token, json, error);
    if (status != STATUS_OK)
        return status;
    struct json_parser *parser = json_parser_new();
    if (!parser) {
        error_set(error, "out of memory for a capability");
        return STATUS_NOMEM;
    }
    struct error cause = ERROR_INIT;
    status = json_to_msgpack(parser, token, packed, &cause);
    json_parser_destroy(&parser);
    if (status != STATUS_OK)
        error_set_word(error, status == STATUS_INVALID ? INVALID_WORD : "", "capability: %s",
                       cause.message);
    return status;
}

enum status
capability_parse(struct capability **capability_p, struct text token, struct error *error)
{
    struct buffer packed;
    buffer_init(&packed);
    struct capability *capability = calloc(1, sizeof *capability);
    enum status status = STATUS_NOMEM;
    if (!capability) {
        error_set(error, "out of memory for a capability");
        goto fail;
    }
    buffer_init(&capability->signed_bytes);
    buffer_init(&capability->constraints);
    status = token_to_msgpack(token, &packed, error);
    if (status != STATUS_OK)
        goto fail;
    struct value value;
    if (!value_parse(buffer_bytes(&packed), &value)) {
        status = refuse(error, "the token", "nested too deep", "a flat object");
        goto fail;
    }
    status = read_members(capability, &value, error);
    if (status != STATUS_OK)
        goto fail;
    buffer_clear(&packed);
    *capability_p = capability;
    return STATUS_OK;

fail:
    buffer_clear(&packed);
    capability_destroy(&capability);
    return status;
}

void
capability_destroy(struct capability **capability_p)
{
    struct capability *capability = *capability_p;
    if (!capability)
        return;
    free(capability->id);
    free(capability->subject);
    free(capability->action);
    free(capability->resource);
    free(capability->parent_id);
    buffer_clear(&capability->signed_bytes);
    buffer_clear(&capability->constraints);
    free(capability);
    *capability_p = NULL;
}

/* ---- reading ---- */

const char *
capability_id(const struct capability *capability)
{
    return capability->id;
}

const char *
capability_subject(const struct capability *capability)
{
    return capability->subject;
}

const char *
capability_action(const struct capability *capability)
{
    return capability->action;
}

const char *
capability_resource(const struct capability *capability)
{
    return capability->resource;
}

const char *
capability_parent_id(const struct capability *capability)
{
    return capability->parent_id ? capability->parent_id : "";
}

bool
capability_has_parent(const struct capability *capability)
{
    return capability->parent_id != NULL;
}

uint64_t
capability_issued_us(const struct capability *capability)
{
    return capability->issued_us;
}

struct bytes
capability_constraints(const struct capability *capability)
{
    return buffer_bytes(&capability->constraints);
}

uint64_t
capability_expires_us(const struct capability *capability)
{
    return capability->expires_us;
}

bool
capability_uses_remaining(const struct capability *capability, int64_t *uses)
{
    if (!capability->limited)
        return false;
    *uses = capability->uses;
    return true;
}

enum status
capability_signed_bytes(const struct capability *capability, struct buffer *out)
{
    buffer_append_text(out, buffer_text(&capability->signed_bytes));
    return out->failed ? STATUS_NOMEM : STATUS_OK;
}

/* ---- checking ---- */

static bool
is_signed_by(const struct capability *capability, const struct ed25519_public_key *key)
{
    return capability->is_signed &&
           crypto_sign_verify_detached(capability->signature, capability->signed_bytes.data,
                                       capability->signed_bytes.size, key->bytes) == 0;
}

enum status
capability_check_signature(const struct capability *capability,
                           const struct ed25519_public_key *keys, size_t key_count,
                           struct error *error)
{
    for (size_t i = 0; i < key_count; i++)
        if (is_signed_by(capability, &keys[i]))
            return STATUS_OK;
    error_set(error, "capability %s: %s", capability->id,
              capability->is_signed
                  ? "the signature is not of a key that counts here, or the token was changed"
                  : "it carries no signature of the form ed25519:<128 hex digits>");
    return STATUS_TOKEN_INVALID;
}

static enum status
check_expiry(const struct capability *capability, uint64_t now_us, struct error *error)
{
    if (now_us < capability->expires_us)
        return STATUS_OK;
    char stamp[TIMESTAMP_TEXT_SIZE];
    timestamp_format(capability->expires_us, stamp);
    error_set(error, "capability %s expired at %s", capability->id, stamp);
    return STATUS_TOKEN_EXPIRED;
}

static enum status
check_scope(const struct capability *capability, const struct capability_request *request,
            struct error *error)
{
    if (!text_is_empty(request->subject) &&
        !text_equal_string(request->subject, capability->subject)) {
        error_set_word(error, "capability_subject_mismatch",
                       "capability %s is for %s, not for %.*s", capability->id, capability->subject,
                       TEXT_ARGS(request->subject));
        return STATUS_SCOPE_DENIED;
    }
    if (!text_equal_string(request->action, capability->action)) {
        error_set(error, "capability %s allows %s, this needs %.*s", capability->id,
                  capability->action, TEXT_ARGS(request->action));
        return STATUS_SCOPE_DENIED;
    }
    struct text allowed = text_of(capability->resource);
    bool covered = request->is_pattern ? glob_covers(allowed, request->resource)
                                       : glob_match(allowed, request->resource);
    if (!covered) {
        error_set(error, "capability %s covers %s, this needs %.*s", capability->id,
                  capability->resource, TEXT_ARGS(request->resource));
        return STATUS_SCOPE_DENIED;
    }
    return STATUS_OK;
}

enum status
capability_check_terms(const struct capability *capability,
                       const struct capability_request *request, uint64_t now_us,
                       struct error *error)
{
    enum status status = check_expiry(capability, now_us, error);
    if (status != STATUS_OK)
        return status;
    if (capability->limited && capability->uses <= 0) {
        error_set_word(error, "capability_used_up", "capability %s has no uses left",
                       capability->id);
        return STATUS_SCOPE_DENIED;
    }
    return check_scope(capability, request, error);
}

enum status
capability_check(const struct capability *capability, const struct ed25519_public_key *keys,
                 size_t key_count, const struct capability_request *request, uint64_t now_us,
                 struct error *error)
{
    enum status status = capability_check_signature(capability, keys, key_count, error);
    if (status != STATUS_OK)
        return status;
    return capability_check_terms(capability, request, now_us, error);
}

/* ---- issuing ---- */

static enum status
append_unsigned(struct buffer *packed, const struct capability_grant *grant, uint32_t count,
                struct error *error)
{
    struct value constraints;
    if (grant->constraints.size > 0 &&
        (!value_parse(grant->constraints, &constraints) || constraints.type != VALUE_MAP)) {
        error_set(error, "the constraints of a capability are no map");
        return STATUS_INVALID;
    }
    uint8_t random[ID_RANDOM_BYTES];
    char hex[2 * ID_RANDOM_BYTES + 1], id[ID_SIZE];
    char issued_at[TIMESTAMP_TEXT_SIZE], expires_at[TIMESTAMP_TEXT_SIZE];
    if (sodium_init() < 0) {
        error_set(error, "no source of random bytes");
        return STATUS_INTERNAL;
    }
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(hex, sizeof hex, random, sizeof random);
    snprintf(id, sizeof id, "cap_%s", hex);
    timestamp_format(grant->issued_us, issued_at);
    timestamp_format(grant->expires_us, expires_at);

    pack_map(packed, count);
    pack_pair_string(packed, "id", id);
    pack_pair_string(packed, "subject", grant->subject);
    pack_pair_string(packed, "action", grant->action);
    pack_pair_string(packed, "resource", grant->resource);
    pack_string(packed, "constraints");
    if (grant->constraints.size > 0)
        pack_raw(packed, grant->constraints);
    else
        pack_map(packed, 0);
    pack_pair_string(packed, "issued_at", issued_at);
    pack_pair_string(packed, "expires_at", expires_at);
    pack_pair_string(packed, "issuer", "river");
    if (grant->limited)
        pack_pair_int(packed, "uses_remaining", grant->uses);
    else
        pack_pair_nil(packed, "uses_remaining");
    pack_pair_string(packed, "parent_id", grant->parent_id);
    return STATUS_OK;
}

static void
sign(struct text message, const struct ed25519_secret_key *key,
     char text[static SIGNATURE_TEXT_SIZE])
{
    uint8_t signature[crypto_sign_BYTES];
    char hex[2 * crypto_sign_BYTES + 1];
    crypto_sign_detached(signature, NULL, (const unsigned char *)message.data, message.size,
                         key->bytes);
    sodium_bin2hex(hex, sizeof hex, signature, sizeof signature);
    snprintf(text, SIGNATURE_TEXT_SIZE, "%s%s", SIGNATURE_PREFIX, hex);
}

enum status
capability_issue(struct buffer *out, const struct capability_grant *grant,
                 const struct ed25519_secret_key *key, struct error *error)
{
    const uint32_t signed_members = 10;
    char signature[SIGNATURE_TEXT_SIZE];
    struct buffer packed, message;
    buffer_init(&packed);
    buffer_init(&message);

    enum status status = append_unsigned(&packed, grant, signed_members, error);
    if (status == STATUS_OK && packed.failed)
        status = STATUS_NOMEM;
    if (status == STATUS_OK)
        status = json_canonical(buffer_bytes(&packed), &message, error);
    if (status == STATUS_OK) {
        sign(buffer_text(&message), key, signature);
        message.size--; /* the closing brace: the signature joins the signed members */
        buffer_append_format(&message, ", \"signature\": \"%s\"}", signature);
        if (!message.failed)
            buffer_append_text(out, buffer_text(&message));
        if (message.failed || out->failed)
            status = STATUS_NOMEM;
    }
    if (status == STATUS_NOMEM)
        error_set(error, "out of memory for a capability");
    buffer_clear(&packed);
    buffer_clear(&message);
    return status;
}
