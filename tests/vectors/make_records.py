#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes records.json: SOS/1 records, good and malformed, made by an encoder that shares no code with
the one under test. Run it after a change of docs/PROTOCOL.md:

    python3 tests/vectors/make_records.py [FILE]

One vector is {name, hex, zeros?, valid, used, status?, fields?, payload?}. The frame is the bytes of
`hex` and then `zeros` zero bytes. `used` is what a decoder reports: the record's size, or 0 when the
rest of the frame cannot be read. Fields that `fields` leaves out are empty; ids, trace and metadata
are hex, numbers beyond 2^53 are text, as JSON readers would round them. `payload` is hex without the zeros."""

import json
import pathlib
import struct
import sys

import msgpack

KINDS = [
    "hello", "ready", "heartbeat", "bye", "request", "reply", "chunk", "cancel", "send", "deliver",
    "ack", "nack", "publish", "event", "subscribe", "unsubscribe", "control", "error",
]
FIELDS = [
    "version", "kind", "flags", "id", "correlation", "source", "target", "type", "timestamp", "ttl_ms",
    "trace", "capability", "status", "seq", "principal", "metadata", "attempt",
]
ID = bytes.fromhex("0192f3a4b5c67d8e9fa0b1c2d3e4f506")
OTHER_ID = bytes.fromhex("0192f3a4b5c67d8e9fa0b1c2d3e4f507")
TRACE = bytes(range(1, 25))
RECORD_MAX = 256 * 1024

vectors = []


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def record(header, payload=b""):
    return struct.pack(">IH", 2 + len(header) + len(payload), len(header)) + header + payload


def header(**fields):
    """The header as a list, up to the last field that is given."""
    values = {"version": 1, "kind": 5, "flags": 0, "id": ID, "source": "agent:kasra", **fields}
    last = max(FIELDS.index(name) for name in values)
    return [values.get(name) for name in FIELDS[: last + 1]]


def printable(value):
    if isinstance(value, int) and value > 2**53:
        return str(value)
    return value.hex() if isinstance(value, bytes) else value


def good(name, head, payload=b"", tail=b"", raw_header=None):
    """tail: what follows the record in its frame."""
    data = record(raw_header if raw_header is not None else pack(head), payload)
    fields = {}
    for field, value in zip(FIELDS, head):
        if field == "metadata" and value is not None:
            value = pack(value)
        if value is not None:
            fields[field] = printable(value)
    vectors.append({"name": name, "hex": (data + tail).hex(), "valid": True, "used": len(data),
                    "fields": fields, "payload": payload.hex()})


def bad(name, data, status="INVALID", used=None):
    vectors.append({"name": name, "hex": data.hex(), "valid": False, "status": status,
                    "used": len(data) if used is None else used})


def bad_header(name, head):
    bad(name, record(pack(head) if isinstance(head, list) else head))


def with_raw(field, raw):
    """The header with one field's bytes replaced."""
    names = FIELDS[: max(FIELDS.index(field), 5) + 1]
    values = dict(zip(FIELDS, header()))
    body = b"".join(raw if name == field else pack(values.get(name)) for name in names)
    return msgpack.Packer().pack_array_header(len(names)) + body


