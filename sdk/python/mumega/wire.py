# SPDX-License-Identifier: Apache-2.0
"""SOS/1 records as bytes (docs/PROTOCOL.md): encoding, and decoding of whatever a network brings.

Pure: no sockets, no clock but for ids. `decode` refuses every form that the protocol does not allow, so that the
layers above meet well-formed records only; payloads are left packed until somebody reads them (`unpack`)."""

from __future__ import annotations

import os
import re
import struct
import threading
import time
import uuid
from functools import lru_cache
from typing import Any, Dict, Iterator, List, Optional, Tuple

try:
    import msgpack
except ImportError:  # HTTP needs none of it
    msgpack = None

VERSION = 1
RECORD_MAX = 256 * 1024
FRAME_MAX = 320 * 1024
NAME_MAX = 255
TYPE_MAX = 127
CAPABILITY_MAX = 8192
DEPTH_MAX = 64

HELLO, READY, HEARTBEAT, BYE, REQUEST, REPLY, CHUNK, CANCEL = range(1, 9)
SEND, DELIVER, ACK, NACK, PUBLISH, EVENT, SUBSCRIBE, UNSUBSCRIBE, CONTROL, ERROR = range(9, 19)
KINDS = ("", "hello", "ready", "heartbeat", "bye", "request", "reply", "chunk", "cancel", "send", "deliver", "ack",
         "nack", "publish", "event", "subscribe", "unsubscribe", "control", "error")

FLAG_FINAL, FLAG_STREAM, FLAG_IDEMPOTENT, FLAG_WRITE, FLAG_CONFIRM = 1, 2, 4, 8, 16

BROKER = "service:bus"

_HEAD = struct.Struct(">IH")
_FIELDS = 17
_NOTHING_MORE = (None,) * 8
_UINT32 = 2**32
_UINT64 = 2**64
_IDENTITY = re.compile(r"(?:agent|service|user|system|guild|squad):[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}\Z")
# An int as a map's key has a hash that a sender can choose: maps with such keys are read only while they are small.
_LOOSE_KEYS_MAX = 16 * 1024


class WireError(ValueError):
    """A frame that cannot be read. `used` is the size of the one bad record, or 0 when the rest of the frame is lost
    with it; `too_large` tells a length beyond the limit from bytes that make no sense."""

    def __init__(self, message: str, used: int = 0, too_large: bool = False) -> None:
        super().__init__(message)
        self.used = used
        self.too_large = too_large


class Record:
    """One record; field names as in docs/PROTOCOL.md. `payload` is packed."""

    __slots__ = ("kind", "flags", "id", "correlation", "source", "target", "type", "timestamp", "ttl_ms", "trace",
                 "capability", "status", "seq", "principal", "metadata", "attempt", "payload")

    def __init__(self, kind: int, *, id: bytes = b"", source: str = "", target: Optional[str] = None,
                 type: Optional[str] = None, flags: int = 0, correlation: Optional[bytes] = None, timestamp: int = 0,
                 ttl_ms: Optional[int] = None, trace: Optional[bytes] = None, capability: Optional[str] = None,
                 status: Optional[int] = None, seq: Optional[int] = None, principal: Optional[str] = None,
                 metadata: Optional[Dict[Any, Any]] = None, attempt: Optional[int] = None,
                 payload: bytes = b"") -> None:
        self.kind = kind
        self.flags = flags
        self.id = id
        self.correlation = correlation
        self.source = source
        self.target = target
        self.type = type
        self.timestamp = timestamp
        self.ttl_ms = ttl_ms
        self.trace = trace
        self.capability = capability
        self.status = status
        self.seq = seq
        self.principal = principal
        self.metadata = metadata
        self.attempt = attempt
        self.payload = payload

    def __repr__(self) -> str:
        # Neither payload nor capability: records are logged.
        return f"<{KINDS[self.kind]} {self.id.hex()} {self.source} -> {self.target} {self.type}>"


# ---- ids and names

