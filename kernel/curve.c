/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/curve.h"

#include <sodium.h>
#include <string.h>

enum { CURVE_KEY_TEXT_LENGTH = CURVE_KEY_TEXT_SIZE - 1, Z85_BASE = 85 };

static const char z85_digits[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

_Static_assert(sizeof z85_digits == Z85_BASE + 1, "RFC 32 has 85 digits");

void
curve_keys_make(struct curve_keys *keys)
{
    uint8_t public_key[crypto_box_PUBLICKEYBYTES];
    uint8_t secret_key[crypto_box_SECRETKEYBYTES];

    crypto_box_keypair(public_key, secret_key);
    curve_key_format(public_key, keys->public_key);
    curve_key_format(secret_key, keys->secret_key);
    sodium_memzero(secret_key, sizeof secret_key);
}

void
curve_keys_clear(struct curve_keys *keys)
{
    sodium_memzero(keys, sizeof *keys);
}

bool
curve_key_is_valid(const char *text)
{
    uint8_t key[CURVE_KEY_SIZE];
    bool valid = curve_key_parse(text, key);
    sodium_memzero(key, sizeof key);
    return valid;
}

void
curve_key_format(const uint8_t key[static CURVE_KEY_SIZE], char text[static CURVE_KEY_TEXT_SIZE])
{
    for (size_t group = 0; group < CURVE_KEY_SIZE / 4; group++) {
        const uint8_t *from = key + 4 * group;
        uint32_t number =
            (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
        for (size_t i = 5; i > 0; i--) {
            text[5 * group + i - 1] = z85_digits[number % Z85_BASE];
            number /= Z85_BASE;
        }
    }
    text[CURVE_KEY_TEXT_LENGTH] = '\0';
}

bool
curve_key_parse(const char *text, uint8_t key[static CURVE_KEY_SIZE])
{
    uint8_t parsed[CURVE_KEY_SIZE];
    bool valid = false;

    if (!text || strnlen(text, CURVE_KEY_TEXT_SIZE) != CURVE_KEY_TEXT_LENGTH)
        return false;
    for (size_t group = 0; group < CURVE_KEY_SIZE / 4; group++) {
        uint64_t number = 0;
        for (size_t i = 0; i < 5; i++) {
            const char *digit = strchr(z85_digits, text[5 * group + i]);
            if (!digit)
                goto clear;
            number = number * Z85_BASE + (uint64_t)(digit - z85_digits);
        }
        if (number > UINT32_MAX)
            goto clear;
        for (size_t i = 0; i < 4; i++)
            parsed[4 * group + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    memcpy(key, parsed, sizeof parsed);
    valid = true;

clear:
    sodium_memzero(parsed, sizeof parsed);
    return valid;
}