def make_good():
    for number, kind in enumerate(KINDS, 1):
        good(f"kind {kind}", header(kind=number, target="service:memory", type=f"test.{kind}"), pack({"n": number}))

    good("shortest: six fields, no payload", header())
    good("every field", header(
        flags=15, correlation=OTHER_ID, target="service:memory", type="memory.store", timestamp=1735689600123456,
        ttl_ms=30000, trace=TRACE, capability="cap_0123456789ab", status=3001, seq=2**64 - 1,
        principal="user:ana", metadata={"idempotency_key": "k-1"}, attempt=4), pack({"content": "café"}))
    good("every later field nil", header(
        target=None, type=None, timestamp=None, ttl_ms=None, trace=None, capability=None, status=None, seq=None,
        principal=None, metadata=None, attempt=None))
    good("unknown flag bits are kept", header(flags=0xFFFFFFF0))
    good("largest 32-bit numbers", header(ttl_ms=2**32 - 1, status=2**32 - 1, timestamp=2**64 - 1))
    good("unknown later fields are passed over",
         header(attempt=1), raw_header=pack(header(attempt=1) + ["new", {"a": [1, 2.5, None]}, 7]))
    good("a number in a longer form than it needs", header(),
         raw_header=with_raw("kind", b"\xcf" + (5).to_bytes(8, "big")))
    good("a text in a longer form than it needs", header(),
         raw_header=with_raw("source", b"\xdb" + struct.pack(">I", 11) + b"agent:kasra"))
    good("an id in bin 32", header(), raw_header=with_raw("id", b"\xc6" + struct.pack(">I", 16) + ID))
    good("header in array 32", header(),
         raw_header=b"\xdd" + struct.pack(">I", 6) + pack(header())[1:])
    good("empty target is none", header(target=""))
    good("longest name", header(source="agent:" + "a" * 128))
    good("longest principal", header(principal="p" * 255))
    good("longest type", header(type="t" * 127))
    good("longest capability", header(capability="c" * 8192))
    good("name with every allowed character", header(source="user:A9._-:@/z"))
    for kind in ["agent", "service", "user", "system", "guild", "squad"]:
        good(f"source {kind}", header(source=f"{kind}:x"))
    good("metadata of 64 nested maps", header(), raw_header=with_raw("metadata", b"\x81\xa1k" * 63 + b"\x80"))
    vectors[-1]["fields"]["metadata"] = (b"\x81\xa1k" * 63 + b"\x80").hex()
    size = RECORD_MAX - 6 - len(pack(header())) - 5
    good("largest record", header(), b"\xc6" + struct.pack(">I", size) + b"\0" * size)
    vectors[-1]["hex"] = vectors[-1]["hex"][: -2 * size]
    vectors[-1]["zeros"] = size
    vectors[-1]["payload"] = vectors[-1]["payload"][: -2 * size]
    good("first of two records", header(), pack(1), tail=record(pack(header(kind=3)), b""))
    good("first of two, the second broken", header(), pack(1), tail=b"\xff\xff")
    good("payload is not looked into", header(), b"\xc1")


def make_bad_lengths():
    data = record(pack(header()), pack({"a": 1}))
    bad("no bytes", b"", used=0)
    bad("three bytes of a length", data[:3], used=0)
    bad("length alone", data[:4], used=0)
    bad("length 0", b"\0\0\0\0", used=0)
    bad("length 1", b"\0\0\0\1\0", used=0)
    bad("one byte missing", data[:-1], used=0)
    bad("length beyond the frame", struct.pack(">I", len(data) - 3) + data[4:], used=0)
    bad("length beyond the largest record", struct.pack(">I", RECORD_MAX - 3) + data[4:], "TOO_LARGE", used=0)
    bad("length of 4 GiB", b"\xff\xff\xff\xff" + data[4:], "TOO_LARGE", used=0)
    bad("header length beyond the record", data[:4] + struct.pack(">H", len(data) - 5) + data[6:])
    lone = record(pack(header()))
    bad("header runs into the next record", struct.pack(">I", len(lone) - 5) + lone[4:], used=len(lone) - 1)
    bad("header length 65535", data[:4] + b"\xff\xff" + data[6:])
    bad("header length 0", b"\0\0\0\2\0\0")
    bad("header length cuts the array", data[:4] + struct.pack(">H", len(pack(header())) - 1) + data[6:])


