# SPDX-License-Identifier: Apache-2.0
"""What a contract says of one operation, as far as a client needs it."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Union

# A capability token: its JSON as text, the object, or a function that is asked before each call (and may give None).
Token = Union[str, Dict[str, Any]]
Capability = Union[Token, Callable[["Operation"], Optional[Token]]]


class Operation(NamedTuple):
    service: str
    name: str
    type: str
    timeout_ms: int
    write: bool = False
    idempotent: bool = False
    stream: bool = False
    # The required field that names whom the call acts for: the client's own identity unless given.
    subject: Optional[str] = None
    # Over HTTP: door, method and path; which fields stand in path and query, the others being the body.
    route: Optional[Tuple[str, str, str]] = None
    in_path: Tuple[str, ...] = ()
    in_query: Tuple[str, ...] = ()

    @property
    def target(self) -> str:
        return "service:" + self.service


class CallOptions(NamedTuple):
    """What a call may have besides its fields."""

    timeout_s: Optional[float] = None  # None: the operation's own
    capability: Optional[Capability] = None  # None: the client's
    idempotency_key: Optional[str] = None  # makes trying a write again harmless
    trace: Optional[bytes] = None  # trace id (16 bytes) and span id (8)
