#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns contract files into C tables and openapi.json.

    generate.py --output FOLDER [--version X.Y.Z] shared.json memory.json ...

Python 3 standard library only. The same input always gives the same bytes. A contract that cannot be right is an
error that names file, operation, field, what came and what was expected; then nothing is written.
"""

import argparse
import json
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True  # the source tree stays as it is

import emit_c  # noqa: E402
import emit_openapi  # noqa: E402
from reader import ContractError, check_together, read_contract, read_shared  # noqa: E402

KERNEL = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = "shared.json"


class Status:
    def __init__(self, code, http, word, text):
        self.code, self.http, self.word, self.text = code, http, word, text


def read_header(name):
    path = os.path.join(KERNEL, name)
    try:
        with open(path, encoding="utf-8") as file:
            return path, file.read().replace("\\\n", " ")
    except (OSError, ValueError) as error:
        raise ContractError(f"{path}: cannot be read: {error}") from None


def read_statuses():
    """The rows of STATUS_MAP, so that codes and words have one source."""
    path, text = read_header("status.h")
    rows = re.findall(r'X\(([A-Z_]+),\s*(\d+),\s*(\d+),\s*"([a-z_]+)",\s*"([^"]*)"\)', text)
    if not rows or len(rows) != len(re.findall(r"\bX\([A-Z_]+,", text)):
        raise ContractError(f"{path}: STATUS_MAP: came a row of another form, "
                            "expected X(NAME, code, http, \"word\", \"text\")")
    return {name: Status(int(code), int(http), word, text) for name, code, http, word, text in rows}


def read_fields_max():
    path, text = read_header("contract.h")
    found = re.search(r"\bARGUMENTS_MAX = (\d+)", text)
    if not found:
        raise ContractError(f"{path}: ARGUMENTS_MAX: missing")
    return int(found.group(1))


def write(folder, name, text):
    """Replaces the file in one step: a compiler never sees half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, os.path.join(folder, name))
    except OSError:
        os.unlink(temporary)
        raise


def generate(paths, version):
    """Everything that is to be written: file name -> text."""
    statuses, fields_max = read_statuses(), read_fields_max()
    reserved, shared = [], {}
    services = []
    for path in paths:
        if os.path.basename(path) == SHARED:
            reserved, shared = read_shared(path)
        else:
            services.append(path)
    contracts = [read_contract(path, shared, statuses, fields_max) for path in services]
    for contract in contracts:
        if os.path.basename(contract.path) != contract.service + ".json":
            raise ContractError(f"{contract.path}: service: came {json.dumps(contract.service)}, "
                                "expected the name of the file")
    check_together(contracts, reserved)
    openapi = emit_openapi.document(contracts, statuses, version)
    outputs = {"openapi.json": json.dumps(openapi, indent=2) + "\n",
               "openapi.c": emit_c.text_array("contract_openapi_json", json.dumps(openapi, separators=(",", ":")),
                                              "kernel/contracts"),
               "all.c": emit_c.all_tables(contracts)}
    for contract in contracts:
        outputs[contract.service + ".h"] = emit_c.header(contract)
        outputs[contract.service + ".c"] = emit_c.tables(contract)
    return outputs


def main(arguments):
    parser = argparse.ArgumentParser(description="Turns contract files into C tables and openapi.json.")
    parser.add_argument("--output", required=True, help="folder to write to")
    parser.add_argument("--version", default="0.0.0", help="version that openapi.json names")
    parser.add_argument("files", nargs="+", metavar="FILE", help=f"{SHARED} and one file per service")
    options = parser.parse_args(arguments)
    try:
        outputs = generate(options.files, options.version)
        os.makedirs(options.output, exist_ok=True)
        for name, text in outputs.items():
            write(options.output, name, text)
    except (ContractError, OSError) as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