def make_bad_forms():
    bad_header("header is a map", pack(dict(zip(FIELDS, header()))))
    bad_header("header is text", pack("version 1"))
    bad_header("header is nil", pack(None))
    bad_header("header is the reserved byte", b"\xc1")
    bad_header("header is an empty array", [])
    bad_header("three fields", header()[:3])
    bad_header("four fields: no source", header()[:4])
    bad_header("five fields: no source", header()[:5])
    bad_header("fewer values than the array says", b"\x97" + pack(header())[1:])
    bad_header("array 32 of 2^32-1 fields", b"\xdd\xff\xff\xff\xff" + pack(header())[1:])
    bad_header("bytes behind the array", pack(header()) + b"\xc0")
    eighteen = b"\xdc\x00\x12" + pack(header(attempt=1))[3:]
    bad_header("later field cut short", eighteen + b"\xd9\x05ab")
    bad_header("later field nested beyond 64", eighteen + b"\x91" * 65 + b"\xc0")
    for name, value in [("0", 0), ("2", 2), ("2^32+1", 2**32 + 1), ("-1", -1), ("nil", None), ("text", "1"), ("1.0", 1.0)]:
        bad_header(f"version {name}", header(version=value))
    for name, value in [("0", 0), ("19", 19), ("2^32+5", 2**32 + 5), ("nil", None), ("text", "request"), ("true", True)]:
        bad_header(f"kind {name}", header(kind=value))
    for name, value in [("nil", None), ("-1", -1), ("2^32", 2**32), ("text", "")]:
        bad_header(f"flags {name}", header(flags=value))
    for field in ["id", "correlation"]:
        for name, value in [("15 bytes", ID[:15]), ("17 bytes", ID + b"\0"), ("0 bytes", b""), ("text", "x" * 16), ("number", 7)]:
            bad_header(f"{field} {name}", header(**{field: value}))
    bad_header("id nil", header(id=None))
    for field in ["source", "target"]:
        for name, value in [
                ("without type", "kasra"), ("of unknown type", "robot:kasra"), ("of type in capitals", "Agent:kasra"),
                ("without name", "agent:"), ("beginning with a dot", "agent:.kasra"), ("with ..", "agent:a..b"),
                ("with a space", "agent:a b"), ("with a NUL", "agent:a\0b"), ("with a line break", "agent:a\n"),
                ("beyond ASCII", "agent:café"), ("of 129 bytes of name", "agent:" + "a" * 129),
                ("of 300 bytes", "agent:" + "a" * 294), ("bin", b"agent:kasra"), ("number", 5), ("list", ["agent:kasra"])]:
            bad_header(f"{field} {name}", header(**{field: value}))
    bad_header("source nil", header(source=None, target="service:memory"))
    bad_header("source empty", header(source=""))
    for field, size in [("type", 128), ("capability", 8193), ("principal", 256)]:
        bad_header(f"{field} over-long", header(**{field: "x" * size}))
        bad_header(f"{field} not UTF-8", with_raw(field, b"\xa2\xc3\x28"))
        bad_header(f"{field} bin", header(**{field: b"x"}))
        bad_header(f"{field} number", header(**{field: 1}))
        bad_header(f"{field} longer than the header", with_raw(field, b"\xdb\xff\xff\xff\xffx"))
    for field in ["timestamp", "ttl_ms", "status", "seq", "attempt"]:
        for name, value in [("negative", -1), ("text", "1"), ("fraction", 1.5), ("true", True), ("map", {})]:
            bad_header(f"{field} {name}", header(**{field: value}))
    for field in ["ttl_ms", "status", "attempt"]:
        bad_header(f"{field} 2^32", header(**{field: 2**32}))
    for name, value in [("23 bytes", TRACE[:23]), ("25 bytes", TRACE + b"\0"), ("text", "x" * 24), ("number", 1)]:
        bad_header(f"trace {name}", header(trace=value))
    for name, value in [("text", "{}"), ("list", [1]), ("number", 1), ("bin", b"\x80")]:
        bad_header(f"metadata {name}", header(metadata=value))
    bad_header("metadata of 65 nested maps", with_raw("metadata", b"\x81\xa1k" * 64 + b"\x80"))
    bad_header("metadata of 5000 nested arrays", with_raw("metadata", b"\x81\xa1k" + b"\x91" * 5000 + b"\xc0"))
    bad_header("metadata of 2^32-1 pairs", with_raw("metadata", b"\xdf\xff\xff\xff\xff\xa1k\x01"))
    bad_header("metadata cut short", with_raw("metadata", b"\x82\xa1k\x01\xa1l"))
    bad_header("metadata with the reserved byte", with_raw("metadata", b"\x81\xa1k\xc1"))
    data = record(pack(header(source="nobody")))
    bad("bad record before a good one", data + record(pack(header())), used=len(data))


def main():
    make_good()
    make_bad_lengths()
    make_bad_forms()
    names = [vector["name"] for vector in vectors]
    assert len(names) == len(set(names)), "two vectors of one name"
    lines = ",\n".join(json.dumps(vector, ensure_ascii=True) for vector in vectors)
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("records.json")
    target.write_text(f"[\n{lines}\n]\n", encoding="ascii")
    print(f"{target}: {len(vectors)} vectors")


if __name__ == "__main__":
    main()
