/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/secret_box.h"

#include <sodium.h>

enum {
    NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    PASSES = 3,
    PASSES_MAX = 64
};

static const uint64_t MEMORY = UINT64_C(64) << 20;
static const uint64_t MEMORY_MIN = UINT64_C(8) << 20;
static const uint64_t MEMORY_MAX = UINT64_C(1) << 30;
static const char derivation[crypto_kdf_CONTEXTBYTES + 1] = "sos-keys";

_Static_assert(SECRET_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES &&
                   SECRET_KEY_SIZE == crypto_kdf_KEYBYTES,
               "one size of key");
_Static_assert(SECRET_SALT_SIZE == crypto_pwhash_SALTBYTES, "the salt of Argon2id");
_Static_assert((int)SECRET_BOX_OVERHEAD == (int)NONCE_SIZE + (int)TAG_SIZE, "what a box adds");

/* ---- keys */

void
secret_key_clear(struct secret_key *key)
{
    sodium_memzero(key, sizeof *key);
}

void
secret_key_random(struct secret_key *key)
{
    randombytes_buf(key->bytes, sizeof key->bytes);
}

bool
secret_key_parse(struct text text, struct secret_key *key)
{
    enum { DIGITS = 2 * SECRET_KEY_SIZE };
    uint8_t read[SECRET_KEY_SIZE];
    size_t made = 0;
    if (text.size == DIGITS + 1 && text.data[DIGITS] == '\n')
        text.size--;
    bool good = text.size == DIGITS &&
                sodium_hex2bin(read, sizeof read, text.data, text.size, NULL, &made, NULL) == 0 &&
                made == sizeof read;
    if (good)
        memcpy(key->bytes, read, sizeof read);
    sodium_memzero(read, sizeof read);
    return good;
}

void
secret_key_format(const struct secret_key *key, struct buffer *out)
{
    char hex[2 * SECRET_KEY_SIZE + 1];
    sodium_bin2hex(hex, sizeof hex, key->bytes, sizeof key->bytes);
    buffer_append(out, hex, sizeof hex - 1);
    buffer_append_byte(out, '\n');
    sodium_memzero(hex, sizeof hex);
}

void
secret_key_derive(const struct secret_key *master, enum secret_purpose purpose,
                  struct secret_key *key)
{
    crypto_kdf_derive_from_key(key->bytes, sizeof key->bytes, purpose, derivation, master->bytes);
}

/* ---- passphrases */

void
secret_cost_default(struct secret_cost *cost)
{
    *cost = (struct secret_cost){.passes = PASSES, .memory = MEMORY};
    randombytes_buf(cost->salt, sizeof cost->salt);
}

bool
secret_cost_is_valid(const struct secret_cost *cost)
{
    return cost->passes >= 1 && cost->passes <= PASSES_MAX && cost->memory >= MEMORY_MIN &&
           cost->memory <= MEMORY_MAX;
}

enum status
secret_key_from_passphrase(struct text passphrase, const struct secret_cost *cost,
                           struct secret_key *key)
{
    int result =
        crypto_pwhash(key->bytes, sizeof key->bytes, passphrase.data, passphrase.size, cost->salt,
                      cost->passes, (size_t)cost->memory, crypto_pwhash_ALG_ARGON2ID13);
    return result == 0 ? STATUS_OK : STATUS_NOMEM;
}

/* ---- boxes */

void
secret_box_seal(const struct secret_key *key, struct bytes label, struct bytes plain,
                struct buffer *box)
{
    if (!buffer_reserve(box, plain.size + SECRET_BOX_OVERHEAD))
        return;
    uint8_t *nonce = box->data + box->size;
    randombytes_buf(nonce, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + NONCE_SIZE, NULL, plain.data, plain.size,
                                               label.data, label.size, NULL, nonce, key->bytes);
    box->size += plain.size + SECRET_BOX_OVERHEAD;
}

bool
secret_box_open(const struct secret_key *key, struct bytes label, struct bytes box,
                struct buffer *plain)
{
    if (box.size < SECRET_BOX_OVERHEAD || !buffer_reserve(plain, box.size))
        return false;
    const uint8_t *nonce = box.data;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain->data + plain->size, NULL, NULL,
                                                   box.data + NONCE_SIZE, box.size - NONCE_SIZE,
                                                   label.data, label.size, nonce, key->bytes) != 0)
        return false;
    plain->size += box.size - SECRET_BOX_OVERHEAD;
    return true;
}

void
secret_buffer_clear(struct buffer *buffer)
{
    if (buffer->data)
        sodium_memzero(buffer->data, buffer->capacity);
    buffer_clear(buffer);
}
