# SPDX-License-Identifier: Apache-2.0
"""Writes contracts as C: one header and one table file per service, and all.c."""

import struct

from reader import SIZED_TYPES, WHOLE_TYPES

NOTICE = "/* SPDX-License-Identifier: Apache-2.0 */\n/* Generated from {source} by kernel/contracts/generate.py. */\n"


def pack(value):
    """msgpack of the scalars that a default can be."""
    if value is True:
        return b"\xc3"
    if value is False:
        return b"\xc2"
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    if isinstance(value, int):
        return pack_whole(value)
    data = value.encode()
    for limit, head in ((32, None), (1 << 8, ">BB"), (1 << 16, ">BH"), (1 << 32, ">BI")):
        if len(data) < limit:
            code = 0xD9 + (">BB", ">BH", ">BI").index(head) if head else None
            return (struct.pack(head, code, len(data)) if head else bytes([0xA0 | len(data)])) + data
    raise ValueError("too long")


def pack_whole(value):
    if 0 <= value < 128 or -32 <= value < 0:
        return struct.pack(">b", value)
    rows = (((0xCC, "B"), (0xCD, "H"), (0xCE, "I"), (0xCF, "Q")) if value >= 0
            else ((0xD0, "b"), (0xD1, "h"), (0xD2, "i"), (0xD3, "q")))
    for code, form in rows:
        try:
            return struct.pack(">B" + form, code, value)
        except struct.error:
            continue
    raise ValueError("beyond 64 bits")


def c_text(text):
    out = ['"']
    for byte in text.encode():
        character = chr(byte)
        if character in '"\\?':
            out.append("\\" + character)
        elif 32 <= byte < 127:
            out.append(character)
        else:
            out.append(f"\\{byte:03o}")
    return "".join(out) + '"'


def c_whole(value):
    if value == -2**63:
        return "INT64_MIN"
    return f"INT64_C({value})"


def enum(names):
    return "enum {\n" + ",\n".join(f"    {name}" for name in names) + "\n};\n"


def header(contract):
    service, upper = contract.service, contract.service.upper()
    guard = f"SOS_GENERATED_CONTRACTS_{upper}_H"
    parts = [NOTICE.format(source=f"kernel/contracts/{service}.json"),
             f"#ifndef {guard}\n#define {guard}\n\n#include \"kernel/contract.h\"\n\n",
             f"extern const struct contract {service}_contract;\n\n",
             enum([f"OP_{upper}_{operation.name.upper()}" for operation in contract.operations]
                  + [f"OP_{upper}_COUNT"])]
    for operation in contract.operations:
        if operation.fields:
            parts.append("\n" + enum([f"{upper}_{operation.name.upper()}_{field.name.upper()}"
                                      for field in operation.fields]))
    rows = [f"    X(OP_{upper}_{operation.name.upper()}, {operation.handler})" for operation in contract.operations]
    parts.append(f"\n/* X(operation, handler) for each operation, in order. */\n#define {upper}_OPERATIONS(X) \\\n"
                 + " \\\n".join(rows) + "\n\n#endif\n")
    return "".join(parts)


def flags(operation):
    names = [f"OPERATION_{flag.upper()}" for flag in operation.flags]
    if operation.capability and operation.capability["resolved"]:
        names.append("OPERATION_RESOLVES_RESOURCE")
    if operation.capability and operation.capability["own"]:
        names.append("OPERATION_OWN")
    return " | ".join(names)


def field_row(field, symbol):
    members = [f".name = {c_text(field.name)}", f".type = FIELD_{field.type.upper()}"]
    members.append(f".item = FIELD_{field.item.upper()}" if field.item else ".item = FIELD_ANY")
    bits = ["FIELD_REQUIRED"] if field.required else ["FIELD_NULLABLE"]
    if field.secret:
        bits.append("FIELD_SECRET")
    members.append(".flags = " + " | ".join(bits))
    members.append(f".place = PLACE_{field.place.upper()}")
    if field.default is not None:
        members.append(f".fallback = {{{symbol}_fallback, sizeof {symbol}_fallback}}")
    low, high = field.minimum, field.maximum
    if field.type in WHOLE_TYPES:
        members.append(f".min = {'INT64_MIN' if low is None else c_whole(low)}")
        members.append(f".max = {'INT64_MAX' if high is None else c_whole(high)}")
    elif field.type == "number":
        whole = [int(bound) for bound in (low, high)
                 if bound is not None and float(bound).is_integer() and -2**63 <= bound < 2**63]
        if len(whole) == 2:
            members.append(f".min = {c_whole(whole[0])}, .max = {c_whole(whole[1])}")
        members.append(f".number_min = {'-DBL_MAX' if low is None else repr(float(low))}")
        members.append(f".number_max = {'DBL_MAX' if high is None else repr(float(high))}")
    elif field.type in SIZED_TYPES:
        members.append(f".size_min = {low or 0}u")
        members.append(f".size_max = {high}u")
    if field.words:
        members.append(f".words = {symbol}_words")
    members.append(f".summary = {c_text(field.summary)}")
    return "    {" + ",\n     ".join(members) + "},\n"


