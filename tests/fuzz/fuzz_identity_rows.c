/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as rows of secrets and pairings, as a key file and as a code that somebody typed: read
 * or refused with words, and what is read keeps its bounds. */
#include <stdlib.h>

#include "actors/identity/pairing_row.h"
#include "actors/identity/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition)
        abort();
}

static void
check_rows(struct bytes key, struct bytes value)
{
    static const store_space spaces[] = {SPACE_KEYRING, SPACE_SECRET, SPACE_PAIRING, SPACE_GUESSES,
                                         SPACE_ALLOWED};
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        struct error error = ERROR_INIT;
        enum status status = secret_check_row(spaces[i], key, value, &error);
        if (status == STATUS_OK)
            status = pairing_check_row(spaces[i], key, value, &error);
        require(status == STATUS_OK || (status == STATUS_STORE_FAILED && error.message[0] != '\0'));
    }
    struct pairing pairing;
    struct allowed allowed;
    if (pairing_decode(key, value, &pairing))
        require(channel_name_is_valid(text_of(pairing.channel)) &&
                sender_id_is_valid(text_of(pairing.sender_id)) && pairing.state < PAIRING_STATES);
    if (allowed_decode(key, value, &allowed))
        require(sender_id_is_valid(text_of(allowed.sender_id)));
}

static void
check_texts(struct text text)
{
    char code[PAIRING_CODE_SIZE + 1];
    struct secret_key key, again;
    struct buffer formatted;
    if (pairing_code_read(text, code)) {
        char same[PAIRING_CODE_SIZE + 1];
        require(strlen(code) == PAIRING_CODE_SIZE);
        require(pairing_code_read(text_of(code), same) && strcmp(code, same) == 0);
    }
    if (!secret_key_parse(text, &key))
        return;
    buffer_init(&formatted);
    secret_key_format(&key, &formatted);
    require(secret_key_parse(buffer_text(&formatted), &again));
    require(memcmp(&key, &again, sizeof key) == 0);
    buffer_clear(&formatted);
}

/* The first byte says how long the key is. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t key_size = data[0] < size ? data[0] : size - 1;
    check_rows((struct bytes){data + 1, key_size},
               (struct bytes){data + 1 + key_size, size - 1 - key_size});
    check_texts((struct text){(const char *)data + 1, size - 1});
    return 0;
}
