# SPDX-License-Identifier: Apache-2.0
"""Every exception of this package. All are MumegaErrors; those of a status have that status's class, whose `word` may be
finer (`memory_not_found` is a NotFoundError). What this package notices by itself stands here."""

from __future__ import annotations

from typing import Any, Dict

from . import wire
from ._error import MumegaError
from ._statuses import *  # noqa: F401,F403
from ._statuses import (BY_CODE, BadGatewayError, CancelledError, UnauthorizedError, UnavailableError,
                        ValidationError)
from ._statuses import __all__ as _statuses

__all__ = ["MumegaError", "ClosedError", "ConfigurationError", "ConnectError", "HandshakeError", "KeyRefusedError",
           "ProtocolError", "from_status", "from_object", *_statuses]

_TEXT_MAX = 4096


class ConfigurationError(ValidationError):
    """No connection could be made up from arguments, environment and files; the message names what is missing where."""

    word = "configuration"


class ConnectError(UnavailableError):
    """Nobody answers at the endpoint (refused, or silent)."""

    word = "not_connected"


class HandshakeError(ConnectError):
    """Somebody is there, but it is no SOS broker, or not the one whose public key was given."""

    word = "handshake_failed"


class KeyRefusedError(UnauthorizedError):
    """The broker does not let this key in: it never knew it, or it was revoked."""

    word = "key_refused"


class ClosedError(CancelledError):
    """The client, or the stream, inbox or subscription, was closed; or the process was forked since."""

    word = "closed"


class ProtocolError(BadGatewayError):
    """The other side gave an answer that cannot be read."""

    word = "answer_unreadable"


def from_status(code: int, payload: bytes) -> MumegaError:
    """The exception of a failed reply or an error record; tolerates any payload."""
    try:
        value = wire.unpack(payload)
    except wire.WireError:
        value = None
    return from_object(code, value)


def from_object(code: int, value: Any) -> MumegaError:
    """From {message, detail, context?}; missing parts are the status's own."""
    kind = BY_CODE.get(code, MumegaError)
    parts: Dict[Any, Any] = value if isinstance(value, dict) else {}
    message, word, context = parts.get("message"), parts.get("detail"), parts.get("context")
    return kind(message[:_TEXT_MAX] if isinstance(message, str) and message else kind.word,
                word=word[:_TEXT_MAX] if isinstance(word, str) and word else None,
                code=None if kind is not MumegaError else code, context=context if isinstance(context, dict) else None)


