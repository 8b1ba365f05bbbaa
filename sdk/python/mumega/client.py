# SPDX-License-Identifier: Apache-2.0
"""MumegaClient and AsyncMumegaClient: a swarm's services and its bus.

Threads: a client may be used from any thread. It has one of its own, which owns the socket. An inbox, subscription,
stream or tap is for one thread (or task) at a time. Fork: a child must not use its parent's client; it makes its own."""

from __future__ import annotations

import asyncio
import weakref
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Type, Union

from ._services import OPERATIONS, AsyncServices, Services
from .bus import AsyncBus, Bus
from .connection import Connection, Path, discover
from .errors import ConfigurationError, NotFoundError
from .operation import CallOptions, Capability, Operation
from .service import AsyncCaller, SyncCaller
from .transport import Way

CONNECT_TIMEOUT_S = 5.0
LINGER_S = 2.0


def find_way(connection: Union[Connection, Mapping[str, str], Path, None], agent: Optional[str], home: Optional[Path],
             endpoint: Optional[str], broker_public_key: Optional[str], capability: Optional[Capability],
             http: Optional[str]) -> Way:
    if http is not None:
        from .httpway import HttpWay

        return HttpWay(http, agent, capability)
    try:
        import msgpack  # noqa: F401
        import zmq  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(f"the bus needs pyzmq and msgpack (Debian: python3-zmq python3-msgpack): {error}; "
                                 "over HTTP (argument http) neither is needed") from None
    from .busway import BusWay

    way = BusWay(discover(connection, agent=agent, home=home, endpoint=endpoint, broker_public_key=broker_public_key),
                 capability)
    way.start()
    return way


def operation_named(name: str) -> Operation:
    """`memory.store`: a row of the contracts."""
    found = OPERATIONS.get(name)
    if found is None:
        raise NotFoundError(f"operation {name!r:.80}: no contract has it; known ones look like memory.store",
                            word="operation_unknown")
    return found


def ad_hoc(service: str, type_: str, idempotent: bool) -> Operation:
    return Operation(service, type_, type_, 30000, idempotent=idempotent)


