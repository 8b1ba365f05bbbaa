# SPDX-License-Identifier: Apache-2.0
"""`client.bus`: messages to inboxes, events on channels, and the tap."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import time
from collections import deque
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Awaitable, Deque, Dict, Mapping, Optional, Type, Union

from . import wire
from ._services import BUS_TAP, AsyncBusService, BusService
from .errors import (BusyError, ClosedError, DeadlineError, MumegaError, UnavailableError, UnknownOutcomeError,
                     ValidationError)
from .message import AsyncMessage, Event, Message
from .operation import CallOptions, Capability
from .outgoing import Published, Sent
from .service import AsyncCaller, SyncCaller
from .stream import Ended, Feed
from .transport import Channel, Mailbox, Outbound, Way

SEND_TIMEOUT_S = 30.0
PUBLISH_TIMEOUT_S = 10.0
OPEN_TIMEOUT_S = 15.0
SLACK_S = 5.0  # a future is set in time; this is for a machine that stood still
TAP_PAUSE_S = 0.5

When = Union[datetime.datetime, float, int]


def _microseconds(when: Optional[When]) -> Optional[int]:
    """A point in time: a datetime (naive ones are local), or seconds since 1970."""
    if when is None:
        return None
    seconds = when.timestamp() if isinstance(when, datetime.datetime) else float(when)
    if not 0 <= seconds < 2**44:
        raise ValidationError("deliver_at: expected a time", context={"field": "deliver_at"})
    return int(seconds * 1e6)


def _id(text: Optional[str], name: str) -> Optional[bytes]:
    if text is None:
        return None
    try:
        return wire.id_bytes(text)
    except (ValueError, AttributeError, TypeError):
        raise ValidationError(f"{name}: came {text!r:.60}, expected a UUID", context={"field": name}) from None


def outbound_mail(to: str, payload: Any, type_: str, message_id: Optional[str], ttl_s: Optional[float],
                  deliver_at: Optional[When], in_reply_to: Optional[str], metadata: Optional[Mapping[str, Any]],
                  timeout: Optional[float], capability: Optional[Capability]) -> Outbound:
    if ttl_s is not None and not 0 <= ttl_s < 2**32 / 1000:
        raise ValidationError("ttl_s: expected seconds from 0 to 4294967", context={"field": "ttl_s"})
    return Outbound(to, type_, payload, SEND_TIMEOUT_S if timeout is None else timeout,
                    message_id=_id(message_id, "message_id") or wire.new_id(),
                    ttl_ms=None if not ttl_s else max(1, int(ttl_s * 1000)), deliver_at_us=_microseconds(deliver_at),
                    in_reply_to=_id(in_reply_to, "in_reply_to"), metadata=metadata, capability=capability)


def outbound_event(channel: str, payload: Any, type_: str, metadata: Optional[Mapping[str, Any]], confirm: bool,
                   timeout: Optional[float], capability: Optional[Capability]) -> Outbound:
    return Outbound(channel, type_, payload, PUBLISH_TIMEOUT_S if timeout is None else timeout, is_event=True,
                    confirm=confirm, message_id=wire.new_id(), metadata=metadata, capability=capability)


class Bus(BusService):
    """The bus of a MumegaClient. Its methods may be called from any thread; an inbox or subscription is for one thread at a
    time."""

    def __init__(self, way: Way, caller: SyncCaller) -> None:
        super().__init__(caller)
        self._way = way

    def _wait(self, future: "Future[Any]", timeout_s: float, what: str) -> Any:
        try:
            return future.result(timeout_s + SLACK_S)
        except concurrent.futures.TimeoutError:
            raise DeadlineError(f"{what}: no answer in time") from None

    def submit(self, to: str, payload: Any = None, *, type: str = "message", message_id: Optional[str] = None,
               ttl_s: Optional[float] = None, deliver_at: Optional[When] = None, in_reply_to: Optional[str] = None,
               metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
               capability: Optional[Capability] = None) -> "Future[Sent]":
        """As send(), without waiting for the disk: the future has the result. Waits only when too much is on its way."""
        return self._say(outbound_mail(to, payload, type, message_id, ttl_s, deliver_at, in_reply_to, metadata, timeout,
                                       capability))

    def send(self, to: str, payload: Any = None, *, type: str = "message", message_id: Optional[str] = None,
             ttl_s: Optional[float] = None, deliver_at: Optional[When] = None, in_reply_to: Optional[str] = None,
             metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
             capability: Optional[Capability] = None) -> Sent:
        """Puts a message into an inbox (agent:kasra), or into that of each member of a squad; returns when it is on disk.

        A lost connection is no error: the message goes again under the same id, and is kept once.
        message_id: a UUID that makes sending it again harmless, also from another process
        ttl_s: dropped when it was not taken within
        deliver_at: not delivered before; a datetime, or seconds since 1970
        in_reply_to: the id of the message that it answers"""
        outbound = outbound_mail(to, payload, type, message_id, ttl_s, deliver_at, in_reply_to, metadata, timeout,
                                 capability)
        sent: Sent = self._wait(self._say(outbound), outbound.timeout_s, "send")
        return sent

    def publish(self, channel: str, payload: Any = None, *, type: str = "message",
                metadata: Optional[Mapping[str, Any]] = None, confirm: bool = True, timeout: Optional[float] = None,
                capability: Optional[Capability] = None) -> Published:
        """Says something on a channel, to whoever listens. Without confirm it returns at once, and a refusal is only
        logged."""
        outbound = outbound_event(channel, payload, type, metadata, confirm, timeout, capability)
        future = self._say(outbound)
        if not confirm and not future.done():
            return Published(wire.id_text(outbound.message_id or b""), None)
        published: Published = self._wait(future, outbound.timeout_s, "publish")
        return published

    def _say(self, outbound: Outbound) -> "Future[Any]":
        ready = self._way.prepare(outbound)
        if not self._way.gate.enter(ready.size, outbound.timeout_s):
            raise BusyError("too much is on its way and waits for the broker")
        return self._way.say(ready)

    def inbox(self, *, window: int = 256, ack_s: float = 10.0, handling_s: float = 3600.0) -> "Inbox":
        """This agent's mail: `for message in client.bus.inbox(): ...; message.ack()`.

        window: so many unacknowledged messages at once, 1 to 1024
        ack_s: a message of a client that fell silent comes again after so long, at least
        handling_s: a message that is handled for longer than this is taken for lost
        One inbox is open at a time: opening it again ends the one before."""
        check_window(window, ack_s)
        mailbox = self._way.mailbox(window, ack_s, handling_s)
        inbox = Inbox(self, self._way, mailbox)
        inbox.waiting = self._wait(mailbox.opened, OPEN_TIMEOUT_S, "inbox")
        return inbox

    def subscribe(self, channel: str, *, after: Optional[int] = None, limit: int = 1024) -> "Subscription":
        """What is said on a channel (squad:engineering), or on all that match a pattern (squad:*), from now on.

        after: with an exact name, first what is kept behind this number; 0: all of it
        limit: events that wait here unread; more are left out and counted (`missed`)"""
        opened = self._way.channel(channel, after, limit)
        subscription = Subscription(channel, opened)
        subscription.last_seq = self._wait(opened.opened, OPEN_TIMEOUT_S, "subscribe")
        return subscription

    def tap(self, *, source: Optional[str] = None, target: Optional[str] = None, type: Optional[str] = None,
            kind: Optional[str] = None, trace: Optional[str] = None, status: Optional[str] = None,
            verdict: Optional[str] = None, header: Optional[str] = None, payload: bool = False,
            capability: Optional[Capability] = None) -> "Tap":
        """What passes the broker, until closed; needs a capability bus:tap @ bus:* (bus:payload for payloads).

        source, target, type, kind, verdict: globs; trace: 32 hex digits; status: ok, error or a number
        header: a POSIX regular expression on `kind source target type status verdict`"""
        return Tap(self._way, tap_filters(source, target, type, kind, trace, status, verdict, header, payload),
                   CallOptions(capability=capability))


def check_window(window: int, ack_s: float) -> None:
    if not 1 <= window <= 1024:
        raise ValidationError(f"window: came {window}, expected 1 to 1024", context={"field": "window"})
    if not 1 <= ack_s <= 3600:
        raise ValidationError(f"ack_s: came {ack_s}, expected 1 to 3600 seconds", context={"field": "ack_s"})


def tap_filters(source: Optional[str], target: Optional[str], type_: Optional[str], kind: Optional[str],
                trace: Optional[str], status: Optional[str], verdict: Optional[str], header: Optional[str],
                payload: bool) -> Dict[str, Any]:
    filters = {"source": source, "target": target, "type": type_, "kind": kind, "trace": trace, "status": status,
               "verdict": verdict, "header": header, "payload": payload or None}
    return {name: value for name, value in filters.items() if value is not None}


class Inbox:
    """An open inbox. `waiting`: messages that were there when it was opened. Closing it (also by `with`, or by dropping it)
    gives back what was not taken out."""

    def __init__(self, bus: Bus, way: Way, mailbox: Mailbox) -> None:
        self._bus, self._way, self._mailbox = bus, way, mailbox
        self.waiting = 0

    def __iter__(self) -> "Inbox":
        return self

    def __next__(self) -> Message:
        try:
            return self._message(self._mailbox.feed.take())
        except ClosedError:
            raise StopIteration from None

    def get(self, timeout: Optional[float] = None) -> Optional[Message]:
        """The next message; None when none came within timeout seconds."""
        try:
            return self._message(self._mailbox.feed.take(timeout))
        except LookupError:
            return None

    def _message(self, item: Any) -> Message:
        self._way.taken(self._mailbox, item)
        return Message(item, self._mailbox.source, self._bus, self)

    def close(self) -> None:
        self._mailbox.feed.close()

    def __enter__(self) -> "Inbox":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        self._mailbox.feed.close()


class Subscription:
    """Events of a channel or pattern. `missed`: those that were lost, as this did not keep up; of an exact name, where
    numbers have no gaps, also those said while there was no connection and that the channel no longer keeps."""

    def __init__(self, channel: str, opened: Channel) -> None:
        self.channel = channel
        self._channel = opened
        self.last_seq = 0  # the channel's last event when it was subscribed to

    @property
    def missed(self) -> int:
        missed: int = self._channel.missed()
        return missed

    def __iter__(self) -> "Subscription":
        return self

    def __next__(self) -> Event:
        try:
            return self._event(self._channel.feed.take())
        except ClosedError:
            raise StopIteration from None

    def get(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None when none came within timeout seconds."""
        try:
            return self._event(self._channel.feed.take(timeout))
        except LookupError:
            return None

    def _event(self, item: Any) -> Event:
        said, missed = item
        return Event(said, missed)

    def close(self) -> None:
        self._channel.feed.close()

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        self._channel.feed.close()


