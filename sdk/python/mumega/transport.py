# SPDX-License-Identifier: Apache-2.0
"""What the client's surface needs of a way to the swarm. There are two: the bus itself (busway.py) and HTTP
(httpway.py)."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Dict, Mapping, NamedTuple, Optional, Protocol

from .errors import MumegaError
from .gate import Gate
from .message import Source
from .operation import CallOptions, Capability, Operation
from .stream import Feed


class Outbound(NamedTuple):
    """A message to an inbox or squad, or (is_event) to a channel."""

    target: str
    type: str
    payload: Any
    timeout_s: float
    is_event: bool = False
    confirm: bool = True
    message_id: Optional[bytes] = None
    ttl_ms: Optional[int] = None
    deliver_at_us: Optional[int] = None
    in_reply_to: Optional[bytes] = None
    metadata: Optional[Mapping[str, Any]] = None
    trace: Optional[bytes] = None
    capability: Optional[Capability] = None


class Ready(NamedTuple):
    """An Outbound that was checked and packed, and how much room it takes."""

    letter: Any
    size: int


class Mailbox(NamedTuple):
    feed: Feed  # of records or maps
    source: Source
    opened: "Future[int]"


class Channel(NamedTuple):
    feed: Feed  # of (record or map, events missed before it)
    opened: "Future[int]"
    missed: Any  # () -> int: events lost so far


class Way(Protocol):
    """prepare_call() and prepare() check and pack, and may raise; the caller enters the gate with the size; call() and say()
    send, and leave the gate when their future is set."""

    identity: Optional[str]
    gate: Gate

    @property
    def place(self) -> str:
        """Where it goes, for people."""

    @property
    def trouble(self) -> MumegaError:
        """Why there is no connection."""

    def health(self, service: str) -> Operation: ...

    def open(self, timeout_s: float) -> None: ...

    def opened(self) -> "Future[None]": ...

    def prepare_call(self, operation: Operation, payload: Dict[str, Any], options: CallOptions) -> Ready: ...

    def call(self, ready: Ready) -> "Future[Any]": ...

    def stream(self, operation: Operation, payload: Dict[str, Any], options: CallOptions) -> Feed: ...

    def prepare(self, outbound: Outbound) -> Ready: ...

    def say(self, ready: Ready) -> "Future[Any]": ...

    def mailbox(self, window: int, ack_s: float, handling_s: float) -> Mailbox: ...

    def taken(self, mailbox: Mailbox, item: Any) -> None: ...

    def channel(self, name: str, after: Optional[int], limit: int) -> Channel: ...

    def close(self, linger_s: float) -> None: ...
