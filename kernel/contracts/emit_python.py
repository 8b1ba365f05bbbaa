#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the Python SDK's typed services and error classes, sdk/python/mumega/_services.py and _statuses.py, which are
committed. Run it after a change of a contract or of kernel/status.h:

    python3 kernel/contracts/emit_python.py [FOLDER]

Python 3 standard library only. The same input always gives the same bytes."""

import glob
import json
import keyword
import os
import sys

sys.dont_write_bytecode = True  # the source tree stays as it is

from generate import KERNEL, SHARED, read_fields_max, read_statuses, write  # noqa: E402
from reader import ContractError, Field, Types, load, read_contract, read_field, read_shared  # noqa: E402

LINE = 116
# A service's name on the client, where it is not its own, with the short names of operations.
NAMES = {
    "engine": ("chat", {"__call__": "chat", "stream": "chat_stream"}),
    "economy": ("wallet", {}),
}
# The bus has methods of its own (mumega/bus.py) for these.
BUS_OWN = {"send", "inbox", "ack", "nack", "extend", "listen", "publish", "tap"}
# What services ask each other; it is no method of a client.
NOT_FOR_CLIENTS = {"bus": BUS_OWN, "identity": {"capability_use"}}
PLAIN = {"any": "Any", "string": "str", "identity": "str", "uuid": "str", "timestamp": "str", "glob": "str",
         "integer": "int", "amount": "int", "number": "float", "boolean": "bool", "map": "Dict[str, Any]"}
OPTIONS = ("timeout", "capability", "idempotency_key")
HEAD = '''# SPDX-License-Identifier: Apache-2.0
# Generated from {source} by kernel/contracts/emit_python.py.
"""{summary}"""

from __future__ import annotations

'''
# Names of error classes that their rows do not give well.
ERROR_NAMES = {"TIMEOUT": "DeadlineError", "NOMEM": "OutOfMemoryError", "UNKNOWN": "UnknownError",
               "NOT_IMPLEMENTED": "NotAvailableError",
               "VERSION": "VersionUnsupportedError", "SANDBOX_ERROR": "SandboxError", "VECTOR_ERROR": "VectorError",
               "LEDGER_ERROR": "LedgerError"}
ERROR_BASES = {"TIMEOUT": "MumegaError, TimeoutError"}


def camel(name):
    return "".join(part[:1].upper() + part[1:] for part in name.lower().split("_"))


def safe(name):
    return name + "_" if keyword.iskeyword(name) else name


class Shapes:
    """TypedDicts of answers: one per form, named after the contract's type where it has a name there."""

    def __init__(self):
        self.names = {}
        self.taken = set()
        self.lines = []

    def key(self, fields):
        return json.dumps([[field.name, field.type, field.optional, field.nullable, list(field.words),
                            self.key(field.fields) if field.fields else None,
                            self.item_key(field.item)] for field in fields])

    def item_key(self, item):
        if not isinstance(item, Field):
            return item
        return [item.type, list(item.words), self.key(item.fields) if item.fields else None, self.item_key(item.item)]

    def offer(self, service, name, field):
        """A type of a contract: its name, should an answer have its form."""
        if field.type == "map" and field.fields:
            self.define(camel(name), field.fields, service)

    def define(self, wanted, fields, service=""):
        key = self.key(fields)
        if key in self.names:
            return self.names[key]
        name = wanted if wanted not in self.taken else camel(service) + wanted
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        self.names[key] = name
        inner = name[:-len("Answer")] if name.endswith("Answer") else name
        kinds = [(field, self.kind(field, inner + camel(field.name))) for field in fields]
        always = [row for row in kinds if not row[0].optional]
        maybe = [row for row in kinds if row[0].optional]
        if always and maybe:
            self.write(f"_{name}", "TypedDict", always)
            self.write(name, f"_{name}, total=False", maybe)
        else:
            self.write(name, "TypedDict" if always else "TypedDict, total=False", kinds)
        return name

    def write(self, name, base, rows):
        if any(keyword.iskeyword(field.name) for field, _ in rows):
            pairs = "".join(f"    {json.dumps(field.name)}: {kind},\n" for field, kind in rows)
            self.lines.append(f"\n\n{name} = TypedDict(\"{name}\", {{\n{pairs}}})\n")
            return
        self.lines.append(f"\n\nclass {name}({base}):\n")
        for field, kind in rows:
            note = f"  # {field.summary}" if field.summary else ""
            line = f"    {field.name}: {kind}"
            self.lines.append(line + (note if len(line + note) <= LINE else "") + "\n")

    def kind(self, field, wanted):
        if field.type == "list":
            item = field.item
            if isinstance(item, Field):
                inner = self.kind(item, wanted)
            else:
                inner = PLAIN[item]
            if field.words:
                inner = words(field.words)
            kind = f"List[{inner}]"
        elif field.type == "map" and field.fields:
            kind = self.define(wanted, field.fields)
        elif field.words:
            kind = words(field.words)
        else:
            kind = PLAIN[field.type]
        return f"Optional[{kind}]" if field.nullable and kind != "Any" else kind


