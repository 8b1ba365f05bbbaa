# SPDX-License-Identifier: Apache-2.0
"""Messages and events as users see them."""

from __future__ import annotations

import datetime
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Protocol, Type, Union

from . import wire
from .errors import ProtocolError
from .outgoing import Sent
from .wire import Record

if TYPE_CHECKING:
    from .bus import AsyncBus, Bus

UTC = datetime.timezone.utc
ACK_TIMEOUT_S = 30.0


class Source(Protocol):
    """Where a message came from and what was done with it goes. Every method may be called from any thread and does not
    block."""

    def ack(self, id_: bytes, waiter: Optional["Future[None]"] = None) -> None: ...

    def nack(self, id_: bytes, reason: str, delay_s: Optional[float], dead: bool) -> None: ...

    def extend(self, id_: bytes, seconds: float) -> None: ...

    def release(self, id_: bytes) -> None: ...


def time_of(microseconds: int) -> datetime.datetime:
    try:
        return datetime.datetime.fromtimestamp(microseconds / 1e6, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.datetime.fromtimestamp(0, UTC)


def time_of_text(text: Any) -> datetime.datetime:
    """RFC 3339, as JSON carries it; the epoch when it cannot be read."""
    try:
        return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return datetime.datetime.fromtimestamp(0, UTC)


class _Said:
    """What messages and events have in common."""

    __slots__ = ("id", "source", "type", "sent_at", "seq", "trace_id", "metadata", "_payload", "_packed")
    id: str
    source: str
    type: str
    sent_at: datetime.datetime
    seq: int
    trace_id: Optional[str]
    metadata: Dict[str, Any]
    _payload: Any
    _packed: Optional[bytes]

    def _from_record(self, record: Record) -> None:
        self.id = wire.id_text(record.id)
        self.source = record.source
        self.type = record.type or ""
        self.sent_at = time_of(record.timestamp)
        self.seq = record.seq or 0
        self.trace_id = record.trace[:16].hex() if record.trace else None
        self.metadata = record.metadata or {}
        self._payload, self._packed = None, record.payload

    def _from_object(self, value: Mapping[str, Any]) -> None:
        self.id = str(value.get("id", ""))
        self.source = str(value.get("from", ""))
        self.type = str(value.get("type", ""))
        self.sent_at = time_of_text(value.get("sent_at"))
        seq = value.get("seq")
        self.seq = seq if isinstance(seq, int) else 0
        trace = value.get("trace_id")
        self.trace_id = trace if isinstance(trace, str) else None
        metadata = value.get("metadata")
        self.metadata = metadata if isinstance(metadata, dict) else {}
        self._payload, self._packed = value.get("payload"), None

    @property
    def payload(self) -> Any:
        """What was said. ProtocolError when the sender's bytes are no msgpack value."""
        if self._packed is not None:
            try:
                self._payload = wire.unpack(self._packed)
            except wire.WireError as error:
                raise ProtocolError(f"message {self.id} of {self.source}: {error}") from None
            self._packed = None
        return self._payload


class Event(_Said):
    """Something that was said on a channel. `missed`: events that this subscription lost before this one, as it did not
    keep up or was away."""

    __slots__ = ("channel", "missed")

    def __init__(self, said: Union[Record, Mapping[str, Any]], missed: int = 0) -> None:
        if isinstance(said, Record):
            self._from_record(said)
            self.channel = said.target or ""
        else:
            self._from_object(said)
            self.channel = str(said.get("channel", ""))
        self.missed = missed

    def __repr__(self) -> str:
        return f"<Event {self.channel} {self.seq} {self.type} from {self.source}>"


class Mail(_Said):
    """A message out of an inbox. It is to be acknowledged, or given back; dropped without either it comes again.
    `target`: the inbox, or the squad that it was sent to; `attempt`: which delivery this is, from 1."""

    __slots__ = ("target", "attempt", "in_reply_to", "expires_in_s", "_origin", "_is_done", "_keep")

    def __init__(self, said: Union[Record, Mapping[str, Any]], origin: Source, keep: object = None) -> None:
        self._origin = origin
        self._keep = keep  # the inbox stays open while one of its messages is being handled
        self._is_done = False
        self.in_reply_to: Optional[str] = None
        self.expires_in_s: Optional[float] = None
        if isinstance(said, Record):
            self._from_record(said)
            self.target = said.target or ""
            self.attempt = said.attempt or 1
            if said.correlation:
                self.in_reply_to = wire.id_text(said.correlation)
            if said.ttl_ms:
                self.expires_in_s = said.ttl_ms / 1000
        else:
            self._from_object(said)
            self.target = str(said.get("to", ""))
            attempt, expires = said.get("attempt"), said.get("expires_in_ms")
            self.attempt = attempt if isinstance(attempt, int) else 1
            answered = said.get("in_reply_to")
            self.in_reply_to = answered if isinstance(answered, str) else None
            self.expires_in_s = expires / 1000 if isinstance(expires, int) else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.type} from {self.source}>"

    def _settle(self) -> bool:
        was_done, self._is_done = self._is_done, True
        return not was_done

    def ack(self) -> None:
        """It was handled. Does not wait; after a loss of the connection it is said again."""
        if self._settle():
            self._origin.ack(wire.id_bytes(self.id))

    def nack(self, reason: str = "", *, delay_s: Optional[float] = None, dead: bool = False) -> None:
        """It could not be handled: it comes again after 1, 2, 4 s (or delay_s), or goes to the dead letters at once."""
        if self._settle():
            self._origin.nack(wire.id_bytes(self.id), reason, delay_s, dead)

    def extend(self, seconds: float) -> None:
        """It will take so long from now. While it is being handled that is said by itself."""
        self._origin.extend(wire.id_bytes(self.id), seconds)

    def _ack_confirmed(self) -> "Future[None]":
        future: "Future[None]" = Future()
        if self._settle():
            self._origin.ack(wire.id_bytes(self.id), future)
        else:
            future.set_result(None)
        return future

    def _leave(self, error: Optional[BaseException]) -> None:
        if error is None:
            self.ack()
        elif isinstance(error, Exception):
            self.nack(f"{type(error).__name__}: {error}")

    def __del__(self) -> None:
        if not getattr(self, "_is_done", True):
            try:
                self._origin.release(wire.id_bytes(self.id))
            except Exception:  # noqa: BLE001 - nobody is there to hear it
                pass


