/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/curve.h - CURVE keys (ZeroMQ RFC 26) as Z85 text (RFC 32), 40 characters. */
#ifndef SOS_KERNEL_CURVE_H
#define SOS_KERNEL_CURVE_H

#include <stdbool.h>
#include <stdint.h>

enum { CURVE_KEY_TEXT_SIZE = 41, CURVE_KEY_SIZE = 32 };

struct curve_keys {
    char public_key[CURVE_KEY_TEXT_SIZE];
    char secret_key[CURVE_KEY_TEXT_SIZE];
};

/* Random from libsodium (X25519). */
void curve_keys_make(struct curve_keys *keys);

/* Overwrites both, not optimised away. */
void curve_keys_clear(struct curve_keys *keys);

/* Is it the Z85 text of 32 bytes? */
bool curve_key_is_valid(const char *text);

/* Z85 of RFC 32. */
void curve_key_format(const uint8_t key[static CURVE_KEY_SIZE],
                      char text[static CURVE_KEY_TEXT_SIZE]);
bool curve_key_parse(const char *text, uint8_t key[static CURVE_KEY_SIZE]);

#endif
