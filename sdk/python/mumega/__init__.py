# SPDX-License-Identifier: Apache-2.0
"""mumega: the Python SDK of SovereignOS.

    from mumega import MumegaClient

    with MumegaClient(agent="kasra") as client:
        client.bus.send("agent:athena", {"text": "hello"})
        for message in client.bus.inbox():
            with message:  # acknowledged at the end of the block, given back when it raises
                print(message.source, message.payload)

Needs pyzmq and msgpack (over HTTP neither)."""

from ._error import MumegaError
from .bus import AsyncBus, AsyncInbox, AsyncSubscription, AsyncTap, Bus, Inbox, Subscription, Tap
from .client import AsyncMumegaClient, MumegaClient
from .connection import Connection, discover
from .errors import (BusyError, ClosedError, ConfigurationError, ConnectError, DeadlineError, ForbiddenError,
                     HandshakeError, KeyRefusedError, NotFoundError, ProtocolError, QuotaExceededError,
                     RateLimitedError, UnavailableError, UnknownOutcomeError, ValidationError)
from .message import AsyncMessage, Event, Message
from .operation import CallOptions, Capability, Operation
from .outgoing import Published, Sent
from .stream import AsyncStream, Stream

__version__ = "0.1.0"

__all__ = ["AsyncBus", "AsyncInbox", "AsyncMessage", "AsyncMumegaClient", "AsyncStream", "AsyncSubscription",
           "AsyncTap", "Bus", "BusyError", "CallOptions", "Capability", "ClosedError", "ConfigurationError",
           "ConnectError", "Connection", "DeadlineError", "Event", "ForbiddenError", "HandshakeError", "Inbox",
           "KeyRefusedError", "Message", "MumegaClient", "MumegaError", "NotFoundError", "Operation", "ProtocolError",
           "Published", "QuotaExceededError", "RateLimitedError", "Sent", "Stream", "Subscription", "Tap",
           "UnavailableError", "UnknownOutcomeError", "ValidationError", "discover"]