class _Ids:
    """UUIDv7s (RFC 9562), rising within this process: 48 bits of milliseconds, a counter, random bits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = 0
        self._counter = 0
        self._random: Iterator[bytes] = iter(())

    def _tail(self) -> bytes:
        for tail in self._random:
            return tail
        block = os.urandom(8 * 256)
        self._random = (block[at:at + 8] for at in range(0, len(block), 8))
        return next(self._random)

    def next(self) -> bytes:
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._milliseconds:
                self._milliseconds, self._counter = now, 0
            else:
                self._counter += 1
                if self._counter > 0xFFF:
                    self._milliseconds, self._counter = self._milliseconds + 1, 0
            tail = self._tail()
            return ((self._milliseconds & 0xFFFFFFFFFFFF) << 16 | 0x7000 | self._counter).to_bytes(8, "big") \
                + bytes((0x80 | tail[0] & 0x3F,)) + tail[1:]

    def reseed(self) -> None:
        """A forked child must not repeat its parent's ids."""
        self.__init__()  # type: ignore[misc]


_ids = _Ids()
new_id = _ids.next
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.reseed)


def id_text(id_: bytes) -> str:
    """An id as users see it: a UUID's text."""
    text = id_.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_bytes(text: str) -> bytes:
    """The id that a UUID's text names; ValueError for anything else."""
    return uuid.UUID(text).bytes


@lru_cache(maxsize=4096)
def is_identity(name: str) -> bool:
    """`agent:kasra`, and every other name that a source or target can be."""
    return _IDENTITY.match(name) is not None and ".." not in name


# ---- payloads

def pack(value: Any) -> bytes:
    """One msgpack value. TypeError or ValueError for what msgpack cannot hold."""
    try:
        return msgpack.packb(value, use_bin_type=True)  # type: ignore[no-any-return]
    except (OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None


def unpack(data: bytes) -> Any:
    """The value of a payload; nothing is None. WireError when it is not exactly one msgpack value."""
    if not data:
        return None
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=True)
    except Exception as error:  # noqa: BLE001 - msgpack raises many kinds
        if len(data) > _LOOSE_KEYS_MAX or "not allowed for map key" not in str(error):
            raise WireError(f"a payload is not one msgpack value: {error}") from None
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=False)
    except Exception as error:  # noqa: BLE001
        raise WireError(f"a payload is not one msgpack value: {error}") from None


# ---- encoding

def encode(record: Record) -> bytes:
    """The record's bytes. ValueError when it would pass a limit of the protocol."""
    head = [VERSION, record.kind, record.flags, record.id, record.correlation, record.source, record.target,
            record.type, record.timestamp or None]
    more = (record.ttl_ms, record.trace, record.capability, record.status, record.seq, record.principal,
            record.metadata, record.attempt)
    if more != _NOTHING_MORE:
        head += more
    while head[-1] is None:
        head.pop()
    header: bytes = msgpack.packb(head, use_bin_type=True)
    size = 2 + len(header) + len(record.payload)
    if size + 4 > RECORD_MAX:
        raise ValueError(f"a record of {size + 4} bytes, at most {RECORD_MAX} fit")
    if len(header) > 0xFFFF:
        raise ValueError(f"a header of {len(header)} bytes, at most 65535 fit")
    for name, text, limit in (("type", record.type, TYPE_MAX), ("capability", record.capability, CAPABILITY_MAX),
                              ("principal", record.principal, NAME_MAX)):
        # A text of n characters has at most 4n bytes: most need no second look.
        if text and len(text) * 4 > limit and len(text.encode()) > limit:
            raise ValueError(f"{name}: longer than {limit} bytes")
    return _HEAD.pack(size, len(header)) + header + record.payload


# ---- decoding

def decode(frame: bytes, start: int = 0) -> Tuple[Record, int]:
    """The record at `start` and its size. Any bytes are safe; WireError says what is wrong with them."""
    left = len(frame) - start
    if left < 4:
        raise WireError("a broken length")
    if left < 6:
        length = int.from_bytes(frame[start:start + 4], "big")
        header_size = 0
    else:
        length, header_size = _HEAD.unpack_from(frame, start)
    used = 4 + length
    if used > RECORD_MAX:
        raise WireError(f"a record of {used} bytes, at most {RECORD_MAX} are allowed", too_large=True)
    if length < 2 or used > left:
        raise WireError("a broken length")
    if header_size > length - 2:
        raise WireError("a header that is longer than its record", used)
    body = start + 6 + header_size
    try:
        head = msgpack.unpackb(frame[start + 6:body], raw=False, strict_map_key=False, use_list=True)
    except Exception as error:  # noqa: BLE001 - msgpack raises many kinds
        raise WireError(f"a header that is not msgpack: {error}", used) from None
    if type(head) is not list:
        raise WireError("a header that is no array", used)
    try:
        record = _record(head)
    except _Form as error:
        raise WireError(f"header field {error}", used) from None
    record.payload = frame[body:start + used]
    return record, used


