/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/keyring.h"

#include <sodium.h>

#include "kernel/paths.h"
#include "platform/file.h"

#define KEY_FILE "secrets/master.key"

enum { KEY_FILE_MAX = 256, PROOF_SIZE = 16 };

static const uint8_t row_key[] = "master";
static const struct bytes no_label = {0};

struct keys {
    struct secret_key values, codes;
};

/* The row as it was read. */
struct seal {
    bool by_passphrase;
    struct secret_cost cost; /* of the passphrase */
    struct bytes proof;
};

void
keyring_clear(struct keyring *keyring)
{
    sodium_free(keyring->keys);
    buffer_clear(&keyring->row);
    *keyring = (struct keyring){0};
}

/* ---- the row */

static bool
read_cost(const struct value *map, struct secret_cost *cost)
{
    struct bytes salt;
    if (!value_find_uint(map, "passes", &cost->passes) ||
        !value_find_uint(map, "memory", &cost->memory) || !value_find_bin(map, "salt", &salt) ||
        salt.size != sizeof cost->salt)
        return false;
    memcpy(cost->salt, salt.data, sizeof cost->salt);
    return secret_cost_is_valid(cost);
}

static bool
decode(struct bytes row, struct seal *seal)
{
    struct value map;
    struct text kind;
    *seal = (struct seal){0};
    if (!value_parse(row, &map) || !value_find_text(&map, "kind", &kind) ||
        !value_find_bin(&map, "proof", &seal->proof) ||
        seal->proof.size != PROOF_SIZE + SECRET_BOX_OVERHEAD)
        return false;
    seal->by_passphrase = text_equal_string(kind, "passphrase");
    return seal->by_passphrase ? read_cost(&map, &seal->cost) : text_equal_string(kind, "file");
}

static void
encode(const struct seal *seal, struct buffer *row)
{
    pack_map(row, seal->by_passphrase ? 5 : 2);
    pack_pair_string(row, "kind", seal->by_passphrase ? "passphrase" : "file");
    pack_string(row, "proof");
    pack_bin(row, seal->proof.data, seal->proof.size);
    if (!seal->by_passphrase)
        return;
    pack_pair_uint(row, "passes", seal->cost.passes);
    pack_pair_uint(row, "memory", seal->cost.memory);
    pack_string(row, "salt");
    pack_bin(row, seal->cost.salt, sizeof seal->cost.salt);
}

enum status
keyring_check_row(struct bytes key, struct bytes value, struct error *error)
{
    struct seal seal;
    if (key.size == sizeof row_key - 1 && memcmp(key.data, row_key, key.size) == 0 &&
        decode(value, &seal))
        return STATUS_OK;
    error_set(error, "not the row that says how secrets are sealed");
    return STATUS_STORE_FAILED;
}

/* ---- the master key */

static enum status
locked(struct error *error, const char *words)
{
    error_set_word(error, "secrets_locked", "%s", words);
    return STATUS_UNAVAILABLE;
}

static enum status
find_file(const struct context *context, char path[static PATH_SIZE], struct error *error)
{
    const char *home = context_home(context);
    if (!home)
        return locked(error, "there is no home that could hold " KEY_FILE);
    return paths_join(path, home, KEY_FILE, error);
}

static enum status
load_file(const char *path, struct secret_key *master, struct error *error)
{
    struct buffer content;
    struct error cause = ERROR_INIT;
    buffer_init(&content);
    enum status status = file_load(path, KEY_FILE_MAX, true, &content, &cause);
    if (status == STATUS_OK && !secret_key_parse(buffer_text(&content), master))
        status = locked(error, KEY_FILE ": expected 64 hex digits");
    else if (status == STATUS_FORBIDDEN)
        status = locked(error, KEY_FILE ": others than its owner may read or write it; make its "
                                        "mode 0600");
    else if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        status = locked(error, KEY_FILE " cannot be read");
    secret_buffer_clear(&content);
    return status;
}

static enum status
make_file(const char *path, struct secret_key *master, struct error *error)
{
    struct buffer content;
    buffer_init(&content);
    secret_key_random(master);
    enum status status = STATUS_NOMEM;
    if (buffer_reserve(&content, KEY_FILE_MAX)) {
        secret_key_format(master, &content);
        status = file_save(path, buffer_bytes(&content), 0600, error);
    }
    secret_buffer_clear(&content);
    return status;
}

static enum status
use_file(const struct context *context, bool make, struct secret_key *master, struct error *error)
{
    char path[PATH_SIZE];
    enum status status = find_file(context, path, error);
    if (status == STATUS_OK)
        status = load_file(path, master, error);
    if (status != STATUS_NOT_FOUND)
        return status;
    return make ? make_file(path, master, error)
                : locked(error, KEY_FILE " is missing: put it back from a backup; what it sealed "
                                         "cannot be read without it");
}

static struct text
passphrase_of(const struct context *context)
{
    return text_of(config_string(context_config(context), OPTION_SECRETS_PASSPHRASE));
}

