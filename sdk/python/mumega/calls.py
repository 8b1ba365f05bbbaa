# SPDX-License-Identifier: Apache-2.0
"""Requests and their answers, plain and in chunks, over losses of the session. One thread: the link's."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, InvalidStateError
from typing import Any, Deque, Dict, Optional

from . import wire
from .errors import (ClosedError, ConnectError, DeadlineError, MumegaError, ProtocolError, UnknownOutcomeError,
                     ValidationError, from_status)
from .session import Session, unpack_answer
from .stream import Feed
from .timers import Timer
from .wire import Record

# The broker answers at the deadline itself; should it not, this much later the call ends here.
GRACE_S = 1.0
TTL_MAX_MS = 600_000
RETRY_FIRST_S = 0.05
RETRY_MAX_S = 2.0
# An idempotent call is tried again when the service was away or had too much to do.
RETRIED = frozenset((1003, 1013))


def settle(future: "Future[Any]", result: Any = None, error: Optional[BaseException] = None) -> None:
    """Sets a future that its owner may have cancelled."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        pass


class Call:
    __slots__ = ("calls", "id", "kind", "target", "type", "payload", "flags", "deadline", "capability", "trace",
                 "metadata", "future", "feed", "sent", "next_seq", "owed", "retry_s", "timer", "answer_type")

    def __init__(self, target: str, type_: str, payload: bytes, timeout_s: float, *, flags: int = 0,
                 capability: Optional[str] = None, trace: Optional[bytes] = None,
                 metadata: Optional[Dict[str, Any]] = None, feed: Optional[Feed] = None) -> None:
        self.id = wire.new_id()
        self.kind = wire.REQUEST
        self.target = target
        self.type = type_
        self.payload = payload
        self.flags = flags
        self.deadline = timeout_s  # seconds from submission; a point in time from then on
        self.capability = capability
        self.trace = trace
        self.metadata = metadata
        self.future: "Future[Any]" = Future()
        self.feed = feed
        self.sent = False
        self.next_seq = 0
        self.owed = 0
        self.retry_s = RETRY_FIRST_S
        self.timer: Optional[Timer] = None
        self.calls: "Calls"

    @property
    def may_repeat(self) -> bool:
        return bool(self.flags & wire.FLAG_IDEMPOTENT) and self.next_seq == 0

    # ---- session's Pending

    def answered(self, record: Record) -> None:
        if record.kind == wire.CHUNK:
            self._chunk(record)
        elif record.kind == wire.REPLY and not record.status:
            self.calls.done(self)
            try:
                answer = unpack_answer(record)
            except ProtocolError as error:
                self.finish(error=error)
            else:
                self.finish(answer)
        elif record.kind == wire.ACK:
            self.calls.done(self)
            self.finish(error=ProtocolError(f"{self.type}: came an ack, expected a reply"))
        else:
            self.calls.failed(self, from_status(record.status or 1000, record.payload))

    def lost(self, reason: str) -> None:
        self.calls.lost_call(self, reason)

    def _chunk(self, record: Record) -> None:
        if self.feed is None or (record.seq or 0) != self.next_seq or \
                len(self.feed) >= self.calls.session.limits.stream_credit:
            self.calls.cancel(self, ProtocolError(f"{self.type}: a chunk came that was not expected"))
            return
        self.next_seq += 1
        try:
            self.feed.put(unpack_answer(record))
        except ProtocolError as error:
            self.calls.cancel(self, error)

    def finish(self, answer: Any = None, error: Optional[MumegaError] = None) -> None:
        if self.feed is not None:
            self.feed.end(error, answer)
        settle(self.future, answer, error)


