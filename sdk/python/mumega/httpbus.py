# SPDX-License-Identifier: Apache-2.0
"""An inbox and a subscription over HTTP: a thread each, that feeds what comes and says what was done with it."""

from __future__ import annotations

import http.client
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from . import _services, wire
from .calls import settle
from .channels import Listener
from .errors import (ClosedError, ConnectError, DeadlineError, MumegaError, ProtocolError, UnavailableError,
                     UnknownOutcomeError)
from .incoming import IDS_PER_RECORD, REMEMBERED
from .operation import CallOptions, Operation
from .stream import Feed

if TYPE_CHECKING:
    from .httpway import HttpWay

POLL_S = 20.0
POLL_MESSAGES = 64
PAUSE_FIRST_S = 0.2
PAUSE_MAX_S = 5.0
CONFIRM_S = 30.0
# Numbers that go on so much further up do so because the broker was started anew.
RESTART_GAP = 100_000


def passes(error: MumegaError) -> bool:
    """Worth asking again after a while?"""
    return isinstance(error, (ConnectError, UnavailableError, UnknownOutcomeError, DeadlineError)) \
        or error.http in (429, 503)


class HttpMailbox:
    """One thread polls, another acknowledges and renews leases. Is the Source of its messages."""

    def __init__(self, way: "HttpWay", agent: str, window: int, ack_s: float, handling_s: float) -> None:
        self._way, self._agent = way, agent
        self._window, self._ack_s, self._handling_s = window, ack_s, handling_s
        self.feed = Feed(limit=window)
        self.feed.connect(None, self.close)
        self.opened: "Future[int]" = Future()
        self._changed = threading.Condition()
        self._held: "OrderedDict[bytes, float]" = OrderedDict()  # id -> handled until
        self._handled: "OrderedDict[bytes, None]" = OrderedDict()
        self._acks: List[bytes] = []
        self._waiters: List["Future[None]"] = []
        self._nacks: List[Dict[str, Any]] = []
        self._extends: List[Dict[str, Any]] = []
        self._renew_at = 0.0
        self._wanted = False
        self._polling: Optional[int] = None  # the thread that polls
        self._closed = False
        self.feed.when_wanted(self._want)
        way.at_close(self.close)

    def start(self) -> None:
        for work, name in ((self._poll, "inbox"), (self._tell, "acks")):
            threading.Thread(target=self._run, args=(work,), name=f"mumega http {name}", daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._way.leave()

    # ---- Source

    def ack(self, id_: bytes, waiter: "Optional[Future[None]]" = None) -> None:
        with self._changed:
            self._held.pop(id_, None)
            self._remember(id_)
            self._acks.append(id_)
            if waiter is not None:
                self._waiters.append(waiter)
            self._changed.notify_all()

    def nack(self, id_: bytes, reason: str, delay_s: Optional[float], dead: bool) -> None:
        fields: Dict[str, Any] = {"ids": [wire.id_text(id_)], "reason": reason[:128], "dead": dead}
        if delay_s is not None:
            fields["delay_ms"] = max(0, int(delay_s * 1000))
        with self._changed:
            self._held.pop(id_, None)
            self._nacks.append(fields)
            self._changed.notify_all()

    def extend(self, id_: bytes, seconds: float) -> None:
        with self._changed:
            self._extends.append({"ids": [wire.id_text(id_)], "ms": max(1, int(seconds * 1000))})
            self._changed.notify_all()

    def release(self, id_: bytes) -> None:
        with self._changed:
            self._held.pop(id_, None)
            self._changed.notify_all()

    def taken(self, item: Dict[str, Any]) -> None:
        with self._changed:
            id_ = _id_of(item)
            if id_ in self._held:
                self._held[id_] = time.monotonic() + self._handling_s
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            # What nobody took comes again, to whoever asks then.
            unread = [_id_of(item) for item in self.feed.drop()]
            for start in range(0, len(unread), IDS_PER_RECORD):
                self._nacks.append({"ids": [wire.id_text(id_) for id_ in unread[start:start + IDS_PER_RECORD]],
                                    "reason": "not taken", "delay_ms": 0})
            for id_ in unread:
                self._held.pop(id_, None)
            self._changed.notify_all()
            polling = self._polling
        self.feed.end(ClosedError("the inbox was closed"))
        if polling is not None:
            self._way.cut(polling)  # the gateway sees that nobody waits, and takes nothing out

    def _remember(self, id_: bytes) -> None:
        self._handled[id_] = None
        if len(self._handled) > REMEMBERED:
            self._handled.popitem(last=False)

    # ---- polling

    def _ask(self, operation: Operation, fields: Dict[str, Any], timeout_s: float) -> Any:
        request = self._way.request(operation, {"agent_id": self._agent, **fields}, CallOptions(timeout_s))
        answer = self._way.perform(request)
        if not isinstance(answer, dict):
            raise ProtocolError(f"{operation.type}: came no JSON object")
        return answer

    def _want(self) -> None:
        with self._changed:
            self._wanted = True
            self._changed.notify_all()

    def _room(self) -> int:
        """How many more may be held; waits until somebody wants one. A message that is taken out and given back has been
        tried, so none is taken ahead of its reader."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._wanted and len(self._held) < self._window))
            return self._window - len(self._held)

    def _poll(self) -> None:
        pause = PAUSE_FIRST_S
        limit = 0  # first only look; then one, then more and more while they are read
        while True:
            room = self._room() if limit else 1
            if self._closed:
                return
            try:
                with self._changed:
                    self._polling = threading.get_ident()
                if limit == 0:
                    answer = self._ask(_services.BUS_INBOX, {"limit": 1, "peek": True}, POLL_S)
                    settle(self.opened, _count(answer))
                    limit = 1
                else:
                    answer = self._ask(_services.BUS_INBOX, {
                        "limit": min(limit, room), "wait_ms": int(POLL_S * 1000), "ack_ms": int(self._ack_s * 1000)},
                        POLL_S + 10)
                    limit = min(limit * 2, POLL_MESSAGES) if self._give(answer) >= limit else limit
                pause = PAUSE_FIRST_S
            except MumegaError as error:
                if self._closed or isinstance(error, ClosedError):
                    return
                if not passes(error):
                    settle(self.opened, error=error)
                    self.feed.end(error)
                    self.close()
                    return
                time.sleep(pause)
                pause = min(pause * 2, PAUSE_MAX_S)
            finally:
                with self._changed:
                    self._polling = None

    def _give(self, answer: Dict[str, Any]) -> int:
        """How many came."""
        messages = answer.get("messages")
        items = [item for item in messages if isinstance(item, dict)] if isinstance(messages, list) else []
        with self._changed:
            for item in items:
                id_ = _id_of(item)
                if id_ in self._handled:
                    self._acks.append(id_)
                elif self._closed:
                    self._nacks.append({"ids": [wire.id_text(id_)], "reason": "not taken", "delay_ms": 0})
                elif id_ not in self._held:
                    self._wanted = False
                    self._held[id_] = float("inf")
                    self.feed.put(item)
            self._changed.notify_all()
        return len(items)

    # ---- telling

    def _tell(self) -> None:
        pause = PAUSE_FIRST_S
        end = float("inf")
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, timeout=self._ack_s / 3)
                now = time.monotonic()
                if self._closed:
                    end = min(end, now + CONFIRM_S)
                acks, self._acks = self._acks[:IDS_PER_RECORD], self._acks[IDS_PER_RECORD:]
                waiters: List["Future[None]"] = []
                if not self._acks:
                    waiters, self._waiters = self._waiters, []
                nacks, self._nacks = self._nacks, []
                extends, self._extends = self._extends, []
                if now >= self._renew_at:
                    self._renew_at = now + self._ack_s / 3
                    held = [id_ for id_, until in self._held.items() if now < until]
                    extends += [{"ids": [wire.id_text(id_) for id_ in held[start:start + IDS_PER_RECORD]],
                                 "ms": int(self._ack_s * 1000)} for start in range(0, len(held), IDS_PER_RECORD)]
                is_over = self._closed and not (acks or nacks or self._acks or self._held)
            if is_over or now >= end:
                self._way.not_at_close(self.close)
                return
            try:
                if acks:
                    self._ask(_services.BUS_ACK, {"ids": [wire.id_text(id_) for id_ in acks]}, CONFIRM_S)
                    for waiter in waiters:
                        settle(waiter)
                    acks, waiters = [], []
                while nacks:
                    self._ask(_services.BUS_NACK, nacks[0], CONFIRM_S)
                    nacks.pop(0)
                for fields in extends:
                    self._ask(_services.BUS_EXTEND, fields, CONFIRM_S)
                pause = PAUSE_FIRST_S
            except MumegaError as error:
                if isinstance(error, ClosedError) or not passes(error):
                    for waiter in waiters:
                        settle(waiter, error=error)
                    continue
                with self._changed:
                    self._acks = acks + self._acks
                    self._waiters = waiters + self._waiters
                    self._nacks = nacks + self._nacks
                time.sleep(pause)
                pause = min(pause * 2, PAUSE_MAX_S)

    def _has_work(self) -> bool:
        return bool(self._acks or self._nacks or self._extends or self._closed)


def _count(answer: Dict[str, Any]) -> int:
    """Messages in the inbox, by what a look at it gave."""
    messages, waiting = answer.get("messages"), answer.get("waiting")
    return (len(messages) if isinstance(messages, list) else 0) + (waiting if isinstance(waiting, int) else 0)


def _id_of(item: Dict[str, Any]) -> bytes:
    try:
        return wire.id_bytes(str(item.get("id")))
    except ValueError:
        return b""


class HttpChannel(threading.Thread):
    """A subscription: events as they come, and after a loss first those that were missed, from the channel's history."""

    def __init__(self, way: "HttpWay", agent: str, name: str, after: Optional[int], limit: int) -> None:
        super().__init__(name="mumega http channel", daemon=True)
        self._way, self._agent = way, agent
        self.feed = Feed(limit=limit)
        self.feed.connect(None, self.close)
        self.listener = Listener(name, after, self.feed)
        self.opened = self.listener.opened
        self._connection: Optional[http.client.HTTPConnection] = None
        self._closed = False
        way.at_close(self.close)

    def close(self) -> None:
        self._closed = True
        connection = self._connection
        if connection is not None:
            from .httpway import _cut

            _cut(connection)
        self.feed.end(ClosedError("the subscription was closed"))

    def _hold(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def run(self) -> None:
        pause = PAUSE_FIRST_S
        while not self._closed:
            try:
                self._listen()
                pause = PAUSE_FIRST_S
            except MumegaError as error:
                if not self._closed and not passes(error):
                    settle(self.opened, error=error)
                    self.feed.end(error)
                    break
            if not self._closed:
                time.sleep(pause)
                pause = min(pause * 2, PAUSE_MAX_S)
        settle(self.opened, error=ClosedError("the subscription was closed"))
        self._way.not_at_close(self.close)
        self._way.leave()

    def _listen(self) -> None:
        request = self._way.request(_services.BUS_LISTEN, {
            "agent_id": self._agent, "inbox": "none", "channels": self.listener.channel}, CallOptions())
        for value in self._way.events(request, self._hold, self._catch_up):
            if self._closed or value.get("done") is True:
                return
            if isinstance(value.get("error"), dict):
                from .httpway import refusal

                raise refusal(request.operation, 200, value)
            events = value.get("events")
            for event in events if isinstance(events, list) else []:
                if isinstance(event, dict):
                    self.give(event)

    def _catch_up(self) -> None:
        """What was said before the stream stood."""
        last, channel = self.listener.last, self.listener.channel
        if self.listener.is_pattern:
            settle(self.opened, 0)
            return
        after = 0 if last is None else last
        while True:
            answer = self._way.perform(self._way.request(
                _services.BUS_HISTORY, {"channel": channel, "after": after, "limit": 1 if last is None else 1000},
                CallOptions(10.0)))
            if not isinstance(answer, dict) or not isinstance(answer.get("events"), list):
                raise ProtocolError("bus_history: came no list of events")
            newest = answer.get("last_seq")
            newest = newest if isinstance(newest, int) else 0
            if last is not None:
                for event in answer["events"]:
                    if isinstance(event, dict):
                        self.give(event)
            self.listener.begun(newest)
            settle(self.opened, newest)
            reached = self.listener.last or 0
            if last is None or not answer["events"] or reached >= newest or reached <= after:
                return
            after = reached

    def give(self, event: Dict[str, Any]) -> None:
        seq, channel = event.get("seq"), event.get("channel")
        if not isinstance(seq, int) or not isinstance(channel, str):
            return
        last = self.listener.last
        if last and seq - last > RESTART_GAP:
            self.listener.jump()
        self.listener.give(channel, seq, event)
