# SPDX-License-Identifier: Apache-2.0
"""Mail on its way to whoever handles it: taken from the broker within a window, kept from being taken for lost while it
is handled, acknowledged, and handed out at most once by its id. One thread, the link's, unless said otherwise."""

from __future__ import annotations

import logging
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any, Callable, Dict, List, Optional

from . import wire
from .calls import settle
from .errors import ClosedError, MumegaError, ProtocolError, from_status
from .session import Session
from .stream import Feed
from .timers import Timer
from .wire import Record

log = logging.getLogger("mumega")

IDS_PER_RECORD = 256
BATCHES_MAX = 64
REASON_MAX = 512
# Ids of handled messages that are remembered, so that a redelivered one is not handled again.
REMEMBERED = 65536
SUBSCRIBE_RETRY_S = 1.0


class Held:
    """A message that was delivered and is not acknowledged."""

    __slots__ = ("record", "taken_at", "is_current")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.taken_at: Optional[float] = None  # a user has it since then
        self.is_current = True  # delivered in this session


class AckBatch:
    """Ids that one ack record names, until the broker says that it is on disk."""

    def __init__(self, inbox: "Incoming", ids: List[bytes], waiters: List["Future[None]"]) -> None:
        self.inbox, self.ids, self.waiters = inbox, ids, waiters

    def answered(self, record: Record) -> None:
        self.inbox.confirmed(self, record)

    def lost(self, reason: str) -> None:
        self.inbox.unconfirmed(self)


class Ask:
    """A record of which only success or failure matters."""

    def __init__(self, done: Callable[[Optional[Record], Optional[MumegaError]], None],
                 lost: Optional[Callable[[str], None]] = None) -> None:
        self._done, self._lost = done, lost

    def answered(self, record: Record) -> None:
        if record.kind in (wire.ACK, wire.REPLY) and not record.status:
            self._done(record, None)
        elif record.kind == wire.CHUNK:
            self._done(None, ProtocolError("came a chunk, expected an ack"))
        else:
            self._done(None, from_status(record.status or 1000, record.payload))

    def lost(self, reason: str) -> None:
        if self._lost:
            self._lost(reason)


class Giving:
    """A nack, until the broker has it on disk."""

    def __init__(self, inbox: "Incoming", payload: Dict[str, Any]) -> None:
        self.inbox, self.payload = inbox, payload

    def answered(self, record: Record) -> None:
        if record.kind != wire.ACK:
            log.warning("%s: the broker refused a nack: %s", self.inbox.session.identity,
                        from_status(record.status or 1000, record.payload))

    def lost(self, reason: str) -> None:
        self.inbox.given_back.append(self)


