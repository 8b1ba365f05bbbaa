/* SPDX-License-Identifier: Apache-2.0 */
/* Shortest digits that read back as the same double: Raffaello Giulietti, "The Schubfach way to
 * render doubles" (2020). C has no function for them, and trying printf precisions goes wrong at
 * powers of two (2^-24 needs 16 digits, %.16g is one off). Of C, not C++, so that programs that
 * link the SDK need no C++ runtime; it is as fast as std::to_chars. */
#include <stdint.h>

#include "kernel/assert.h"
#include "kernel/json.h"
#include "kernel/json_powers.h"

__extension__ typedef unsigned __int128 uint128;

enum {
    FRACTION_BITS = 52,
    EXPONENT_BIAS = 1075,
    EXPONENT_FROM = 16, /* Python's repr writes 1e+16, but 1000000000000000.0 */
    EXPONENT_BELOW = -4
};

struct decimal {
    char digits[20];
    int count;
    int exponent; /* of the first digit */
};

/* floor(log10(2^e)), floor(log10(3/4 2^e)), floor(log2(10^e)): exact in the range of doubles. The
 * shifts are of negative numbers too, which every compiler here does arithmetically. */
static int
log10_of_power2(int e)
{
    return (e * 1262611) >> 22;
}

static int
log10_of_three_quarters(int e)
{
    return (e * 1262611 - 524031) >> 22;
}

static int
log2_of_power10(int e)
{
    return (e * 1741647) >> 19;
}

/* The upper 64 bits of the product; an inexact one is made odd, so that it never looks like a tie.
 */
static uint64_t
multiply(const struct power *power, uint64_t factor)
{
    uint128 low = (uint128)power->low * factor;
    uint128 high = (uint128)power->high * factor + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The shortest significand and the power of ten it counts. bits: of a finite double above 0. */
static uint64_t
shortest(uint64_t bits, int *power10)
{
    uint64_t fraction = bits & ((UINT64_C(1) << FRACTION_BITS) - 1);
    int biased = (int)(bits >> FRACTION_BITS & 0x7ff);
    uint64_t c = biased ? fraction | UINT64_C(1) << FRACTION_BITS : fraction;
    int q = (biased ? biased : 1) - EXPONENT_BIAS;
    bool closer_below = fraction == 0 && biased > 1;
    bool odd = c & 1;

    int k = closer_below ? log10_of_three_quarters(q) : log10_of_power2(q);
    int h = q + log2_of_power10(-k) + 1;
    ASSERT(-k >= POWER_FIRST && -k <= POWER_LAST && h >= 1 && h <= 4);
    const struct power *power = &powers[-k - POWER_FIRST];
    uint64_t lower = multiply(power, (4 * c - 2 + closer_below) << h) + odd;
    uint64_t value = multiply(power, (4 * c) << h);
    uint64_t upper = multiply(power, (4 * c + 2) << h) - odd;

    uint64_t s = value / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool below_fits = lower <= 40 * tens;
        bool above_fits = 40 * tens + 40 <= upper;
        if (below_fits != above_fits) {
            *power10 = k + 1;
            return tens + above_fits;
        }
    }
    *power10 = k;
    bool below_fits = lower <= 4 * s;
    bool above_fits = 4 * s + 4 <= upper;
    if (below_fits != above_fits)
        return s + above_fits;
    uint64_t middle = 4 * s + 2;
    return s + (value > middle || (value == middle && (s & 1)));
}

static struct decimal
decimal_of(uint64_t bits)
{
    struct decimal decimal = {.digits = "0", .count = 1};
    if (bits == 0)
        return decimal;
    char reversed[20];
    int count = 0;
    int power10;
    uint64_t significand = shortest(bits, &power10);
    while (significand % 10 == 0) {
        significand /= 10;
        power10++;
    }
    for (; significand > 0; significand /= 10)
        reversed[count++] = (char)('0' + significand % 10);
    for (int i = 0; i < count; i++)
        decimal.digits[i] = reversed[count - 1 - i];
    decimal.count = count;
    decimal.exponent = power10 + count - 1;
    return decimal;
}

static void
append_run(struct buffer *out, const char *digits, int count)
{
    if (count > 0)
        buffer_append(out, digits, (size_t)count);
}

static void
append_zeros(struct buffer *out, int count)
{
    for (int i = 0; i < count; i++)
        buffer_append_byte(out, '0');
}

static void
append_scientific(struct buffer *out, const struct decimal *number)
{
    append_run(out, number->digits, 1);
    if (number->count > 1) {
        buffer_append_byte(out, '.');
        append_run(out, number->digits + 1, number->count - 1);
    }
    int magnitude = number->exponent < 0 ? -number->exponent : number->exponent;
    buffer_append_format(out, "e%c%02d", number->exponent < 0 ? '-' : '+', magnitude);
}

static void
append_positional(struct buffer *out, const struct decimal *number)
{
    if (number->exponent < 0) {
        buffer_append_string(out, "0.");
        append_zeros(out, -number->exponent - 1);
        append_run(out, number->digits, number->count);
        return;
    }
    int whole = number->exponent + 1;
    int given = number->count < whole ? number->count : whole;
    append_run(out, number->digits, given);
    append_zeros(out, whole - given);
    buffer_append_byte(out, '.');
    if (number->count > whole)
        append_run(out, number->digits + whole, number->count - whole);
    else
        buffer_append_byte(out, '0');
}

void
json_append_double(struct buffer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits >> 63)
        buffer_append_byte(out, '-');
    struct decimal number = decimal_of(bits & (UINT64_MAX >> 1));
    if (number.exponent < EXPONENT_BELOW || number.exponent >= EXPONENT_FROM)
        append_scientific(out, &number);
    else
        append_positional(out, &number);
}
