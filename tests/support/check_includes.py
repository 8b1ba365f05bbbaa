#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the dependency table of docs/ARCHITECTURE.md: which folder may include which.

Usage: check_includes.py [ROOT]. Prints every include that breaks a rule and exits 1.
"""

import pathlib
import re
import sys

# The longest matching folder counts. Values: folders and library headers that may be included.
FOLDERS = {
    "kernel": ["kernel", "contracts"],
    "platform": ["kernel", "platform"],
    "store": ["kernel", "store"],
    "sdk/c": ["kernel", "platform", "sdk/c"],
    "broker/core": ["kernel", "contracts", "broker/core"],
    "broker/mail": ["kernel", "platform", "store", "broker/core", "broker/mail"],
    "broker/net": ["kernel", "platform", "broker/core", "broker/mail", "broker/net"],
    "actors/runtime": ["kernel", "platform", "store", "sdk/c", "actors/runtime"],
    "actors/memory": ["kernel", "contracts", "store", "actors/runtime", "actors/memory"],
    "actors/engine": ["kernel", "contracts", "platform", "store", "actors/runtime", "actors/engine"],
    "actors/identity": ["kernel", "contracts", "platform", "store", "actors/runtime", "actors/identity"],
    "gateway": ["kernel", "contracts", "sdk/c", "gateway"],
    "cli": ["kernel", "contracts", "platform", "store", "sdk/c", "broker", "actors", "gateway", "cli"],
    "docs/tutorials/c": [],
    "tests": [""],
}

LIBRARIES = {
    "kernel": ["msgpack", "sodium", "jansson", "simdjson"],
    "platform": ["jansson", "sodium"],
    "store": ["rocksdb", "isa-l"],
    "sdk/c": ["zmq", "czmq", "jansson"],
    "broker/core": ["sodium"],
    "broker/mail": ["sodium"],
    "broker/net": ["zmq", "czmq", "jansson"],
    "actors/runtime": ["zmq", "czmq", "curl", "sodium"],
    "actors/memory": ["sodium"],
    "actors/engine": ["jansson"],
    "actors/identity": ["sodium"],
    "gateway": ["microhttpd", "wslay", "zmq", "czmq", "sodium"],
    "cli": ["jansson", "sodium", "zmq", "czmq"],
}

# Only one file may know these.
ONLY = {
    "simdjson": ["kernel/json_parse.cc"],
    "microhttpd": ["gateway/http.c", "gateway/http.h"],
    "wslay": ["gateway/websocket.c"],
    "curl": ["actors/runtime/fetch.c"],
    "rocksdb": ["store/store_compaction.c", "store/store_rocksdb.c", "store/store_verify.cc"],
}

KNOWN_LIBRARIES = sorted({name for names in LIBRARIES.values() for name in names})
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def folder_of(path):
    matches = [folder for folder in FOLDERS if path == folder or path.startswith(folder + "/")]
    return max(matches, key=len) if matches else None


def library_of(header):
    first = re.split(r"[/.]", header)[0]
    return first if first in KNOWN_LIBRARIES else None


def complaints(root):
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".c", ".h", ".cc") or name.startswith(("build/", ".")):
            continue
        folder = folder_of(name)
        if folder is None:
            yield f"{name}: stands in no folder of the dependency table"
            continue
        for quote, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if quote == '"':
                allowed = FOLDERS[folder]
                if not any(a == "" or header.startswith(a + "/") for a in allowed):
                    yield f"{name}: includes {header}; {folder}/ may include only {', '.join(allowed)}"
                continue
            library = library_of(header)
            if library is None or folder == "tests":
                continue
            if library not in LIBRARIES[folder]:
                yield f"{name}: includes <{header}>; {folder}/ may not use {library}"
            elif library in ONLY and name not in ONLY[library] and folder_of(ONLY[library][0]) == folder:
                yield f"{name}: includes <{header}>; only {' and '.join(ONLY[library])} may"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    found = list(complaints(root))
    for complaint in found:
        print(complaint)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
