/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/id.h"

#include <sodium.h>

static const uint64_t MS_MAX = (UINT64_C(1) << 48) - 1;

static void
fill_fresh(struct uuid_source *source, uint64_t ms)
{
    source->last_ms = ms;
    randombytes_buf(source->last, sizeof source->last);
    for (size_t i = 0; i < 6; i++)
        source->last[i] = (uint8_t)(ms >> (40 - 8 * i));
    source->last[6] = (uint8_t)(0x70 | (source->last[6] & 0x0F));
    source->last[8] = (uint8_t)(0x80 | (source->last[8] & 0x3F));
}

/* Adds one to the random bits around version and variant; false when all were set. */
static bool
count_up(uint8_t last[static 16])
{
    static const uint8_t random_bits[16] = {
        [6] = 0x0F,  [7] = 0xFF,  [8] = 0x3F,  [9] = 0xFF,  [10] = 0xFF,
        [11] = 0xFF, [12] = 0xFF, [13] = 0xFF, [14] = 0xFF, [15] = 0xFF};
    for (size_t i = 15; i >= 6; i--) {
        uint8_t mask = random_bits[i];
        uint8_t sum = (uint8_t)((last[i] & mask) + 1) & mask;
        last[i] = (uint8_t)((last[i] & ~mask) | sum);
        if (sum != 0)
            return true;
    }
    return false;
}

struct uuid
uuid_next(struct uuid_source *source, uint64_t now_us)
{
    uint64_t now_ms = now_us / 1000;
    if (now_ms > MS_MAX)
        now_ms = MS_MAX;

    bool is_first = source->last[6] == 0;
    if (is_first || now_ms > source->last_ms)
        fill_fresh(source, now_ms);
    else if (!count_up(source->last))
        fill_fresh(source, source->last_ms + 1);

    struct uuid uuid;
    memcpy(uuid.bytes, source->last, sizeof uuid.bytes);
    return uuid;
}

bool
uuid_is_nil(const struct uuid *uuid)
{
    static const struct uuid nil;
    return uuid_equal(uuid, &nil);
}

bool
uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return uuid_compare(a, b) == 0;
}

int
uuid_compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

/* The finaliser of splitmix64 over both halves. */
uint64_t
uuid_hash(const struct uuid *uuid)
{
    uint64_t high, low;
    memcpy(&high, uuid->bytes, sizeof high);
    memcpy(&low, uuid->bytes + 8, sizeof low);

    uint64_t hash = high * UINT64_C(0x9E3779B97F4A7C15) ^ low;
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94D049BB133111EB);
    return hash ^ (hash >> 31);
}

void
uuid_format(const struct uuid *uuid, char text[static UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *to = text;

    for (size_t i = 0; i < sizeof uuid->bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = digits[uuid->bytes[i] >> 4];
        *to++ = digits[uuid->bytes[i] & 0x0F];
    }
    *to = '\0';
}

bool
uuid_parse(struct text text, struct uuid *uuid)
{
    bool has_dashes = text.size == 36;
    if (!has_dashes && text.size != 32)
        return false;

    struct uuid parsed;
    const char *at = text.data;
    for (size_t i = 0; i < sizeof parsed.bytes; i++) {
        if (has_dashes && (i == 4 || i == 6 || i == 8 || i == 10) && *at++ != '-')
            return false;
        int high = hex_digit_value(at[0]);
        int low = hex_digit_value(at[1]);
        if (high < 0 || low < 0)
            return false;
        parsed.bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *uuid = parsed;
    return true;
}
