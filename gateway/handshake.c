/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/handshake.h"

#include <czmq.h>
#include <sodium.h>
#include <strings.h>

enum { KEY_SIZE = 16, SHOWN_MAX = 80 };

static bool
is_word(struct text text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

static struct text
trimmed(struct text text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Is the word in a list by comma? */
static bool
lists_word(struct text list, const char *word)
{
    while (list.size > 0) {
        const char *comma = memchr(list.data, ',', list.size);
        size_t size = comma ? (size_t)(comma - list.data) : list.size;
        if (is_word(trimmed((struct text){list.data, size}), word))
            return true;
        size_t step = comma ? size + 1 : size;
        list.data += step;
        list.size -= step;
    }
    return false;
}

static bool
is_key(struct text key)
{
    uint8_t bytes[KEY_SIZE];
    size_t size = 0;
    return key.size > 0 &&
           sodium_base642bin(bytes, sizeof bytes, key.data, key.size, NULL, &size, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           size == sizeof bytes;
}

enum status
handshake_check(const struct handshake *handshake, unsigned *http_status, struct error *error)
{
    char came[SHOWN_MAX];
    *http_status = 426;
    if (!lists_word(handshake->upgrade, "websocket") ||
        !lists_word(handshake->connection, "upgrade")) {
        error_set_word(error, "upgrade_required",
                       "expected a WebSocket handshake: Connection: Upgrade, Upgrade: websocket");
        return STATUS_INVALID;
    }
    if (!text_equal_string(handshake->version, "13")) {
        error_copy_text(came, sizeof came, handshake->version);
        error_set_word(error, "upgrade_required", "Sec-WebSocket-Version: came \"%s\", expected 13",
                       came);
        return STATUS_INVALID;
    }
    *http_status = 400;
    if (!text_equal_string(handshake->method, "GET") || !handshake->http_11) {
        error_set(error, "WebSocket handshake: expected GET and HTTP/1.1");
        return STATUS_INVALID;
    }
    if (!is_key(handshake->key)) {
        error_set(error, "Sec-WebSocket-Key: expected 16 bytes as base64");
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

bool
handshake_accept(struct text key, char accept[static HANDSHAKE_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    /* SHA-1, which RFC 6455 names; it guards nothing here. */
    zdigest_t *digest = zdigest_new();
    if (!digest)
        return false;
    zdigest_update(digest, (const byte *)key.data, key.size);
    zdigest_update(digest, (const byte *)guid, sizeof guid - 1);
    sodium_bin2base64(accept, HANDSHAKE_ACCEPT_SIZE, zdigest_data(digest), zdigest_size(digest),
                      sodium_base64_VARIANT_ORIGINAL);
    zdigest_destroy(&digest);
    return true;
}
