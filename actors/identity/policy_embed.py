#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes policy files as one C table, so that the program brings its editions along.

    policy_embed.py OUTPUT.c business.json kids.json ...

Each has to be JSON whose edition is the file's name. The same input always gives the same bytes.
"""

import json
import pathlib
import sys


def literal(data):
    lines = []
    for line in data.decode("utf-8").splitlines(keepends=True):
        escaped = "".join(
            {"\\": "\\\\", '"': '\\"', "\n": "\\n", "?": "\\?"}.get(char) or
            (char if " " <= char <= "~" else "".join(f"\\{byte:03o}" for byte in char.encode()))
            for char in line)
        lines.append(f'    "{escaped}"')
    return "\n".join(lines)


def main(output, *names):
    rows = []
    parts = ["/* SPDX-License-Identifier: Apache-2.0 */\n/* Written by policy_embed.py from deploy/policies. */\n"
             '#include "actors/identity/policy_builtin.h"\n']
    for name in sorted(names):
        path = pathlib.Path(name)
        data = path.read_bytes()
        edition = json.loads(data).get("edition")
        if edition != path.stem:
            sys.exit(f"{name}: edition: came {edition!r}, expected {path.stem!r}")
        parts.append(f"static const char {edition}_json[] =\n{literal(data)};\n")
        rows.append(f'    {{"{edition}", {edition}_json, sizeof {edition}_json - 1}},')
    parts.append("const struct policy_builtin policy_builtins[] = {\n" + "\n".join(rows) +
                 "\n    {0, 0, 0},\n};\n")
    pathlib.Path(output).write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
