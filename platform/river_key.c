/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/river_key.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "kernel/paths.h"
#include "platform/file.h"

enum { KEY_FILE_MAX = 64 * 1024 };

void
river_key_clear(struct river_key *key)
{
    sodium_memzero(key, sizeof *key);
}

static enum status
save(const char *path, const struct river_key *key, struct error *error)
{
    char public_hex[sizeof key->public_key.bytes * 2 + 1];
    char secret_hex[sizeof key->secret_key.bytes * 2 + 1];
    char content[512];
    sodium_bin2hex(public_hex, sizeof public_hex, key->public_key.bytes,
                   sizeof key->public_key.bytes);
    sodium_bin2hex(secret_hex, sizeof secret_hex, key->secret_key.bytes,
                   sizeof key->secret_key.bytes);
    int size = snprintf(content, sizeof content,
                        "{\n  \"public_key_hex\": \"%s\",\n  \"secret_key_hex\": \"%s\"\n}\n",
                        public_hex, secret_hex);
    enum status status =
        file_save(path, (struct bytes){(const uint8_t *)content, (size_t)size}, 0600, error);
    sodium_memzero(content, sizeof content);
    sodium_memzero(secret_hex, sizeof secret_hex);
    return status;
}

enum status
river_key_make(const char *home, struct error *error)
{
    char path[PATH_SIZE];
    enum status status = paths_join(path, home, RIVER_KEY_FILE, error);
    if (status != STATUS_OK || access(path, F_OK) == 0)
        return status;
    if (sodium_init() < 0) {
        error_set(error, "no source of random bytes");
        return STATUS_INTERNAL;
    }
    struct river_key key;
    crypto_sign_keypair(key.public_key.bytes, key.secret_key.bytes);
    status = save(path, &key, error);
    river_key_clear(&key);
    return status;
}

static bool
parse_hex(const char *hex, uint8_t *out, size_t size)
{
    size_t made = 0;
    return hex && strlen(hex) == size * 2 &&
           sodium_hex2bin(out, size, hex, strlen(hex), NULL, &made, NULL) == 0 && made == size;
}

static enum status
parse(struct bytes content, const char *path, struct river_key *key, struct error *error)
{
    json_error_t cause;
    enum status status = STATUS_OK;
    json_t *root =
        json_loadb((const char *)content.data, content.size, JSON_REJECT_DUPLICATES, &cause);
    const char *public_hex = json_string_value(json_object_get(root, "public_key_hex"));
    const char *secret_hex = json_string_value(json_object_get(root, "secret_key_hex"));
    if (!parse_hex(public_hex, key->public_key.bytes, sizeof key->public_key.bytes) ||
        !parse_hex(secret_hex, key->secret_key.bytes, sizeof key->secret_key.bytes)) {
        error_set(error,
                  "%s: expected a JSON object with public_key_hex (64 hex digits) and "
                  "secret_key_hex (128)",
                  path);
        river_key_clear(key);
        status = STATUS_INVALID;
    }
    json_decref(root);
    return status;
}

enum status
river_key_load(const char *home, struct river_key *key, struct error *error)
{
    char path[PATH_SIZE];
    struct buffer content;
    buffer_init(&content);
    enum status status = paths_join(path, home, RIVER_KEY_FILE, error);
    if (status == STATUS_OK)
        status = file_load(path, KEY_FILE_MAX, true, &content, error);
    if (status == STATUS_OK)
        status = parse(buffer_bytes(&content), path, key, error);
    if (content.data)
        sodium_memzero(content.data, content.size);
    buffer_clear(&content);
    return status;
}
