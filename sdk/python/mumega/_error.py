# SPDX-License-Identifier: Apache-2.0
"""The base of every exception that this package raises by itself."""

from __future__ import annotations

from typing import Any, Dict, Optional


class MumegaError(Exception):
    """What failed: `code` (a number of the status table), `word` (what programs compare), `message` (what people read),
    `field` (the field of the call that it is about, where there is one) and `context` (what else was said)."""

    code: int = 1000
    word: str = "unknown"
    http: int = 500

    def __init__(self, message: str = "", *, word: Optional[str] = None, code: Optional[int] = None,
                 context: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message or self.word)
        self.message = message or self.word
        self.context: Dict[str, Any] = context or {}
        if word:
            self.word = word
        if code is not None:
            self.code = code

    @property
    def detail(self) -> str:
        """The machine word, as HTTP calls it."""
        return self.word

    @property
    def field(self) -> Optional[str]:
        value = self.context.get("field")
        return value if isinstance(value, str) else None

    def __str__(self) -> str:
        return f"{self.message} ({self.word}, {self.code})"

    def __reduce__(self) -> Any:
        return _restore, (type(self), self.message, self.word, self.code, self.context)


def _restore(kind: Any, message: str, word: str, code: int, context: Dict[str, Any]) -> MumegaError:
    error: MumegaError = kind(message, word=word, code=code, context=context)
    return error