def field_tables(operation, prefix):
    out = []
    for field in operation.fields:
        symbol = f"{prefix}_{field.name}"
        if field.default is not None:
            value = float(field.default) if field.type == "number" else field.default
            data = ", ".join(f"0x{byte:02x}" for byte in pack(value))
            out.append(f"static const uint8_t {symbol}_fallback[] = {{{data}}};\n")
        if field.words:
            out.append(f"static const char *const {symbol}_words[] = {{"
                       + ", ".join(c_text(word) for word in field.words) + ", NULL};\n")
    out.append(f"static const struct field {prefix}_fields[] = {{\n"
               + "".join(field_row(field, f"{prefix}_{field.name}") for field in operation.fields) + "};\n")
    return "".join(out)


def secrets(operation):
    """Names of the secret fields of requests, answers and chunks, at any depth."""
    names = set()

    def look(field):
        if field.secret:
            names.add(field.name)
        for inner in field.fields:
            look(inner)
        if field.item and not isinstance(field.item, str):
            look(field.item)

    for field in (*operation.fields, operation.response, *operation.response_or, *operation.chunk):
        look(field)
    return sorted(names)


def operation_row(contract, operation):
    prefix, capability = operation.name, operation.capability
    members = [f".service = {c_text(contract.service)}", f".name = {c_text(operation.name)}",
               f".type = {c_text(operation.type)}", f".summary = {c_text(operation.summary)}",
               f".index = OP_{contract.service.upper()}_{operation.name.upper()}",
               f".flags = {flags(operation)}", f".body_max = {operation.body_max}u",
               f".timeout_ms = {operation.timeout_ms}u"]
    for rows, name, count in ((operation.routes, "routes", "route_count"), (operation.fields, "fields", "field_count"),
                              (operation.errors, "errors", "error_count")):
        if rows:
            members.append(f".{name} = {prefix}_{name}")
            members.append(f".{count} = {len(rows)}")
    if secrets(operation):
        members.append(f".secrets = {prefix}_secrets")
    if capability:
        members.append(f".capability_action = {c_text(capability['action'])}")
        members.append(f".capability_resource = {c_text(capability['resource'])}")
        if capability["subject"]:
            members.append(f".capability_subject = {c_text(capability['subject'])}")
    if operation.acts_for:
        members.append(f".capability_subject = {c_text(operation.acts_for)}")
    return "    {" + ",\n     ".join(members) + "},\n"


def tables(contract):
    service = contract.service
    parts = [NOTICE.format(source=f"kernel/contracts/{service}.json"),
             f"#include <float.h>\n\n#include \"contracts/{service}.h\"\n\n"]
    for operation in contract.operations:
        prefix = operation.name
        if operation.fields:
            parts.append(field_tables(operation, prefix))
        if secrets(operation):
            parts.append(f"static const char *const {prefix}_secrets[] = {{"
                         + ", ".join(map(c_text, secrets(operation))) + ", NULL};\n")
        if operation.routes:
            rows = "".join(f"    {{DOOR_{door.upper()}, {c_text(method)}, {c_text(path)}}},\n"
                           for door, method, path in operation.routes)
            parts.append(f"static const struct route {prefix}_routes[] = {{\n{rows}}};\n")
        if operation.errors:
            rows = "".join(f"    {{STATUS_{status}, {c_text(word)}}},\n" for status, word in operation.errors)
            parts.append(f"static const struct operation_error {prefix}_errors[] = {{\n{rows}}};\n")
        parts.append("\n")
    parts.append("static const struct operation operations[] = {\n"
                 + "".join(operation_row(contract, operation) for operation in contract.operations) + "};\n\n")
    parts.append(f"const struct contract {service}_contract = {{\n    .service = {c_text(service)},\n"
                 f"    .summary = {c_text(contract.summary)},\n    .single = {'true' if contract.single else 'false'},\n"
                 f"    .operations = operations,\n    .operation_count = OP_{service.upper()}_COUNT,\n}};\n")
    return "".join(parts)


def all_tables(contracts):
    includes = "".join(f"#include \"contracts/{contract.service}.h\"\n" for contract in contracts)
    rows = "".join(f"    &{contract.service}_contract,\n" for contract in contracts)
    return (NOTICE.format(source="kernel/contracts") + includes
            + f"\nconst struct contract *const contracts[] = {{\n{rows}    NULL,\n}};\n")


def text_array(name, text, source):
    """ASCII text as a byte array: string literals of this length are not portable."""
    data = text.encode("ascii")
    lines = []
    for start in range(0, len(data), 24):
        lines.append("    " + " ".join(f"{byte}," for byte in data[start:start + 24]) + "\n")
    return (NOTICE.format(source=source) + "#include \"kernel/contract.h\"\n\n"
            + f"const char {name}[] = {{\n{''.join(lines)}    0,\n}};\n\nconst size_t {name}_size = {len(data)};\n")