class _Tapped:
    """A tap goes on over the end of its stream: after ten minutes, or when the broker was away."""

    def __init__(self, way: Way, filters: Dict[str, Any], options: CallOptions) -> None:
        self._way, self._filters, self._options = way, filters, options
        self._records: Deque[Dict[str, Any]] = deque()
        self.dropped = 0  # records that did not fit, as the broker counts
        self._feed = self._open()

    def _open(self) -> Feed:
        return self._way.stream(BUS_TAP, self._filters, self._options)

    def _take_in(self, chunk: Any) -> None:
        if isinstance(chunk, dict):
            dropped, records = chunk.get("dropped"), chunk.get("records")
            self.dropped += dropped if isinstance(dropped, int) else 0
            if isinstance(records, list):
                self._records.extend(record for record in records if isinstance(record, dict))

    @staticmethod
    def _may_reopen(error: MumegaError) -> bool:
        return isinstance(error, (DeadlineError, UnknownOutcomeError, UnavailableError))

    def close(self) -> None:
        self._feed.close()

    def __del__(self) -> None:
        if hasattr(self, "_feed"):
            self._feed.close()


class Tap(_Tapped):
    def __iter__(self) -> "Tap":
        return self

    def __next__(self) -> Dict[str, Any]:
        while not self._records:
            try:
                self._take_in(self._feed.take())
            except (Ended, ClosedError):
                raise StopIteration from None
            except MumegaError as error:
                if not self._may_reopen(error):
                    raise
                time.sleep(TAP_PAUSE_S)
                self._feed = self._open()
        return self._records.popleft()

    def get(self, timeout: Optional[float] = None) -> Optional[Dict[str, Any]]:
        """The next record; None when none came within timeout seconds."""
        if not self._records:
            try:
                self._take_in(self._feed.take(timeout))
            except LookupError:
                return None
        return self._records.popleft() if self._records else None

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()


