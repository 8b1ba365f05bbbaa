# SPDX-License-Identifier: Apache-2.0
"""Capability tokens: how a caller gives them, and how they travel. A token is a secret: it is in no repr and no log."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from typing import Any, Dict, Optional

from .errors import ValidationError
from .operation import Capability, Operation
from .wire import CAPABILITY_MAX

log = logging.getLogger("mumega")


def token_text(capability: Optional[Capability], operation: Operation) -> Optional[str]:
    """The token for a call of this operation, as JSON text (or a capability's id, which stands for itself)."""
    if capability is None:
        return None
    token: Any = capability(operation) if callable(capability) else capability
    if token is None:
        return None
    if isinstance(token, dict):
        text = json.dumps(token)
    elif isinstance(token, str):
        text = _from_text(token.strip())
    else:
        raise ValidationError(f"capability: came {type(token).__name__}, expected a token as text or as dict")
    if len(text.encode()) > CAPABILITY_MAX:
        raise ValidationError(f"capability: {len(text)} characters, at most {CAPABILITY_MAX} bytes fit")
    return text


def _from_text(text: str) -> str:
    if not text or text.startswith("{") or text.startswith("cap_"):
        return text
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    if not decoded.startswith("{"):
        raise ValidationError("capability: expected a token's JSON, or that in base64url")
    return decoded


def token_text_or_none(capability: Optional[Capability], operation: Operation) -> Optional[str]:
    """The same where nobody waits for an exception: it is logged."""
    try:
        return token_text(capability, operation)
    except Exception as error:  # noqa: BLE001 - the caller's own function
        log.warning("no capability for %s.%s: %s", operation.service, operation.name, type(error).__name__)
        return None


def header_value(text: str) -> str:
    """For X-SOS-Capability."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def subject(capability: Optional[Capability]) -> Optional[str]:
    """Whom a token that is given as it is belongs to."""
    if capability is None or callable(capability):
        return None
    try:
        value: Dict[str, Any] = capability if isinstance(capability, dict) else json.loads(_from_text(capability))
    except ValueError:
        return None
    found = value.get("subject") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