def decode_frame(frame: bytes) -> Tuple[List[Record], List[WireError]]:
    """Every record of a frame that can be read, and what was wrong with the others."""
    records: List[Record] = []
    faults: List[WireError] = []
    at = 0
    while at < len(frame):
        try:
            record, used = decode(frame, at)
            records.append(record)
        except WireError as error:
            faults.append(error)
            if error.used == 0:
                break
            used = error.used
        at += used
    return records, faults


class _Form(Exception):
    pass


def _uint(name: str, value: Any, limit: int) -> int:
    if type(value) is not int or not 0 <= value < limit:
        raise _Form(f"{name}: not a whole number from 0 to {limit - 1}")
    return value


def _text(name: str, value: Any, limit: int) -> str:
    if type(value) is not str or (len(value) * 4 > limit and len(value.encode()) > limit):
        raise _Form(f"{name}: not a text of at most {limit} bytes")
    return value


def _binary(name: str, value: Any, size: int) -> bytes:
    if type(value) is not bytes or len(value) != size:
        raise _Form(f"{name}: not {size} bytes")
    return value


def _identity(name: str, value: Any) -> str:
    if type(value) is not str or len(value) > NAME_MAX or not is_identity(value):
        raise _Form(f"{name}: not an identity")
    return value


def _nests_beyond(value: Any, limit: int) -> bool:
    level = [value]
    for depth in range(limit + 1):
        nested = [item for item in level if isinstance(item, (dict, list, tuple))]
        if not nested:
            return False
        if depth == limit:
            return True
        level = []
        for item in nested:
            if isinstance(item, dict):
                level.extend(item.keys())
                level.extend(item.values())
            else:
                level.extend(item)
    return True


def _record(head: List[Any]) -> Record:
    if len(head) < 6:
        raise _Form(f"source: missing, the array has {len(head)} fields")
    for extra in head[_FIELDS:]:
        if _nests_beyond(extra, DEPTH_MAX):
            raise _Form("beyond the known ones: nested too deep")
    head = head[:_FIELDS] + [None] * (_FIELDS - len(head))
    (version, kind, flags, id_, correlation, source, target, type_, timestamp, ttl_ms, trace, capability, status, seq,
     principal, metadata, attempt) = head
    if type(version) is not int or version != VERSION:
        raise _Form("version: not 1")
    if type(kind) is not int or not HELLO <= kind <= ERROR:
        raise _Form("kind: not a known one")
    record = Record(kind)
    record.flags = _uint("flags", flags, _UINT32)
    record.id = _binary("id", id_, 16)
    record.source = _identity("source", source)
    if correlation is not None:
        record.correlation = _binary("correlation", correlation, 16)
    if target:
        record.target = _identity("target", target)
    elif target is not None and target != "":
        raise _Form("target: not an identity")
    if type_ is not None:
        record.type = _text("type", type_, TYPE_MAX)
    if timestamp is not None:
        record.timestamp = _uint("timestamp", timestamp, _UINT64)
    if ttl_ms is not None:
        record.ttl_ms = _uint("ttl_ms", ttl_ms, _UINT32)
    if trace is not None:
        record.trace = _binary("trace", trace, 24)
    if capability is not None:
        record.capability = _text("capability", capability, CAPABILITY_MAX)
    if status is not None:
        record.status = _uint("status", status, _UINT32)
    if seq is not None:
        record.seq = _uint("seq", seq, _UINT64)
    if principal is not None:
        record.principal = _text("principal", principal, NAME_MAX)
    if metadata is not None:
        if type(metadata) is not dict or _nests_beyond(metadata, DEPTH_MAX):
            raise _Form(f"metadata: not a map, or nested beyond {DEPTH_MAX}")
        record.metadata = metadata
    if attempt is not None:
        record.attempt = _uint("attempt", attempt, _UINT32)
    return record