def words(values):
    return "Literal[" + ", ".join(json.dumps(value) for value in values) + "]"


def answer_kind(shapes, contract, operation):
    prefix = camel(contract.service) + camel(operation.name)
    shape = operation.response
    if shape.type == "map" and not shape.fields:
        kind = "Dict[str, Any]"
    elif shape.type == "map":
        kind = shapes.define(prefix + ("Row" if operation.response_list else "Answer"), shape.fields, contract.service)
    else:
        kind = shapes.kind(shape, prefix + "Answer")
    if operation.response_list:
        kind = f"List[{kind}]"
    if operation.response_or:
        kind = f"Union[{kind}, {shapes.define(prefix + 'Short', operation.response_or, contract.service)}]"
    return kind


def chunk_kind(shapes, contract, operation):
    return shapes.define(camel(contract.service) + camel(operation.name) + "Chunk", operation.chunk, contract.service)


def argument_kind(field):
    if field.type == "list":
        return f"Sequence[{words(field.words) if field.words else PLAIN[field.item]}]"
    if field.words:
        return words(field.words)
    return {"map": "Mapping[str, Any]"}.get(field.type, PLAIN[field.type])


def subject_of(operation):
    """The required field that the client's own identity fills."""
    name = operation.acts_for or (operation.capability and operation.capability["subject"])
    for field in operation.fields:
        if field.name == name and field.required:
            return name
    return None


def is_stream(operation):
    return "stream_always" in operation.flags


def arguments_of(operation):
    """(name, kind, default) in the order of the signature; the second list is by keyword only."""
    subject = subject_of(operation)
    needed, others = [], []
    for field in operation.fields:
        if field.name in OPTIONS or field.name == "self":
            raise ContractError(f"{operation.where}: field {field.name}: the Python SDK's own name")
        if field.name == "stream" and "stream" in operation.flags:
            continue  # the stream is an operation of its own
        if field.required and field.name != subject:
            needed.append(f"{safe(field.name)}: {argument_kind(field)}")
        else:
            kind = argument_kind(field)
            others.append(f"{safe(field.name)}: " + ("Any = None" if kind == "Any" else f"Optional[{kind}] = None"))
    others += ["timeout: Optional[float] = None", "capability: Optional[Capability] = None"]
    if "write" in operation.flags:
        others.append("idempotency_key: Optional[str] = None")
    return needed, others


def wrap(start, parts, end, indent):
    """start + parts by comma + end, on lines of LINE characters."""
    lines, line = [], start
    for i, part in enumerate(parts):
        piece = part + (", " if i + 1 < len(parts) else end)
        if len((line + piece).rstrip()) > LINE:
            lines.append(line.rstrip())
            line = " " * indent
        line += piece
    lines.append(line)
    return "\n".join(lines) + "\n"


