# SPDX-License-Identifier: Apache-2.0
"""What this peer says to inboxes and channels, until the broker has confirmed it. One thread: the link's."""

from __future__ import annotations

from collections import OrderedDict, deque
from concurrent.futures import Future
from typing import Any, Deque, Dict, NamedTuple, Optional

from . import wire
from .calls import settle
from .errors import (BusyError, ConnectError, DeadlineError, MumegaError, ProtocolError, UnknownOutcomeError,
                     ValidationError, from_status)
from .session import Session
from .timers import Timer
from .wire import Record

# Sends on their way at once: enough for the broker to put many on disk with one fsync.
WINDOW = 512
RETRY_FIRST_S = 0.05
RETRY_MAX_S = 2.0


class Sent(NamedTuple):
    """A message is on disk. `copies`: inboxes that got it; `duplicate`: it was there already, nothing was added."""

    message_id: str
    copies: int
    duplicate: bool


class Published(NamedTuple):
    """An event is out; `seq` is its number in the channel (None when no confirmation was wanted)."""

    message_id: str
    seq: Optional[int]


class Letter:
    """One send, publish: a record that is answered by an ack."""

    __slots__ = ("outgoing", "id", "kind", "fields", "metadata", "deadline", "future", "sent", "times", "retry_s",
                 "timer", "confirm")

    def __init__(self, kind: int, timeout_s: float, id_: Optional[bytes] = None, confirm: bool = True,
                 **fields: Any) -> None:
        self.kind = kind
        self.id = id_ or wire.new_id()
        self.fields: Dict[str, Any] = fields
        self.deadline = timeout_s  # seconds from submission; a point in time from then on
        self.confirm = confirm
        self.future: "Future[Any]" = Future()
        self.sent = False
        self.times = 0
        self.retry_s = RETRY_FIRST_S
        self.timer: Optional[Timer] = None
        self.outgoing: "Outgoing"

    @property
    def words(self) -> str:
        return f"{wire.KINDS[self.kind]} to {self.fields['target']}"

    # ---- session's Pending

    def answered(self, record: Record) -> None:
        self.outgoing.answered(self, record)

    def lost(self, reason: str) -> None:
        self.outgoing.lost_letter(self, reason)


class Outgoing:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.waiting: Deque[Letter] = deque()
        # In the order of their first sending: after a loss they go again in that order.
        self.on_way: "OrderedDict[bytes, Letter]" = OrderedDict()
        self._again: Deque[Letter] = deque()
        session.parts.append(self)

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.on_way and not self._again

    def submit(self, letter: Letter) -> None:
        letter.outgoing = self
        if self.session.refusal and not self.session.is_ready:
            settle(letter.future, error=self.session.refusal)
            return
        letter.deadline += self.session.clock()
        letter.timer = self.session.timers.at(letter.deadline, lambda: self._late(letter))
        self.waiting.append(letter)
        self.pump()

    def pump(self) -> None:
        while self.session.is_ready and self.waiting and len(self.on_way) < WINDOW:
            letter = self.waiting.popleft()
            if letter.timer is not None:
                self._send(letter)

    def _send(self, letter: Letter) -> None:
        fields = letter.fields
        flags = wire.FLAG_CONFIRM if letter.kind == wire.PUBLISH and letter.confirm else 0
        record = self.session.record(letter.kind, id=letter.id, flags=flags, **fields)
        try:
            if letter.confirm:
                self.session.ask(record, letter)
            else:
                self.session.send(record)
        except ValueError as error:
            self._finish(letter, error=ValidationError(f"{letter.words}: {error}", word="payload_too_large", code=1006))
            return
        letter.times += 1
        if letter.confirm:
            self.on_way[letter.id] = letter
        else:
            self._finish(letter, Published(wire.id_text(letter.id), None))

    def _finish(self, letter: Letter, result: Any = None, error: Optional[MumegaError] = None) -> None:
        self.session.timers.cancel(letter.timer)
        letter.timer = None
        self.on_way.pop(letter.id, None)
        settle(letter.future, result, error)

    def answered(self, letter: Letter, record: Record) -> None:
        if letter.timer is None:
            return
        if record.kind == wire.ACK:
            self._finish(letter, self._result(letter, record))
        elif record.kind in (wire.ERROR, wire.REPLY) and record.status:
            error = from_status(record.status, record.payload)
            if error.code == BusyError.code and letter.kind == wire.SEND \
                    and self.session.clock() + letter.retry_s < letter.deadline:
                self._retry(letter)
                return
            self._finish(letter, error=error)
        else:
            self._finish(letter, error=ProtocolError(f"{letter.words}: came a {wire.KINDS[record.kind]}, expected an ack"))
        self.pump()

    @staticmethod
    def _result(letter: Letter, record: Record) -> Any:
        if letter.kind == wire.PUBLISH:
            return Published(wire.id_text(letter.id), record.seq or 0)
        copies = record.seq or 0
        # What this client itself said twice is no duplicate to its user.
        return Sent(wire.id_text(letter.id), copies, copies == 0 and letter.times == 1)

    def _retry(self, letter: Letter) -> None:
        """Too much waited for the disk: the same again, a little later."""
        self.on_way.pop(letter.id, None)
        letter.times -= 1
        again = self.session.clock() + letter.retry_s
        letter.retry_s = min(letter.retry_s * 2, RETRY_MAX_S)

        def resend() -> None:
            if letter.timer is not None:
                self.waiting.appendleft(letter)
                self.pump()

        self.session.timers.at(again, resend)

    def _late(self, letter: Letter) -> None:
        if letter.timer is None:
            return
        self.session.pending.pop(letter.id, None)
        if letter.times:
            error: MumegaError = UnknownOutcomeError(
                f"{letter.words}: not confirmed in time; sending it again as message {wire.id_text(letter.id)} is safe"
                if letter.kind == wire.SEND else f"{letter.words}: not confirmed in time")
        elif self.session.is_ready:
            error = DeadlineError(f"{letter.words}: not sent in time, as too much waits before it")
        else:
            error = self.session.refusal or ConnectError(f"{letter.words}: not sent in time, as there is no session "
                                                         "with the broker")
        self._finish(letter, error=error)
        self.pump()

    # ---- session's Part

    def begin(self) -> None:
        while self._again:
            self.waiting.appendleft(self._again.pop())
        self.pump()

    def lost_letter(self, letter: Letter, reason: str) -> None:
        """A send goes again under its id, which the broker knows if it has it. An event would be said twice."""
        if letter.timer is None:
            return
        self.on_way.pop(letter.id, None)
        if letter.kind == wire.SEND:
            self._again.append(letter)
        else:
            self._finish(letter, error=UnknownOutcomeError(f"{letter.words}: {reason} before it was confirmed"))

    def lost(self, reason: str) -> None:
        pass

    def refused(self, error: MumegaError) -> None:
        letters = [*self._again, *self.waiting]
        self._again.clear()
        self.waiting.clear()
        for letter in letters:
            if letter.timer is not None:
                self._finish(letter, error=error)
