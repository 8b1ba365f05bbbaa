# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to channels, made again with each session where they were left. One thread: the link's."""

from __future__ import annotations

import fnmatch
import re
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any, Callable, Dict, List, Optional, Set

from . import wire
from .calls import settle
from .errors import MumegaError
from .incoming import Ask
from .session import Session
from .stream import Feed
from .wire import Record

# Of a pattern, so many channels' last numbers are remembered.
CHANNELS_REMEMBERED = 1024
RETRY_S = 1.0
_GLOB = re.compile(r"[*?\[]")


def is_pattern(channel: str) -> bool:
    return _GLOB.search(channel) is not None


class Listener:
    """One subscription of the user: a channel or pattern, and where its events go."""

    def __init__(self, channel: str, after: Optional[int], feed: Feed) -> None:
        self.channel = channel
        self.after = after
        self.feed = feed
        self.opened: "Future[int]" = Future()
        self.missed = 0
        self._untold = 0  # of these, not yet told with an event
        self.is_pattern = is_pattern(channel)
        self._matches = re.compile(fnmatch.translate(channel)).match if self.is_pattern else None
        # The last number of each channel that came.
        self._last: "OrderedDict[str, int]" = OrderedDict()
        self._jumped: Set[str] = set()
        if after is not None:
            self._last[channel] = after

    def wants(self, channel: str) -> bool:
        return self._matches(channel) is not None if self._matches else channel == self.channel

    @property
    def last(self) -> Optional[int]:
        """Where an exact channel is to be gone on with."""
        return None if self.is_pattern else self._last.get(self.channel)

    def begun(self, seq: int) -> None:
        if not self.is_pattern and self.channel not in self._last:
            self._last[self.channel] = seq

    def jump(self) -> None:
        """The broker was started anew: numbers go on further up, and what was said before is not kept."""
        self._jumped = set(self._last)

    def give(self, channel: str, seq: int, item: Any) -> None:
        last = self._last.get(channel)
        if last is not None and seq <= last:
            return  # it came already, before the session was lost or for another subscription
        missed = seq - last - 1 if last and channel not in self._jumped else 0
        self._jumped.discard(channel)
        self._last[channel] = seq
        self._last.move_to_end(channel)
        if len(self._last) > CHANNELS_REMEMBERED:
            self._jumped.discard(self._last.popitem(last=False)[0])
        self.missed += missed
        self._untold += missed
        if self.feed.put((item, self._untold)):
            self._untold = 0
        else:
            self.missed += 1
            self._untold += 1


class Channels:
    def __init__(self, session: Session, capability: Callable[[], Optional[str]]) -> None:
        self.session = session
        self.capability = capability
        self.listeners: List[Listener] = []
        self.dropped = 0  # as the broker counts
        self._epoch: Optional[int] = None
        session.on_record[wire.EVENT] = self.event
        session.on_record[wire.CONTROL] = self.control
        session.parts.append(self)

    def open(self, listener: Listener) -> None:
        if self.session.refusal and not self.session.is_ready:
            self._fail(listener, self.session.refusal)
            return
        self.listeners.append(listener)
        if self.session.is_ready:
            self._subscribe(listener)

    def close(self, listener: Listener) -> None:
        if listener not in self.listeners:
            return
        self.listeners.remove(listener)
        if self.session.is_ready and all(other.channel != listener.channel for other in self.listeners):
            self._send(wire.UNSUBSCRIBE, {"channel": listener.channel}, Ask(lambda record, error: None))

    def _send(self, kind: int, payload: Any, ask: Ask) -> None:
        self.session.ask(self.session.record(kind, target=wire.BROKER, payload=wire.pack(payload),
                                             capability=self.capability()), ask)

    def _subscribe(self, listener: Listener) -> None:
        payload: Dict[str, Any] = {"channel": listener.channel}
        if listener.last is not None:
            payload["after"] = listener.last

        def done(record: Optional[Record], error: Optional[MumegaError]) -> None:
            if record is not None:
                listener.begun(record.seq or 0)
                settle(listener.opened, record.seq or 0)
            elif error is not None and error.code in (1003, 1012, 1013, 4001):
                self.session.timers.at(self.session.clock() + RETRY_S, again)
            elif error is not None:
                self._fail(listener, error)

        def again() -> None:
            if self.session.is_ready and listener in self.listeners:
                self._subscribe(listener)

        self._send(wire.SUBSCRIBE, payload, Ask(done))

    def _fail(self, listener: Listener, error: MumegaError) -> None:
        if listener in self.listeners:
            self.listeners.remove(listener)
        settle(listener.opened, error=error)
        listener.feed.end(error)

    def event(self, record: Record) -> None:
        if record.target is None or not record.seq:
            self.session.faults += 1
            return
        for listener in self.listeners:
            if listener.wants(record.target):
                listener.give(record.target, record.seq, record)

    def control(self, record: Record) -> None:
        if record.type != "events_dropped":
            return
        try:
            payload = wire.unpack(record.payload)
        except wire.WireError:
            payload = None
        dropped = payload.get("dropped") if isinstance(payload, dict) else None
        if type(dropped) is int and dropped > 0:
            self.dropped += dropped

    # ---- session's Part

    def begin(self) -> None:
        for listener in self.listeners:
            if self._epoch is not None and self._epoch != self.session.epoch:
                listener.jump()
            self._subscribe(listener)
        self._epoch = self.session.epoch

    def lost(self, reason: str) -> None:
        pass

    def refused(self, error: MumegaError) -> None:
        for listener in list(self.listeners):
            self._fail(listener, error)
