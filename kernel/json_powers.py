#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the powers of ten that kernel/json_number.c multiplies by, as a C header.

Usage: json_powers.py OUTPUT
"""

import sys

FIRST, LAST = -292, 324  # what the doubles need


def power(exponent):
    """10**exponent, scaled by a power of two to 128 bits, rounded up."""
    if exponent >= 0:
        number = 10**exponent
        shift = number.bit_length() - 128
        return -(-number >> shift) if shift > 0 else number << -shift
    divisor = 10**-exponent
    shift = 127 + divisor.bit_length()
    number = -(-(1 << shift) // divisor)
    return number if number < 1 << 128 else -(-number >> 1)


def main():
    lines = ["/* Written by kernel/json_powers.py: do not edit. */",
             f"enum {{ POWER_FIRST = {FIRST}, POWER_LAST = {LAST} }};",
             "static const struct power {",
             "    uint64_t high, low;",
             "} powers[POWER_LAST - POWER_FIRST + 1] = {"]
    for exponent in range(FIRST, LAST + 1):
        number = power(exponent)
        assert 1 << 127 <= number < 1 << 128
        lines.append(f"    {{0x{number >> 64:016x}, 0x{number & (1 << 64) - 1:016x}}},")
    lines.append("};")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
