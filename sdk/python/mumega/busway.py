# SPDX-License-Identifier: Apache-2.0
"""The bus itself as a way to the swarm: CURVE to the broker, one I/O thread (link.py)."""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future
from typing import Any, Dict, Optional

from . import _services, wire
from .auth import token_text, token_text_or_none
from .calls import Call, Calls
from .channels import Channels, Listener
from .connection import Connection
from .errors import MumegaError, ValidationError
from .gate import Gate
from .incoming import Incoming
from .link import Link
from .operation import CallOptions, Capability, Operation
from .outgoing import Letter, Outgoing
from .stream import Feed
from .transport import Channel, Mailbox, Outbound, Ready

IN_FLIGHT_MAX = 4096
IN_FLIGHT_BYTES = 32 * 1024 * 1024


def packed(value: Any, what: str) -> bytes:
    if value is None:
        return b""
    try:
        return wire.pack(value)
    except (TypeError, ValueError) as error:
        raise ValidationError(f"{what}: cannot be packed: {error}", context={"field": "payload"}) from None


class _Source:
    """What users do with their messages, handed to the link's thread."""

    def __init__(self, link: Link, incoming: Incoming) -> None:
        self._link, self._incoming = link, incoming

    def ack(self, id_: bytes, waiter: "Optional[Future[None]]" = None) -> None:
        self._link.post(self._incoming.ack, id_, waiter)

    def nack(self, id_: bytes, reason: str, delay_s: Optional[float], dead: bool) -> None:
        self._link.post(self._incoming.nack, id_, reason, delay_s, dead)

    def extend(self, id_: bytes, seconds: float) -> None:
        self._link.post(self._incoming.extend, [id_], seconds)

    def release(self, id_: bytes) -> None:
        self._link.post(self._incoming.release, id_)


class BusWay:
    def __init__(self, connection: Connection, capability: Optional[Capability]) -> None:
        self.identity: Optional[str] = connection.identity
        self.gate = Gate(IN_FLIGHT_MAX, IN_FLIGHT_BYTES)
        self._capability = capability
        self.link = Link(connection)
        session = self.link.session
        self._calls = Calls(session)
        self._outgoing = Outgoing(session)
        self._incoming = Incoming(session, lambda: token_text_or_none(capability, _services.BUS_LISTEN))
        self._channels = Channels(session, lambda: token_text_or_none(capability, _services.BUS_LISTEN))
        self._source = _Source(self.link, self._incoming)

    def start(self) -> None:
        self.link.start()

    def opened(self) -> "Future[None]":
        return self.link.opened

    def open(self, timeout_s: float) -> None:
        try:
            self.link.opened.result(timeout_s)
        except concurrent.futures.TimeoutError:
            raise self.link.trouble from None

    @property
    def trouble(self) -> MumegaError:
        return self.link.trouble

    @property
    def place(self) -> str:
        return f"at {self.link.connection.endpoint}"

    def health(self, service: str) -> Operation:
        return Operation(service, "health_check", "health_check", 5000, idempotent=True)

    # ---- calls

    def _call(self, operation: Operation, payload: Dict[str, Any], options: CallOptions, feed: Optional[Feed]) -> Call:
        self.link.check()
        flags = wire.FLAG_WRITE if operation.write else 0
        if operation.idempotent or options.idempotency_key:
            flags |= wire.FLAG_IDEMPOTENT
        timeout_s = operation.timeout_ms / 1000 if options.timeout_s is None else options.timeout_s
        metadata = {"idempotency_key": options.idempotency_key} if options.idempotency_key else None
        return Call(operation.target, operation.type, packed(payload, operation.type), timeout_s, flags=flags,
                    capability=token_text(options.capability or self._capability, operation), trace=options.trace,
                    metadata=metadata, feed=feed)

    def prepare_call(self, operation: Operation, payload: Dict[str, Any], options: CallOptions) -> Ready:
        call = self._call(operation, payload, options, None)
        return Ready(call, len(call.payload))

    def call(self, ready: Ready) -> "Future[Any]":
        call: Call = ready.letter

        def ended(future: "Future[Any]") -> None:
            self.gate.leave(ready.size)
            if future.cancelled():  # by a task that is
                self.link.post_quietly(self._calls.cancel, call)

        call.future.add_done_callback(ended)
        self._post(self._calls.submit, call, call.future)
        return call.future

    def _post(self, action: Any, item: Any, future: "Future[Any]") -> None:
        try:
            self.link.post(action, item)
        except MumegaError as error:
            future.set_exception(error)

    def stream(self, operation: Operation, payload: Dict[str, Any], options: CallOptions) -> Feed:
        feed = Feed()
        call = self._call(operation, payload, options, feed)
        link, calls = self.link, self._calls
        feed.connect(lambda: link.post_quietly(calls.grant, call), lambda: link.post_quietly(calls.cancel, call))
        self.link.post(calls.submit, call)
        return feed

    # ---- mail and events

    def prepare(self, outbound: Outbound) -> Ready:
        self.link.check()
        if not wire.is_identity(outbound.target):
            raise ValidationError(f"target: came {outbound.target!r:.80}, expected a name such as agent:kasra or "
                                  "squad:engineering", context={"field": "target"})
        metadata: Dict[str, Any] = dict(outbound.metadata or {})
        if outbound.deliver_at_us is not None:
            metadata["deliver_at"] = outbound.deliver_at_us
        operation = _services.BUS_PUBLISH if outbound.is_event else _services.BUS_SEND
        payload = packed(outbound.payload, "payload")
        letter = Letter(wire.PUBLISH if outbound.is_event else wire.SEND, outbound.timeout_s, outbound.message_id,
                        outbound.confirm, target=outbound.target, type=outbound.type, payload=payload,
                        ttl_ms=outbound.ttl_ms, correlation=outbound.in_reply_to, metadata=metadata or None,
                        trace=outbound.trace,
                        capability=token_text(outbound.capability or self._capability, operation))
        return Ready(letter, len(payload))

    def say(self, ready: Ready) -> "Future[Any]":
        future: "Future[Any]" = ready.letter.future
        future.add_done_callback(lambda _: self.gate.leave(ready.size))
        self._post(self._outgoing.submit, ready.letter, future)
        return future

    def mailbox(self, window: int, ack_s: float, handling_s: float) -> Mailbox:
        self.link.check()
        link, incoming = self.link, self._incoming
        feed = Feed(limit=window)
        feed.connect(None, lambda: link.post_quietly(incoming.close, feed))
        opened: "Future[int]" = Future()
        self.link.post(incoming.open, feed, window, ack_s, handling_s, opened)
        return Mailbox(feed, self._source, opened)

    def taken(self, mailbox: Mailbox, item: Any) -> None:
        self.link.post_quietly(self._incoming.taken, item.id)

    def channel(self, name: str, after: Optional[int], limit: int) -> Channel:
        self.link.check()
        link, channels = self.link, self._channels
        feed = Feed(limit=limit)
        listener = Listener(name, after, feed)
        feed.connect(None, lambda: link.post_quietly(channels.close, listener))
        self.link.post(channels.open, listener)
        return Channel(feed, listener.opened, lambda: listener.missed)

    # ---- end

    def close(self, linger_s: float) -> None:
        self.link.stop(lambda: not self.link.posts and self._outgoing.is_idle and self._incoming.is_idle, linger_s)