class Message(Mail):
    """`with message:` acknowledges it when the block ends, and gives it back when the block raises."""

    __slots__ = ("_bus",)

    def __init__(self, said: Union[Record, Mapping[str, Any]], origin: Source, bus: "Bus", keep: object = None) -> None:
        super().__init__(said, origin, keep)
        self._bus = bus

    def ack_confirmed(self, timeout: float = ACK_TIMEOUT_S) -> None:
        """Acknowledges it and waits until that is on disk."""
        self._bus._wait(self._ack_confirmed(), timeout, "ack")

    def reply(self, payload: Any = None, *, type: Optional[str] = None, timeout: Optional[float] = None) -> Sent:
        """Sends an answer to its sender's inbox."""
        return self._bus.send(self.source, payload, type=type or self.type, in_reply_to=self.id, timeout=timeout)

    def __enter__(self) -> "Message":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._leave(error)


class AsyncMessage(Mail):
    """`async with message:` acknowledges it when the block ends, and gives it back when the block raises."""

    __slots__ = ("_bus",)

    def __init__(self, said: Union[Record, Mapping[str, Any]], origin: Source, bus: "AsyncBus",
                 keep: object = None) -> None:
        super().__init__(said, origin, keep)
        self._bus = bus

    async def ack_confirmed(self, timeout: float = ACK_TIMEOUT_S) -> None:
        """Acknowledges it and waits until that is on disk."""
        await self._bus._wait(self._ack_confirmed(), timeout, "ack")

    async def reply(self, payload: Any = None, *, type: Optional[str] = None, timeout: Optional[float] = None) -> Sent:
        """Sends an answer to its sender's inbox."""
        return await self._bus.send(self.source, payload, type=type or self.type, in_reply_to=self.id, timeout=timeout)

    async def __aenter__(self) -> "AsyncMessage":
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        self._leave(error)