class Incoming:
    """The peer's own inbox. A message is *held* from its delivery until it is acknowledged or given back."""

    def __init__(self, session: Session, capability: Callable[[], Optional[str]]) -> None:
        self.session = session
        self.capability = capability
        self.window, self.ack_s, self.handling_s = 256, 10.0, 3600.0
        self.feed = Feed()
        self.opened: "Future[int]" = Future()
        self.held: "OrderedDict[bytes, Held]" = OrderedDict()
        self.handled: "OrderedDict[bytes, None]" = OrderedDict()
        self.given_back: List[Giving] = []
        self.duplicates = 0
        self._acks: List[bytes] = []
        self._ack_waiters: List["Future[None]"] = []
        self._batches = 0
        self._flush: Optional[Timer] = None
        self._lease: Optional[Timer] = None
        self._is_open = False
        session.on_record[wire.DELIVER] = self.delivered
        session.parts.append(self)

    @property
    def is_idle(self) -> bool:
        return not self._acks and self._batches == 0

    # ---- what the user does; posted to the link's thread

    def open(self, feed: Feed, window: int, ack_s: float, handling_s: float, opened: "Future[int]") -> None:
        """From now on messages go to this feed; another one that was open ends, and what it held unread moves over."""
        before = self.feed
        unread = before.drop() if self._is_open else []
        before.end(ClosedError("the inbox was opened again"))
        self.feed, self.opened = feed, opened
        self.window, self.ack_s, self.handling_s = window, ack_s, handling_s
        self._is_open = True
        for record in unread:
            feed.put(record)
        if self.session.is_ready:
            self._subscribe()
        elif self.session.refusal:
            self._fail(self.session.refusal)

    def close(self, feed: Feed) -> None:
        """Gives back what nobody took; what is being handled can still be acknowledged."""
        if not self._is_open or feed is not self.feed:
            return
        self._is_open = False
        for record in feed.drop():
            self.held.pop(record.id, None)
        feed.end(ClosedError("the inbox was closed"))
        for held in self.held.values():
            held.is_current = False
        self.session.timers.cancel(self._lease)
        self._lease = None
        if self.session.is_ready:
            self._send(wire.UNSUBSCRIBE, Ask(lambda record, error: None), {"inbox": self.session.identity})

    def taken(self, id_: bytes) -> None:
        """The user has it now."""
        held = self.held.get(id_)
        if held:
            held.taken_at = self.session.clock()

    def ack(self, id_: bytes, waiter: Optional["Future[None]"] = None) -> None:
        self.held.pop(id_, None)
        self._remember(id_)
        self._acks.append(id_)
        if waiter is not None:
            self._ack_waiters.append(waiter)
        if self._flush is None:
            # Behind everything else that is posted now: many acks become one record.
            self._flush = self.session.timers.at(0.0, self.flush)

    def nack(self, id_: bytes, reason: str, delay_s: Optional[float], dead: bool) -> None:
        self.held.pop(id_, None)
        payload: Dict[str, Any] = {"ids": [id_], "reason": _cut(reason)}
        if delay_s is not None:
            payload["delay_ms"] = max(0, int(delay_s * 1000))
        if dead:
            payload["dead"] = True
        giving = Giving(self, payload)
        if self.session.is_ready:
            self._send(wire.NACK, giving, payload, flags=wire.FLAG_CONFIRM)
        elif len(self.given_back) < self.window:
            self.given_back.append(giving)

    def release(self, id_: bytes) -> None:
        """The user dropped it: its time runs out, and it comes again."""
        self.held.pop(id_, None)

    def extend(self, ids: List[bytes], seconds: float) -> None:
        if self.session.is_ready and ids:
            self._send(wire.CONTROL, None, {"ids": ids, "ms": max(1, int(seconds * 1000))}, type="extend")

    # ---- records

    def _send(self, kind: int, ask: Any, payload: Any, **fields: Any) -> None:
        record = self.session.record(kind, target=wire.BROKER, payload=wire.pack(payload),
                                     capability=self.capability(), **fields)
        if ask is not None:
            self.session.ask(record, ask)
        else:
            self.session.send(record)

    def delivered(self, record: Record) -> None:
        if not self._is_open:
            return
        if record.id in self.handled:
            # Handled, but the broker had not put that on disk when it crashed or the session ended.
            self.duplicates += 1
            self.ack(record.id)
            return
        held = self.held.get(record.id)
        if held is not None:
            self.duplicates += 1
            held.record.attempt, held.is_current = record.attempt, True
            self.held.move_to_end(record.id)
            return
        self.held[record.id] = Held(record)
        if not self.feed.put(record):
            self.held.pop(record.id)  # the broker passed its window: it comes again
        if self._lease is None:
            self._lease = self.session.timers.at(self.session.clock() + self.ack_s / 3, self._renew)

    def _renew(self) -> None:
        """The broker's time runs for the oldest message only."""
        self._lease = None
        now = self.session.clock()
        for id_, held in self.held.items():
            if held.is_current:
                if held.taken_at is None or now < held.taken_at + self.handling_s:
                    self.extend([id_], self.ack_s)
                break
        if self.held and self._is_open:
            self._lease = self.session.timers.at(now + self.ack_s / 3, self._renew)

    def flush(self) -> None:
        """Sends the acks that have gathered, as far as enough of those before are on disk."""
        self._flush = None
        while self.session.is_ready and self._acks and self._batches < BATCHES_MAX:
            ids, self._acks = self._acks[:IDS_PER_RECORD], self._acks[IDS_PER_RECORD:]
            waiters: List["Future[None]"] = []
            if not self._acks:
                waiters, self._ack_waiters = self._ack_waiters, []
            self._batches += 1
            self._send(wire.ACK, AckBatch(self, ids, waiters), ids, flags=wire.FLAG_CONFIRM)

    def confirmed(self, batch: AckBatch, record: Record) -> None:
        self._batches -= 1
        error = None
        if record.kind != wire.ACK:
            error = from_status(record.status or 1000, record.payload)
            log.warning("%s: the broker refused an ack: %s", self.session.identity, error)
        for waiter in batch.waiters:
            settle(waiter, error=error)
        if self._acks and self._flush is None:
            self.flush()

    def unconfirmed(self, batch: AckBatch) -> None:
        self._batches -= 1
        self._acks = batch.ids + self._acks
        self._ack_waiters = batch.waiters + self._ack_waiters

    def _remember(self, id_: bytes) -> None:
        self.handled[id_] = None
        if len(self.handled) > REMEMBERED:
            self.handled.popitem(last=False)

    # ---- session's Part

    def begin(self) -> None:
        self.flush()
        given_back, self.given_back = self.given_back, []
        for giving in given_back:
            self._send(wire.NACK, giving, giving.payload, flags=wire.FLAG_CONFIRM)
        if self._is_open:
            self._subscribe()

    def _subscribe(self) -> None:
        payload = {"inbox": self.session.identity, "window": self.window, "ack_ms": int(self.ack_s * 1000)}
        self._send(wire.SUBSCRIBE, Ask(self._subscribed), payload)

    def _subscribed(self, record: Optional[Record], error: Optional[MumegaError]) -> None:
        if record is not None:
            settle(self.opened, record.seq or 0)
            return
        assert error is not None
        if error.code in (1003, 1011, 1012, 1013, 4001):
            self.session.timers.at(self.session.clock() + SUBSCRIBE_RETRY_S,
                                   lambda: self._subscribe() if self.session.is_ready and self._is_open else None)
            return
        self._fail(error)

    def _fail(self, error: MumegaError) -> None:
        self._is_open = False
        settle(self.opened, error=error)
        self.feed.end(error)

    def lost(self, reason: str) -> None:
        # They come again, maybe to another session of this identity: nobody else's is handed out here.
        for record in self.feed.drop():
            self.held.pop(record.id, None)
        for held in list(self.held.values()):
            held.is_current = False

    def refused(self, error: MumegaError) -> None:
        waiters, self._ack_waiters = self._ack_waiters, []
        for waiter in waiters:
            settle(waiter, error=error)
        if self._is_open:
            self._fail(error)


def _cut(reason: str) -> str:
    """At most REASON_MAX bytes of it."""
    return reason.encode("utf-8", "replace")[:REASON_MAX].decode("utf-8", "ignore")
