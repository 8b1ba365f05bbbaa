/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/pairing_row.h"

#include <sodium.h>

#include "actors/identity/grant_rows.h"
#include "kernel/capability.h"
#include "kernel/state.h"

/* Digits and capital letters without 0 1 I O. */
static const char alphabet[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
_Static_assert(sizeof alphabet == 32 + 1, "five bits a character");

static const char *const state_words[PAIRING_STATES] = {
#define PAIRING_STATE_WORD(id, word) word,
    PAIRING_STATE_MAP(PAIRING_STATE_WORD)
#undef PAIRING_STATE_WORD
};
static const char *const event_words[PAIRING_EVENTS] = {"approve", "lock"};

static const struct state_row rows[] = {
    {PAIRING_PENDING, PAIRING_APPROVE, PAIRING_APPROVED},
    {PAIRING_PENDING, PAIRING_LOCK, PAIRING_LOCKED},
};

static const struct state_machine machine = {.name = "pairing",
                                             .state_names = state_words,
                                             .state_count = PAIRING_STATES,
                                             .event_names = event_words,
                                             .event_count = PAIRING_EVENTS,
                                             .rows = rows,
                                             .row_count = sizeof rows / sizeof rows[0]};

const char *
pairing_state_word(enum pairing_state state)
{
    return state_words[state];
}

enum status
pairing_step(struct pairing *pairing, enum pairing_event event, struct error *error)
{
    int state = (int)pairing->state;
    enum status status = state_step(&machine, &state, (int)event, error);
    pairing->state = (enum pairing_state)state;
    return status;
}

/* ---- names */

bool
channel_name_is_valid(struct text name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
        if (!good)
            return false;
    }
    return name.size > 0 && name.size <= CHANNEL_NAME_MAX;
}

bool
sender_id_is_valid(struct text id)
{
    for (size_t i = 0; i < id.size; i++) {
        unsigned char c = (unsigned char)id.data[i];
        if (c < ' ' || c == 0x7f || c == ']')
            return false;
    }
    return id.size > 0 && id.size <= SENDER_ID_MAX && text_is_utf8(id) && !glob_is_pattern(id);
}

/* ---- codes */

void
pairing_code_make(char code[static PAIRING_CODE_SIZE + 1])
{
    uint8_t random[PAIRING_CODE_SIZE];
    randombytes_buf(random, sizeof random);
    for (size_t i = 0; i < PAIRING_CODE_SIZE; i++)
        code[i] = alphabet[random[i] & 31];
    code[PAIRING_CODE_SIZE] = '\0';
    sodium_memzero(random, sizeof random);
}

bool
pairing_code_read(struct text typed, char code[static PAIRING_CODE_SIZE + 1])
{
    size_t size = 0;
    for (size_t i = 0; i < typed.size; i++) {
        char c = typed.data[i];
        if (c == '-' || c == ' ')
            continue;
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (size == PAIRING_CODE_SIZE || c == '\0' || !strchr(alphabet, c))
            return false;
        code[size++] = c;
    }
    code[size] = '\0';
    return size == PAIRING_CODE_SIZE;
}

void
pairing_code_hash(const struct secret_key *key, struct text channel,
                  const char code[static PAIRING_CODE_SIZE], uint8_t hash[static PAIRING_HASH_SIZE])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, key->bytes, sizeof key->bytes, PAIRING_HASH_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)code, PAIRING_CODE_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)channel.data, channel.size);
    crypto_generichash_final(&state, hash, PAIRING_HASH_SIZE);
}

/* ---- rows */

void
append_channel(struct buffer *key, struct text channel)
{
    buffer_append_text(key, channel);
    buffer_append_byte(key, 0);
}

static bool
copy(char *to, size_t capacity, struct text text)
{
    if (text.size >= capacity)
        return false;
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return true;
}

/* The channel that a key begins with, and what stands behind its NUL. */
static bool
split(struct bytes key, char channel[static CHANNEL_NAME_MAX + 1], struct bytes *rest)
{
    const uint8_t *end = key.size > 0 ? memchr(key.data, 0, key.size) : NULL;
    if (!end)
        return false;
    struct text name = {(const char *)key.data, (size_t)(end - key.data)};
    *rest = (struct bytes){end + 1, key.size - name.size - 1};
    return channel_name_is_valid(name) && copy(channel, CHANNEL_NAME_MAX + 1, name);
}

static bool
read_state(const struct value *map, enum pairing_state *state)
{
    struct text word;
    if (!value_find_text(map, "state", &word))
        return false;
    for (int i = 0; i < PAIRING_STATES; i++) {
        if (text_equal_string(word, state_words[i])) {
            *state = (enum pairing_state)i;
            return true;
        }
    }
    return false;
}

bool
pairing_decode(struct bytes key, struct bytes value, struct pairing *pairing)
{
    struct value map;
    struct bytes hash;
    *pairing = (struct pairing){0};
    if (!split(key, pairing->channel, &hash) || hash.size != sizeof pairing->hash ||
        !value_parse(value, &map))
        return false;
    memcpy(pairing->hash, hash.data, hash.size);
    return read_state(&map, &pairing->state) &&
           rows_read_text(&map, "sender_id", pairing->sender_id, sizeof pairing->sender_id) &&
           sender_id_is_valid(text_of(pairing->sender_id)) &&
           rows_read_text(&map, "agent_id", pairing->agent_id, sizeof pairing->agent_id) &&
           value_find_uint(&map, "issued_us", &pairing->issued_us) &&
           value_find_uint(&map, "expires_us", &pairing->expires_us) &&
           value_find_uint(&map, "guesses", &pairing->guesses);
}