# ---- asyncio

class AsyncBus(AsyncBusService):
    """The bus of an AsyncMumegaClient."""

    def __init__(self, way: Way, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._way = way

    async def _wait(self, future: "Future[Any]", timeout_s: float, what: str) -> Any:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout_s + SLACK_S)
        except asyncio.TimeoutError:
            raise DeadlineError(f"{what}: no answer in time") from None

    async def submit(self, to: str, payload: Any = None, *, type: str = "message", message_id: Optional[str] = None,
                     ttl_s: Optional[float] = None, deliver_at: Optional[When] = None,
                     in_reply_to: Optional[str] = None, metadata: Optional[Mapping[str, Any]] = None,
                     timeout: Optional[float] = None, capability: Optional[Capability] = None) -> "Awaitable[Sent]":
        """As send(), without waiting for the disk: `await` what it gives for the result. Waits only when too much is on its
        way."""
        future = await self._say(outbound_mail(to, payload, type, message_id, ttl_s, deliver_at, in_reply_to, metadata,
                                               timeout, capability))
        return asyncio.wrap_future(future)

    async def send(self, to: str, payload: Any = None, *, type: str = "message", message_id: Optional[str] = None,
                   ttl_s: Optional[float] = None, deliver_at: Optional[When] = None, in_reply_to: Optional[str] = None,
                   metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None) -> Sent:
        """As Bus.send()."""
        outbound = outbound_mail(to, payload, type, message_id, ttl_s, deliver_at, in_reply_to, metadata, timeout,
                                 capability)
        sent: Sent = await self._wait(await self._say(outbound), outbound.timeout_s, "send")
        return sent

    async def publish(self, channel: str, payload: Any = None, *, type: str = "message",
                      metadata: Optional[Mapping[str, Any]] = None, confirm: bool = True,
                      timeout: Optional[float] = None, capability: Optional[Capability] = None) -> Published:
        """As Bus.publish()."""
        outbound = outbound_event(channel, payload, type, metadata, confirm, timeout, capability)
        future = await self._say(outbound)
        if not confirm and not future.done():
            return Published(wire.id_text(outbound.message_id or b""), None)
        published: Published = await self._wait(future, outbound.timeout_s, "publish")
        return published

    async def _say(self, outbound: Outbound) -> "Future[Any]":
        ready = self._way.prepare(outbound)
        if not await self._way.gate.enter_async(ready.size, outbound.timeout_s):
            raise BusyError("too much is on its way and waits for the broker")
        return self._way.say(ready)

    def inbox(self, *, window: int = 256, ack_s: float = 10.0, handling_s: float = 3600.0) -> "AsyncInbox":
        """This agent's mail: `async for message in client.bus.inbox(): ...; message.ack()`. As Bus.inbox()."""
        check_window(window, ack_s)
        return AsyncInbox(self, self._way, self._way.mailbox(window, ack_s, handling_s))

    async def subscribe(self, channel: str, *, after: Optional[int] = None, limit: int = 1024) -> "AsyncSubscription":
        """As Bus.subscribe()."""
        opened = self._way.channel(channel, after, limit)
        subscription = AsyncSubscription(channel, opened)
        subscription.last_seq = await self._wait(opened.opened, OPEN_TIMEOUT_S, "subscribe")
        return subscription

    def tap(self, *, source: Optional[str] = None, target: Optional[str] = None, type: Optional[str] = None,
            kind: Optional[str] = None, trace: Optional[str] = None, status: Optional[str] = None,
            verdict: Optional[str] = None, header: Optional[str] = None, payload: bool = False,
            capability: Optional[Capability] = None) -> "AsyncTap":
        """As Bus.tap()."""
        return AsyncTap(self._way, tap_filters(source, target, type, kind, trace, status, verdict, header, payload),
                        CallOptions(capability=capability))