class MumegaClient(Services):
    """A connection to a swarm.

    connection: a connection file (`sos agent new NAME` writes one), its content as a mapping, or a Connection; found by
        itself when absent: environment (SOS_CONNECTION, SOS_ENDPOINT, SOS_AGENT), then $SOS_HOME (~/.sos)
    agent: which agent of the home, `kasra` or `agent:kasra`; over HTTP, whom calls act for
    home: the home, instead of $SOS_HOME
    capability: a token for every call, or a function from an operation to a token
    http: the gateway's unified port, such as http://localhost:6080: then the bus is not touched at all
    connect_timeout: how long to wait for the broker; 0 to connect later, with the first call

    Raises ConfigurationError (nothing found), ConnectError (nobody there), HandshakeError (not the broker whose key was
    given), KeyRefusedError (this agent's key is not known, or revoked)."""

    def __init__(self, connection: Union[Connection, Mapping[str, str], Path, None] = None, *,
                 agent: Optional[str] = None, home: Optional[Path] = None, endpoint: Optional[str] = None,
                 broker_public_key: Optional[str] = None, capability: Optional[Capability] = None,
                 http: Optional[str] = None, connect_timeout: float = CONNECT_TIMEOUT_S) -> None:
        self._way = find_way(connection, agent, home, endpoint, broker_public_key, capability, http)
        self._finalizer = weakref.finalize(self, self._way.close, LINGER_S)
        caller = SyncCaller(self._way)
        super().__init__(caller)
        self._caller = caller
        self.bus = Bus(self._way, caller)
        if connect_timeout > 0:
            try:
                self._way.open(connect_timeout)
            except BaseException:
                self.close(0)
                raise

    @property
    def agent_id(self) -> Optional[str]:
        """Who this client is, such as agent:kasra; over HTTP whom it acts for, if anybody."""
        return self._way.identity

    def call(self, operation: str, fields: Optional[Dict[str, Any]] = None, *, timeout: Optional[float] = None,
             capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> Any:
        """Any operation of the contracts by its name, such as memory.store."""
        return self._caller.call(operation_named(operation), fields or {},
                                 CallOptions(timeout, capability, idempotency_key))

    def request(self, service: str, type: str, fields: Optional[Dict[str, Any]] = None, *,
                timeout: Optional[float] = None, idempotent: bool = False, capability: Optional[Capability] = None) -> Any:
        """A request of any type to any service on the bus, also one without a contract."""
        return self._caller.call(ad_hoc(service, type, idempotent), fields or {}, CallOptions(timeout, capability))

    def health(self, service: str = "bus") -> Dict[str, Any]:
        """How a service is: {status, version, service, uptime_seconds, checks}."""
        answer: Dict[str, Any] = self._caller.call(self._way.health(service), {}, CallOptions())
        return answer

    def close(self, timeout: float = LINGER_S) -> None:
        """What was sent and acknowledged still leaves, for at most timeout seconds. Calls in flight end as cancelled."""
        if self._finalizer.detach():
            self._way.close(timeout)

    def __enter__(self) -> "MumegaClient":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<MumegaClient {self.agent_id} {self._way.place}>"


class AsyncMumegaClient(AsyncServices):
    """The same for asyncio: `async with AsyncMumegaClient(...) as client:`, or `client = await
    AsyncMumegaClient.connect(...)`. Arguments as of MumegaClient."""

    def __init__(self, connection: Union[Connection, Mapping[str, str], Path, None] = None, *,
                 agent: Optional[str] = None, home: Optional[Path] = None, endpoint: Optional[str] = None,
                 broker_public_key: Optional[str] = None, capability: Optional[Capability] = None,
                 http: Optional[str] = None, connect_timeout: float = CONNECT_TIMEOUT_S) -> None:
        self._way = find_way(connection, agent, home, endpoint, broker_public_key, capability, http)
        self._finalizer = weakref.finalize(self, self._way.close, LINGER_S)
        self._connect_timeout = connect_timeout
        caller = AsyncCaller(self._way)
        super().__init__(caller)
        self._caller = caller
        self.bus = AsyncBus(self._way, caller)

    @classmethod
    async def connect(cls, connection: Union[Connection, Mapping[str, str], Path, None] = None,
                      **options: Any) -> "AsyncMumegaClient":
        client = cls(connection, **options)
        return await client.__aenter__()

    @property
    def agent_id(self) -> Optional[str]:
        return self._way.identity

    async def call(self, operation: str, fields: Optional[Dict[str, Any]] = None, *, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> Any:
        """As MumegaClient.call()."""
        return await self._caller.call(operation_named(operation), fields or {},
                                       CallOptions(timeout, capability, idempotency_key))

    async def request(self, service: str, type: str, fields: Optional[Dict[str, Any]] = None, *,
                      timeout: Optional[float] = None, idempotent: bool = False,
                      capability: Optional[Capability] = None) -> Any:
        """As MumegaClient.request()."""
        return await self._caller.call(ad_hoc(service, type, idempotent), fields or {}, CallOptions(timeout, capability))

    async def health(self, service: str = "bus") -> Dict[str, Any]:
        """As MumegaClient.health()."""
        answer: Dict[str, Any] = await self._caller.call(self._way.health(service), {}, CallOptions())
        return answer

    async def close(self, timeout: float = LINGER_S) -> None:
        """As MumegaClient.close()."""
        if self._finalizer.detach():
            await asyncio.get_running_loop().run_in_executor(None, self._way.close, timeout)

    async def __aenter__(self) -> "AsyncMumegaClient":
        opened: "Future[None]" = self._way.opened()
        if self._connect_timeout > 0:
            try:
                await asyncio.wait_for(asyncio.wrap_future(opened), self._connect_timeout)
            except asyncio.TimeoutError:
                await self.close(0)
                raise self._way.trouble from None
            except BaseException:
                await self.close(0)
                raise
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncMumegaClient {self.agent_id} {self._way.place}>"