static enum status
use_passphrase(const struct context *context, const struct secret_cost *cost,
               struct secret_key *master, struct error *error)
{
    struct text passphrase = passphrase_of(context);
    if (text_is_empty(passphrase))
        return locked(error, "secrets are sealed by a passphrase: start the identity service with "
                             "SOS_SECRETS_PASSPHRASE, or sos up --ask-passphrase");
    return secret_key_from_passphrase(passphrase, cost, master);
}

/* ---- opening */

static bool
proves(const struct secret_key *master, struct bytes proof)
{
    struct secret_key key;
    struct buffer plain;
    buffer_init(&plain);
    secret_key_derive(master, SECRET_FOR_CHECK, &key);
    bool opens = secret_box_open(&key, no_label, proof, &plain);
    buffer_clear(&plain);
    secret_key_clear(&key);
    return opens;
}

static void
prove(const struct secret_key *master, struct buffer *proof)
{
    static const uint8_t zeros[PROOF_SIZE];
    struct secret_key key;
    secret_key_derive(master, SECRET_FOR_CHECK, &key);
    secret_box_seal(&key, no_label, (struct bytes){zeros, sizeof zeros}, proof);
    secret_key_clear(&key);
}

/* Kept with the row that they belong to: whether that row is on disk yet, and is still the one that
 * counts, shows each time that it is read. */
static enum status
keep(struct keyring *keyring, const struct secret_key *master, struct bytes row)
{
    struct keys *keys = sodium_malloc(sizeof *keys);
    keyring_clear(keyring);
    buffer_append(&keyring->row, row.data, row.size);
    if (!keys || keyring->row.failed) {
        sodium_free(keys);
        keyring_clear(keyring);
        return STATUS_NOMEM;
    }
    secret_key_derive(master, SECRET_FOR_VALUES, &keys->values);
    secret_key_derive(master, SECRET_FOR_CODES, &keys->codes);
    keyring->keys = keys;
    return STATUS_OK;
}

static enum status
unlock(struct keyring *keyring, struct context *context, struct bytes row, struct error *error)
{
    struct seal seal;
    struct secret_key master;
    if (!decode(row, &seal)) {
        error_set(error, "the row that says how secrets are sealed cannot be read");
        return STATUS_STORE_FAILED;
    }
    enum status status = seal.by_passphrase ? use_passphrase(context, &seal.cost, &master, error)
                                            : use_file(context, false, &master, error);
    if (status != STATUS_OK)
        return status;
    if (proves(&master, seal.proof)) {
        status = keep(keyring, &master, row);
    } else {
        status = locked(error, seal.by_passphrase
                                   ? "the passphrase is not the one that secrets are sealed by"
                                   : KEY_FILE " is not the key that secrets are sealed by");
        if (seal.by_passphrase) {
            keyring_clear(keyring);
            buffer_append(&keyring->row, row.data, row.size);
            keyring->refused = !keyring->row.failed;
            keyring->why = *error;
        }
    }
    secret_key_clear(&master);
    return status;
}

static enum status
make(struct keyring *keyring, struct context *context, struct outcome *outcome, struct error *error)
{
    struct seal seal = {.by_passphrase = !text_is_empty(passphrase_of(context))};
    struct secret_key master;
    struct buffer proof, row;
    buffer_init(&proof);
    buffer_init(&row);
    if (seal.by_passphrase)
        secret_cost_default(&seal.cost);
    enum status status = seal.by_passphrase ? use_passphrase(context, &seal.cost, &master, error)
                                            : use_file(context, true, &master, error);
    if (status == STATUS_OK) {
        prove(&master, &proof);
        seal.proof = buffer_bytes(&proof);
        encode(&seal, &row);
        status =
            proof.failed || row.failed ? STATUS_NOMEM : keep(keyring, &master, buffer_bytes(&row));
    }
    if (status == STATUS_OK) {
        struct bytes key = {row_key, sizeof row_key - 1};
        outcome_expect_absent(outcome, SPACE_KEYRING, key);
        outcome_put(outcome, SPACE_KEYRING, key, buffer_bytes(&row));
    }
    secret_key_clear(&master);
    buffer_clear(&proof);
    buffer_clear(&row);
    return status;
}

enum status
keyring_open(struct keyring *keyring, enum secret_purpose purpose, struct context *context,
             struct outcome *outcome, const struct secret_key **key, struct error *error)
{
    struct buffer row;
    buffer_init(&row);
    enum status status = context_get(context, SPACE_KEYRING,
                                     (struct bytes){row_key, sizeof row_key - 1}, &row, error);
    bool same = status == STATUS_OK && text_equal(buffer_text(&row), buffer_text(&keyring->row));
    if (same && keyring->refused) {
        *error = keyring->why;
        status = STATUS_UNAVAILABLE;
    } else if (status == STATUS_OK && !(same && keyring->keys)) {
        status = unlock(keyring, context, buffer_bytes(&row), error);
    } else if (status == STATUS_NOT_FOUND && outcome) {
        status = make(keyring, context, outcome, error);
    }
    buffer_clear(&row);
    if (status == STATUS_OK)
        *key = purpose == SECRET_FOR_CODES ? &keyring->keys->codes : &keyring->keys->values;
    return status;
}