def documentation(operation):
    lines = [operation.summary + "."]
    for field in operation.fields:
        if field.name == "stream" and "stream" in operation.flags:
            continue
        text = field.summary
        if field.name == subject_of(operation):
            text = (text + "; " if text else "") + "the client itself when absent"
        if field.default is not None:
            text = (text + "; " if text else "") + f"{json.dumps(field.default)} when absent"
        if text:
            lines.append(f"{safe(field.name)}: {text}")
    if len(lines) == 1 and len(lines[0]) < LINE - 16:
        return f'        """{lines[0]}"""\n'
    out = [f'        """{lines[0]}\n\n']
    for line in lines[1:]:
        out += fold(line)
    return "".join(out).rstrip("\n") + '"""\n' if len(lines) > 1 else f'        """{lines[0]}"""\n'


def fold(text):
    rows, row = [], "        "
    for word in text.split(" "):
        if len(row) + len(word) > LINE:
            rows.append(row.rstrip() + "\n")
            row = "            "
        row += word + " "
    return rows + [row.rstrip() + "\n"]


def method(shapes, contract, operation, name, is_async):
    needed, others = arguments_of(operation)
    stream = is_stream(operation)
    answer = answer_kind(shapes, contract, operation)
    if stream:
        result = f"{'AsyncStream' if is_async else 'Stream'}[{chunk_kind(shapes, contract, operation)}, {answer}]"
    else:
        result = answer
    word = "async def" if is_async and not stream else "def"
    start = f"    {word} {safe(name)}("
    text = "\n" + wrap(start, ["self", *needed, "*", *others], f") -> {result}:", len(start))
    text += documentation(operation)
    fields = [f'"{field.name}": {safe(field.name)}' for field in operation.fields
              if not (field.name == "stream" and "stream" in operation.flags)]
    row = f"{contract.service.upper()}_{operation.name.upper()}"
    wait = "await " if is_async and not stream else ""
    start = f"        return {'' if stream else 'cast(' + json.dumps(answer) + ', '}{wait}self.{'_stream' if stream else '_call'}({row}, {{"
    key = ", idempotency_key" if "write" in operation.flags else ""
    end = "}, timeout, capability" + key + (")" if stream else "))")
    return text + (wrap(start, fields, end, 12) if fields else start + end + "\n")


def service_class(shapes, contract, aliases, skip, is_async):
    base = "AsyncService" if is_async else "Service"
    name = ("Async" if is_async else "") + camel(contract.service) + "Service"
    text = f'\n\nclass {name}({base}):\n    """{contract.summary}."""\n'
    for operation in contract.operations:
        if operation.name in skip:
            continue
        text += method(shapes, contract, operation, operation.name, is_async)
    for alias, target in aliases.items():
        if any(operation.name == target for operation in contract.operations):
            text += f"\n    {alias} = {target}\n"
    return text


def operation_row(contract, operation):
    parts = [json.dumps(contract.service), json.dumps(operation.name), json.dumps(operation.type),
             str(operation.timeout_ms)]
    for flag, name in (("write", "write"), ("idempotent", "idempotent")):
        if flag in operation.flags:
            parts.append(f"{name}=True")
    if is_stream(operation):
        parts.append("stream=True")
    if subject_of(operation):
        parts.append(f"subject={json.dumps(subject_of(operation))}")
    if operation.routes:
        parts.append("route=(" + ", ".join(json.dumps(part) for part in operation.routes[0]) + ")")
        for place in ("path", "query"):
            names = [field.name for field in operation.fields if field.place == place]
            if names:
                parts.append(f"in_{place}=(" + ", ".join(json.dumps(name) for name in names) + (",)" if len(names) == 1 else ")"))
    row = f"{contract.service.upper()}_{operation.name.upper()}"
    return wrap(f"{row} = Operation(", parts, ")", 4)


