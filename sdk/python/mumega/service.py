# SPDX-License-Identifier: Apache-2.0
"""The ground that the generated services stand on."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any, Dict, Optional

from .errors import BusyError, DeadlineError
from .operation import CallOptions, Capability, Operation
from .stream import AsyncStream, Stream
from .transport import Way

SLACK_S = 5.0  # a future is set in time; this is for a machine that stood still


class SyncCaller:
    """Calls that wait for their answers."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def call(self, operation: Operation, fields: Dict[str, Any], options: CallOptions) -> Any:
        timeout_s = timeout_of(operation, options)
        ready = self._way.prepare_call(operation, arguments(self._way, operation, fields), options)
        if not self._way.gate.enter(ready.size, timeout_s):
            raise BusyError(f"{operation.type}: too much is on its way and waits for the broker")
        try:
            return self._way.call(ready).result(timeout_s + SLACK_S)
        except concurrent.futures.TimeoutError:
            raise DeadlineError(f"{operation.type}: no answer in time") from None

    def stream(self, operation: Operation, fields: Dict[str, Any], options: CallOptions) -> Stream[Any, Any]:
        return Stream(self._way.stream(operation, arguments(self._way, operation, fields), options))


class AsyncCaller:
    """The same for coroutines."""

    def __init__(self, way: Way) -> None:
        self._way = way

    async def call(self, operation: Operation, fields: Dict[str, Any], options: CallOptions) -> Any:
        timeout_s = timeout_of(operation, options)
        ready = self._way.prepare_call(operation, arguments(self._way, operation, fields), options)
        if not await self._way.gate.enter_async(ready.size, timeout_s):
            raise BusyError(f"{operation.type}: too much is on its way and waits for the broker")
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._way.call(ready)), timeout_s + SLACK_S)
        except asyncio.TimeoutError:
            raise DeadlineError(f"{operation.type}: no answer in time") from None

    def stream(self, operation: Operation, fields: Dict[str, Any], options: CallOptions) -> AsyncStream[Any, Any]:
        return AsyncStream(self._way.stream(operation, arguments(self._way, operation, fields), options))


def timeout_of(operation: Operation, options: CallOptions) -> float:
    return operation.timeout_ms / 1000 if options.timeout_s is None else options.timeout_s


def arguments(way: Way, operation: Operation, fields: Dict[str, Any]) -> Dict[str, Any]:
    """The payload: what was given, and whom the call acts for."""
    payload = {name: value for name, value in fields.items() if value is not None}
    if operation.subject and operation.subject not in payload and way.identity:
        payload[operation.subject] = way.identity
    return payload


class Service:
    def __init__(self, caller: SyncCaller) -> None:
        self._caller = caller

    def _call(self, operation: Operation, fields: Dict[str, Any], timeout: Optional[float],
              capability: Optional[Capability], idempotency_key: Optional[str] = None) -> Any:
        return self._caller.call(operation, fields, CallOptions(timeout, capability, idempotency_key))

    def _stream(self, operation: Operation, fields: Dict[str, Any], timeout: Optional[float],
                capability: Optional[Capability], idempotency_key: Optional[str] = None) -> Stream[Any, Any]:
        return self._caller.stream(operation, fields, CallOptions(timeout, capability, idempotency_key))


class AsyncService:
    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    async def _call(self, operation: Operation, fields: Dict[str, Any], timeout: Optional[float],
                    capability: Optional[Capability], idempotency_key: Optional[str] = None) -> Any:
        return await self._caller.call(operation, fields, CallOptions(timeout, capability, idempotency_key))

    def _stream(self, operation: Operation, fields: Dict[str, Any], timeout: Optional[float],
                capability: Optional[Capability], idempotency_key: Optional[str] = None) -> AsyncStream[Any, Any]:
        return self._caller.stream(operation, fields, CallOptions(timeout, capability, idempotency_key))