bool
guesses_decode(struct bytes value, struct guesses *guesses)
{
    struct value map;
    return value_parse(value, &map) && value_find_uint(&map, "count", &guesses->count) &&
           value_find_uint(&map, "since_us", &guesses->since_us) &&
           value_find_uint(&map, "locked_us", &guesses->locked_us);
}

bool
allowed_decode(struct bytes key, struct bytes value, struct allowed *allowed)
{
    struct value map;
    struct bytes sender;
    *allowed = (struct allowed){0};
    if (!split(key, allowed->channel, &sender) || !value_parse(value, &map))
        return false;
    struct text id = {(const char *)sender.data, sender.size};
    return sender_id_is_valid(id) && copy(allowed->sender_id, sizeof allowed->sender_id, id) &&
           rows_read_text(&map, "agent_id", allowed->agent_id, sizeof allowed->agent_id) &&
           rows_read_text(&map, "approver_id", allowed->approver_id, sizeof allowed->approver_id) &&
           rows_read_text(&map, "capability_id", allowed->capability_id,
                          sizeof allowed->capability_id) &&
           value_find_uint(&map, "approved_us", &allowed->approved_us) &&
           value_find_uint(&map, "expires_us", &allowed->expires_us);
}

/* value NULL: the row goes. Both are cleared. */
static void
write_row(struct outcome *outcome, store_space space, struct buffer *key, struct buffer *value)
{
    if (key->failed || (value && value->failed))
        outcome_reply(outcome)->failed = true;
    else if (value)
        outcome_put(outcome, space, buffer_bytes(key), buffer_bytes(value));
    else
        outcome_delete(outcome, space, buffer_bytes(key));
    buffer_clear(key);
    if (value)
        buffer_clear(value);
}

static void
start_key(struct buffer *key, const char *channel, const void *rest, size_t size)
{
    buffer_init(key);
    append_channel(key, text_of(channel));
    buffer_append(key, rest, size);
}

void
pairing_put(struct outcome *outcome, const struct pairing *pairing)
{
    struct buffer key, value;
    start_key(&key, pairing->channel, pairing->hash, sizeof pairing->hash);
    buffer_init(&value);
    pack_map(&value, 6);
    pack_pair_string(&value, "state", state_words[pairing->state]);
    pack_pair_string(&value, "sender_id", pairing->sender_id);
    pack_pair_string(&value, "agent_id", pairing->agent_id);
    pack_pair_uint(&value, "issued_us", pairing->issued_us);
    pack_pair_uint(&value, "expires_us", pairing->expires_us);
    pack_pair_uint(&value, "guesses", pairing->guesses);
    write_row(outcome, SPACE_PAIRING, &key, &value);
}

void
pairing_delete(struct outcome *outcome, const struct pairing *pairing)
{
    struct buffer key;
    start_key(&key, pairing->channel, pairing->hash, sizeof pairing->hash);
    write_row(outcome, SPACE_PAIRING, &key, NULL);
}

void
guesses_put(struct outcome *outcome, struct text channel, const struct guesses *guesses)
{
    struct buffer key, value;
    buffer_init(&key);
    buffer_init(&value);
    buffer_append_text(&key, channel);
    pack_map(&value, 3);
    pack_pair_uint(&value, "count", guesses->count);
    pack_pair_uint(&value, "since_us", guesses->since_us);
    pack_pair_uint(&value, "locked_us", guesses->locked_us);
    write_row(outcome, SPACE_GUESSES, &key, &value);
}

void
allowed_put(struct outcome *outcome, const struct allowed *allowed)
{
    struct buffer key, value;
    start_key(&key, allowed->channel, allowed->sender_id, strlen(allowed->sender_id));
    buffer_init(&value);
    pack_map(&value, 5);
    pack_pair_string(&value, "agent_id", allowed->agent_id);
    pack_pair_string(&value, "approver_id", allowed->approver_id);
    pack_pair_string(&value, "capability_id", allowed->capability_id);
    pack_pair_uint(&value, "approved_us", allowed->approved_us);
    pack_pair_uint(&value, "expires_us", allowed->expires_us);
    write_row(outcome, SPACE_ALLOWED, &key, &value);
}

void
allowed_delete(struct outcome *outcome, const struct allowed *allowed)
{
    struct buffer key;
    start_key(&key, allowed->channel, allowed->sender_id, strlen(allowed->sender_id));
    write_row(outcome, SPACE_ALLOWED, &key, NULL);
}

enum status
pairing_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct pairing pairing;
    struct guesses guesses;
    struct allowed allowed;
    bool good = true;
    if (space == SPACE_PAIRING)
        good = pairing_decode(key, value, &pairing);
    else if (space == SPACE_GUESSES)
        good = channel_name_is_valid((struct text){(const char *)key.data, key.size}) &&
               guesses_decode(value, &guesses);
    else if (space == SPACE_ALLOWED)
        good = allowed_decode(key, value, &allowed);
    if (good)
        return STATUS_OK;
    error_set(error, "not a row of a pairing or an allowlist");
    return STATUS_STORE_FAILED;
}