def client_class(contracts, is_async):
    prefix = "Async" if is_async else ""
    lines = [f"\n\nclass {prefix}Services:\n    \"\"\"The services of a client.\"\"\"\n\n"
             f"    def __init__(self, caller: {'Async' if is_async else 'Sync'}Caller) -> None:\n"]
    for contract in contracts:
        if contract.service == "bus":
            continue
        lines.append(f"        self.{contract.service} = {prefix}{camel(contract.service)}Service(caller)\n")
        name = NAMES.get(contract.service, (contract.service, {}))[0]
        if name != contract.service:
            lines.append(f"        self.{name} = self.{contract.service}\n")
    return "".join(lines)


def services(contracts, shared):
    shapes = Shapes()
    for contract in contracts:
        own = load(contract.path).get("types", {})
        types = Types(shared, own)
        for name in own:
            if own[name].get("type") == "map":
                shapes.offer(contract.service, name, read_field(contract.path, {"name": name, "type": name}, types, True))
    rows, classes = [], []
    for contract in contracts:
        aliases = NAMES.get(contract.service, ("", {}))[1]
        skip = NOT_FOR_CLIENTS.get(contract.service, set())
        for operation in contract.operations:
            rows.append(operation_row(contract, operation))
        for is_async in (False, True):
            classes.append(service_class(shapes, contract, aliases, skip, is_async))
    for is_async in (False, True):
        classes.append(client_class(contracts, is_async))
    body = "".join(shapes.lines) + "\n\n" + "".join(rows) + table(contracts) + "".join(classes)
    typing_names = [name for name in ("Any", "Dict", "List", "Literal", "Mapping", "Optional", "Sequence", "TypedDict",
                                      "Union", "cast") if name in body]
    head = HEAD.format(source="the contracts", summary="The services of a swarm, typed: what can be asked, and what comes.")
    return (head + wrap("from typing import ", typing_names, "", 4) + "\n"
            + "from .operation import Capability, Operation\n"
            + "from .service import AsyncCaller, AsyncService, Service, SyncCaller\n"
            + "from .stream import AsyncStream, Stream\n" + body)


def table(contracts):
    """OPERATIONS: by `service.name`."""
    lines = ["\nOPERATIONS = {\n"]
    for contract in contracts:
        for operation in contract.operations:
            row = f"{contract.service.upper()}_{operation.name.upper()}"
            lines.append(f"    \"{contract.service}.{operation.name}\": {row},\n")
    return "".join(lines) + "}\n"


def error_name(status):
    return ERROR_NAMES.get(status, camel(status) + "Error")


def error_classes(statuses):
    failures = {name: row for name, row in statuses.items() if name not in ("OK", "PENDING")}
    text = HEAD.format(source="kernel/status.h", summary="One exception class per status.")
    text += "from typing import Dict, Type\n\nfrom ._error import MumegaError\n"
    for name, row in failures.items():
        text += (f"\n\nclass {error_name(name)}({ERROR_BASES.get(name, 'MumegaError')}):\n"
                 f"    \"\"\"{row.text[:1].upper() + row.text[1:]}.\"\"\"\n\n"
                 f"    code = {row.code}\n    word = {json.dumps(row.word)}\n    http = {row.http}\n")
    text += "\n\nBY_CODE: Dict[int, Type[MumegaError]] = {\n"
    text += "".join(f"    {row.code}: {error_name(name)},\n" for name, row in failures.items()) + "}\n\n"
    return text + wrap("__all__ = [", [json.dumps(error_name(name)) for name in failures], "]\n", 11).rstrip("\n") + "\n"


def outputs():
    folder = os.path.join(KERNEL, "contracts")
    statuses = read_statuses()
    _, shared = read_shared(os.path.join(folder, SHARED))
    paths = sorted(path for path in glob.glob(os.path.join(folder, "*.json")) if os.path.basename(path) != SHARED)
    contracts = [read_contract(path, shared, statuses, read_fields_max()) for path in paths]
    return {"_services.py": services(contracts, shared), "_statuses.py": error_classes(statuses)}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(KERNEL), "sdk", "python", "mumega")
    try:
        for name, text in outputs().items():
            write(folder, name, text)
    except (ContractError, OSError) as error:
        print(f"emit_python.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
