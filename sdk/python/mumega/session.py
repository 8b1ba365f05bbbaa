# SPDX-License-Identifier: Apache-2.0
"""The session with the broker: hello, heartbeats, loss, and what waits for an answer. No sockets and no clock: the link
(link.py) hands in frames and the time, and takes what is to be sent. One thread: the link's."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Protocol

from . import wire
from .errors import MumegaError, ProtocolError, from_status
from .timers import Timers
from .wire import Record

log = logging.getLogger("mumega")

HELLO_RESEND_S = 1.0
REFUSED_RETRY_S = 5.0
SESSION_MIN_S = 0.1
SILENT_HEARTBEATS = 3
FRAME_RECORDS = 64
FRAME_BYTES = 32 * 1024
# Statuses of a refused hello that pass: said again, for a while.
PASSING = frozenset((1003, 1012, 1013, 1015, 4001, 4002))


class Pending(Protocol):
    """Something that was asked for and is answered by a record with its id as correlation."""

    def answered(self, record: Record) -> None: ...

    def lost(self, reason: str) -> None:
        """The session ended before the answer: it is not pending any more."""


class Part(Protocol):
    """What lives on a session, over its losses."""

    def begin(self) -> None:
        """A session is there."""

    def lost(self, reason: str) -> None:
        """It is gone; whatever was pending has been told."""

    def refused(self, error: MumegaError) -> None:
        """There will be none for now: who waits is told."""


class Limits:
    """The welcome's numbers, missing or absurd ones brought within bounds."""

    def __init__(self, welcome: Dict[Any, Any]) -> None:
        def number(name: str, fallback: int, low: int, high: int) -> int:
            value = welcome.get(name)
            return min(max(value, low), high) if type(value) is int else fallback

        self.record_max = number("record_max", wire.RECORD_MAX, 4096, wire.RECORD_MAX)
        self.stream_credit = number("stream_credit", 32, 1, 4096)
        self.requests_max = number("requests_max", 1024, 1, 65536)
        self.heartbeat_s = number("heartbeat_ms", 1000, 50, 60000) / 1000


