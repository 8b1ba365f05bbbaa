// SPDX-License-Identifier: Apache-2.0
// Shortest round-trip digits come from std::to_chars: C has no function for them, and trying
// printf precisions goes wrong at powers of two (2^-24 needs 16 digits, %.16g is one off).
#include <charconv>
#include <cstring>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
extern "C" {
#include "kernel/json.h"
}
#pragma GCC diagnostic pop

namespace
{

constexpr int exponent_from = 16; // Python's repr writes 1e+16, but 1000000000000000.0
constexpr int exponent_below = -4;

struct decimal {
    char digits[24];
    int count;
    int exponent; // of the first digit
    bool negative;
};

decimal
shortest_decimal(double value)
{
    char text[64];
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific);
    decimal result = {};
    const char *at = text;
    if (*at == '-') {
        result.negative = true;
        at++;
    }
    for (; at < end.ptr && *at != 'e'; at++)
        if (*at != '.')
            result.digits[result.count++] = *at;
    at++;
    const bool minus = *at++ == '-';
    for (; at < end.ptr; at++)
        result.exponent = result.exponent * 10 + (*at - '0');
    if (minus)
        result.exponent = -result.exponent;
    return result;
}

void
append_run(struct buffer *out, const char *digits, int count)
{
    if (count > 0)
        buffer_append(out, digits, static_cast<size_t>(count));
}

void
append_zeros(struct buffer *out, int count)
{
    for (int i = 0; i < count; i++)
        buffer_append_byte(out, '0');
}

void
append_scientific(struct buffer *out, const decimal &number)
{
    append_run(out, number.digits, 1);
    if (number.count > 1) {
        buffer_append_byte(out, '.');
        append_run(out, number.digits + 1, number.count - 1);
    }
    const int magnitude = number.exponent < 0 ? -number.exponent : number.exponent;
    buffer_append_format(out, "e%c%02d", number.exponent < 0 ? '-' : '+', magnitude);
}

void
append_positional(struct buffer *out, const decimal &number)
{
    if (number.exponent < 0) {
        buffer_append_string(out, "0.");
        append_zeros(out, -number.exponent - 1);
        append_run(out, number.digits, number.count);
        return;
    }
    const int whole = number.exponent + 1;
    const int given = number.count < whole ? number.count : whole;
    append_run(out, number.digits, given);
    append_zeros(out, whole - given);
    buffer_append_byte(out, '.');
    if (number.count > whole)
        append_run(out, number.digits + whole, number.count - whole);
    else
        buffer_append_byte(out, '0');
}

} // namespace

extern "C" void
json_append_double(struct buffer *out, double value)
{
    const decimal number = shortest_decimal(value);
    if (number.negative)
        buffer_append_byte(out, '-');
    if (number.exponent < exponent_below || number.exponent >= exponent_from)
        append_scientific(out, number);
    else
        append_positional(out, number);
}