class Calls:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.waiting: Deque[Call] = deque()
        self.in_flight = 0
        session.parts.append(self)

    def submit(self, call: Call) -> None:
        call.calls = self
        call.deadline += self.session.clock()
        if self.session.refusal and not self.session.is_ready:
            call.finish(error=self.session.refusal)
            return
        call.timer = self.session.timers.at(call.deadline, lambda: self._late(call))
        self.waiting.append(call)
        self.pump()

    def pump(self) -> None:
        """Sends what waits, as far as the broker takes it."""
        while self.session.is_ready and self.waiting and self.in_flight < self.session.limits.requests_max:
            call = self.waiting.popleft()
            if call.timer is not None and not call.future.done():
                self._send(call)

    def _send(self, call: Call) -> None:
        session = self.session
        left_ms = int((call.deadline - session.clock()) * 1000)
        flags = call.flags | (wire.FLAG_STREAM if call.feed is not None else 0)
        record = session.record(call.kind, id=call.id, target=call.target, type=call.type, flags=flags,
                                ttl_ms=min(max(left_ms, 1), TTL_MAX_MS), capability=call.capability, trace=call.trace,
                                metadata=call.metadata, payload=call.payload)
        try:
            session.ask(record, call)
        except ValueError as error:
            self._end(call)
            call.finish(error=ValidationError(f"{call.type}: {error}", word="payload_too_large", code=1006))
            return
        call.sent = True
        self.in_flight += 1

    # ---- ends

    def _end(self, call: Call) -> None:
        self.session.timers.cancel(call.timer)
        call.timer = None

    def done(self, call: Call) -> None:
        """Its answer came."""
        self._end(call)
        self.in_flight -= 1
        if self.waiting:
            self.pump()

    def failed(self, call: Call, error: MumegaError) -> None:
        again = self.session.clock() + call.retry_s
        if error.code in RETRIED and call.may_repeat and again < call.deadline:
            call.retry_s = min(call.retry_s * 2, RETRY_MAX_S)
            self.in_flight -= 1
            self.session.timers.at(again, lambda: self._again(call))
            return
        self.done(call)
        call.finish(error=error)

    def _again(self, call: Call) -> None:
        if call.timer is not None:
            self.waiting.append(call)
            self.pump()

    def cancel(self, call: Call, error: Optional[MumegaError] = None) -> None:
        """Nobody wants the answer any more, or it is of no use."""
        if call.timer is None:
            return
        self._end(call)
        if self.session.pending.pop(call.id, None) is not None:
            self.in_flight -= 1
            self.session.send(self.session.record(wire.CANCEL, target=call.target, correlation=call.id))
            self.pump()
        call.finish(error=error or ClosedError(f"{call.type}: cancelled"))

    def _late(self, call: Call) -> None:
        if call.id in self.session.pending:
            # The broker says so itself, about now.
            call.timer = self.session.timers.at(call.deadline + GRACE_S, lambda: self._overdue(call))
            return
        call.timer = None
        if call.sent:
            error: MumegaError = DeadlineError(f"{call.type}: no answer in time")
        else:
            error = self.session.refusal or ConnectError(f"{call.type}: not sent in time, as there is no session with "
                                                         "the broker" if not self.session.is_ready else
                                                         f"{call.type}: not sent in time, as too many calls wait")
        call.finish(error=error)

    def _overdue(self, call: Call) -> None:
        self.cancel(call, DeadlineError(f"{call.type}: no answer in time"))

    def grant(self, call: Call) -> None:
        """A chunk was consumed."""
        call.owed += 1
        if call.owed * 2 >= self.session.limits.stream_credit and call.id in self.session.pending:
            self.session.send(self.session.record(wire.CONTROL, target=call.target, type="credit", correlation=call.id,
                                                  seq=call.owed))
            call.owed = 0

    # ---- session's Part

    def begin(self) -> None:
        self.pump()

    def lost_call(self, call: Call, reason: str) -> None:
        self.in_flight -= 1
        if call.may_repeat:
            self.waiting.append(call)
            return
        self._end(call)
        call.finish(error=UnknownOutcomeError(f"{call.type}: {reason} while the call was in flight"))

    def lost(self, reason: str) -> None:
        pass

    def refused(self, error: MumegaError) -> None:
        waiting, self.waiting = self.waiting, deque()
        for call in waiting:
            if call.timer is not None:
                self._end(call)
                call.finish(error=error)