class Session:
    def __init__(self, identity: str, agent: str, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.identity = identity
        self.timers = Timers()
        self.clock = clock
        self.wall = wall
        self.parts: List[Part] = []
        self.pending: Dict[bytes, Pending] = {}
        self.on_record: Dict[int, Callable[[Record], None]] = {}
        self.is_ready = False
        self.epoch: Optional[int] = None
        self.limits = Limits({})
        self.refusal: Optional[MumegaError] = None  # final, until a welcome
        self.on_ready: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None
        self.on_refused: Callable[[MumegaError], None] = lambda error: None
        self._agent = agent
        self._out: Deque[bytes] = deque()
        self._hello_id = wire.new_id()
        self._hello_at = 0.0
        self._began = 0.0
        self._heard = 0.0
        self._sent = 0.0
        self.faults = 0

    # ---- sending

    def record(self, kind: int, **fields: Any) -> Record:
        if "id" not in fields:
            fields["id"] = wire.new_id()
        return Record(kind, source=self.identity, timestamp=int(self.wall() * 1e6), **fields)

    def send(self, record: Record) -> None:
        """ValueError when it is too large. Only while ready; a record that is not sent before a loss is gone with it."""
        data = wire.encode(record)
        if len(data) > self.limits.record_max:
            raise ValueError(f"a record of {len(data)} bytes, at most {self.limits.record_max} are taken")
        self._out.append(data)

    def ask(self, record: Record, pending: Pending) -> None:
        self.send(record)
        self.pending[record.id] = pending

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    def take_frame(self) -> Optional[bytes]:
        """The next frame: as many records as go together."""
        if not self._out:
            return None
        self._sent = self.clock()
        first = self._out.popleft()
        if not self._out or len(first) >= FRAME_BYTES:
            return first
        records, size = [first], len(first)
        while self._out and len(records) < FRAME_RECORDS and size + len(self._out[0]) <= FRAME_BYTES:
            record = self._out.popleft()
            records.append(record)
            size += len(record)
        return b"".join(records)

    # ---- the link's events

    def lost(self, reason: str) -> None:
        """The connection broke, or the broker does not know this session any more."""
        was_ready, self.is_ready = self.is_ready, False
        self._out.clear()
        self._hello_id = wire.new_id()
        if not was_ready:
            return
        # One that ends as soon as it begins is not begun again and again.
        self._hello_at = max(0.0, self._began + SESSION_MIN_S)
        log.info("%s: the session is lost: %s", self.identity, reason)
        pending, self.pending = self.pending, {}
        for entry in pending.values():
            entry.lost(reason)
        for part in self.parts:
            part.lost(reason)
        self.on_lost()

    def refuse(self, error: MumegaError) -> None:
        """The broker does not want this peer: who waits hears it now."""
        self.lost("refused")
        self.refusal = error
        self._hello_at = self.clock() + REFUSED_RETRY_S
        for part in self.parts:
            part.refused(error)
        self.on_refused(error)

    def receive(self, frame: bytes) -> None:
        records, faults = wire.decode_frame(frame)
        self._heard = self.clock()
        if faults:
            self.faults += len(faults)
            log.warning("%s: the broker sent what is no record: %s", self.identity, faults[0])
        for record in records:
            self._receive(record)

    def tick(self) -> None:
        now = self.clock()
        self.timers.run(now)
        if not self.is_ready:
            if now >= self._hello_at:
                self._say_hello(now)
            return
        if now >= self._heard + SILENT_HEARTBEATS * self.limits.heartbeat_s:
            self.lost("the broker was silent for three heartbeats")
        elif now >= self._sent + self.limits.heartbeat_s and not self._out:
            self.send(self.record(wire.HEARTBEAT))

    def retry_hello(self) -> None:
        """A new connection stands: what was said before did not get there."""
        if not self.is_ready:
            self._hello_at = 0.0

    @property
    def deadline(self) -> float:
        """When tick() is to be called at the latest."""
        if self.is_ready:
            due = self._heard + SILENT_HEARTBEATS * self.limits.heartbeat_s
            if not self._out:
                due = min(due, self._sent + self.limits.heartbeat_s)
        else:
            due = self._hello_at
        timer = self.timers.next
        return due if timer is None else min(due, timer)

    def say_bye(self) -> None:
        if self.is_ready:
            self.send(self.record(wire.BYE))

    # ---- inside

    def _say_hello(self, now: float) -> None:
        # The same id until it is answered: any answer counts.
        self._out.clear()
        self.send(self.record(wire.HELLO, id=self._hello_id, target=wire.BROKER, payload=wire.pack(
            {"version_min": wire.VERSION, "version_max": wire.VERSION, "features": [], "agent": self._agent})))
        self._hello_at = now + HELLO_RESEND_S

    def _receive(self, record: Record) -> None:
        kind = record.kind
        if kind == wire.HELLO:
            self._hear_hello(record)
        elif kind == wire.CONTROL and record.type == "hello_required":
            self.lost("the broker does not know it")
        elif not self.is_ready:
            if kind == wire.ERROR and record.correlation == self._hello_id:
                self._hear_refusal(record)
        elif kind == wire.BYE:
            self.lost("the broker said bye")
        elif kind in (wire.REPLY, wire.ACK, wire.ERROR, wire.CHUNK):
            pending = self.pending.get(record.correlation) if record.correlation else None
            if pending:
                if kind != wire.CHUNK:
                    del self.pending[record.correlation or b""]
                pending.answered(record)
            elif kind == wire.ERROR:
                error = from_status(record.status or 1000, record.payload)
                log.warning("%s: the broker refused a record: %s", self.identity, error)
        else:
            handler = self.on_record.get(kind)
            if handler:
                handler(record)

    def _hear_hello(self, record: Record) -> None:
        if record.correlation != self._hello_id:
            return
        try:
            welcome = wire.unpack(record.payload)
        except wire.WireError as error:
            welcome = str(error)
        if not isinstance(welcome, dict) or welcome.get("version") != wire.VERSION \
                or type(welcome.get("epoch")) is not int:
            self.faults += 1
            log.warning("%s: the broker's welcome cannot be read", self.identity)
            return
        if self.is_ready:
            # A hello that was said twice began the session anew: what was sent in between is gone.
            hello_id = self._hello_id
            self.lost("the session began anew")
            self._hello_id = hello_id
        self.limits = Limits(welcome)
        if self.epoch is not None and self.epoch != welcome["epoch"]:
            log.info("%s: the broker was started anew", self.identity)
        self.epoch = welcome["epoch"]
        self._heard = self._sent = self._began = self.clock()
        self._out.clear()
        self.is_ready, self.refusal = True, None
        for part in self.parts:
            part.begin()
        self.on_ready()

    def _hear_refusal(self, record: Record) -> None:
        error = from_status(record.status or 1000, record.payload)
        if error.code in PASSING:
            return  # the hello is said again
        error.message = f"the broker refused {self.identity}: {error.message}"
        self.refuse(error)


def unpack_answer(record: Record) -> Any:
    """The payload of an answer; ProtocolError when it cannot be read."""
    try:
        return wire.unpack(record.payload)
    except wire.WireError as error:
        raise ProtocolError(f"the answer of {record.source} cannot be read: {error}") from None