class AsyncInbox:
    """As Inbox."""

    def __init__(self, bus: AsyncBus, way: Way, mailbox: Mailbox) -> None:
        self._bus, self._way, self._mailbox = bus, way, mailbox

    async def waiting(self) -> int:
        """Messages that were there when it was opened; waits until it is."""
        count: int = await self._bus._wait(self._mailbox.opened, OPEN_TIMEOUT_S, "inbox")
        return count

    def __aiter__(self) -> "AsyncInbox":
        return self

    async def __anext__(self) -> AsyncMessage:
        try:
            return self._message(await self._mailbox.feed.take_async())
        except ClosedError:
            raise StopAsyncIteration from None

    async def get(self, timeout: Optional[float] = None) -> Optional[AsyncMessage]:
        """The next message; None when none came within timeout seconds."""
        try:
            return self._message(await self._mailbox.feed.take_async(timeout))
        except LookupError:
            return None

    def _message(self, item: Any) -> AsyncMessage:
        self._way.taken(self._mailbox, item)
        return AsyncMessage(item, self._mailbox.source, self._bus, self)

    def close(self) -> None:
        self._mailbox.feed.close()

    async def __aenter__(self) -> "AsyncInbox":
        await self.waiting()
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        self._mailbox.feed.close()


class AsyncSubscription(Subscription):
    """As Subscription, for `async for`."""

    def __aiter__(self) -> "AsyncSubscription":
        return self

    async def __anext__(self) -> Event:
        try:
            return self._event(await self._channel.feed.take_async())
        except ClosedError:
            raise StopAsyncIteration from None

    async def get_async(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None when none came within timeout seconds."""
        try:
            return self._event(await self._channel.feed.take_async(timeout))
        except LookupError:
            return None

    async def __aenter__(self) -> "AsyncSubscription":
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        self.close()


class AsyncTap(_Tapped):
    """As Tap, for `async for`."""

    def __aiter__(self) -> "AsyncTap":
        return self

    async def __anext__(self) -> Dict[str, Any]:
        while not self._records:
            try:
                self._take_in(await self._feed.take_async())
            except (Ended, ClosedError):
                raise StopAsyncIteration from None
            except MumegaError as error:
                if not self._may_reopen(error):
                    raise
                await asyncio.sleep(TAP_PAUSE_S)
                self._feed = self._open()
        return self._records.popleft()

    async def __aenter__(self) -> "AsyncTap":
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        self.close()


