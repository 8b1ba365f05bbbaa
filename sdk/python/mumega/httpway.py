# SPDX-License-Identifier: Apache-2.0
"""HTTP as a way to the swarm, for where ZMQ cannot go: the gateway's unified port. Standard library only.

Calls run in a few threads of its own, each with a connection that is kept. An inbox is a long poll, a subscription and
the tap are server-sent events, each with a thread."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import socket
import ssl
import threading
import time
import urllib.parse
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import _services, wire
from .auth import header_value, subject, token_text
from .errors import (ClosedError, ConfigurationError, ConnectError, DeadlineError, MumegaError, NotAvailableError,
                     ProtocolError, UnknownOutcomeError, ValidationError, from_object)
from .gate import Gate
from .httpbus import HttpChannel, HttpMailbox
from .operation import CallOptions, Capability, Operation
from .outgoing import Published, Sent
from .stream import Feed
from .transport import Channel, Mailbox, Outbound, Ready

THREADS = 8
IN_FLIGHT_MAX = 256
IN_FLIGHT_BYTES = 32 * 1024 * 1024
ANSWER_MAX = 64 * 1024 * 1024
LINE_MAX = 1024 * 1024
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 2.0
RETRIED = frozenset((502, 503, 504))
STREAM_SILENCE_S = 660.0
CHUNKS_MAX = 256  # of a stream, read ahead of whoever reads it


class Request(NamedTuple):
    operation: Operation
    method: str
    path: str
    body: Optional[bytes]
    headers: Dict[str, str]
    timeout_s: float
    may_repeat: bool


class Letter(NamedTuple):
    request: Request
    outbound: Outbound


def _segment(value: Any) -> str:
    return urllib.parse.quote(str(value), safe=":@")


def _query(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class HttpWay:
    def __init__(self, url: str, agent: Optional[str], capability: Optional[Capability]) -> None:
        parts = urllib.parse.urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.query or parts.fragment \
                or parts.username:
            raise ConfigurationError(f"http: came {url!r:.80}, expected an address such as http://localhost:6080")
        self._scheme, self._host, self._port, self._base = parts.scheme, parts.hostname, port, parts.path.rstrip("/")
        if agent is not None and ":" not in agent:
            agent = "agent:" + agent
        if agent is not None and not wire.is_identity(agent):
            raise ConfigurationError(f"agent: came {agent!r:.80}, expected a name such as kasra")
        self.identity: Optional[str] = agent or subject(capability) or os.environ.get("SOS_AGENT")
        self.gate = Gate(IN_FLIGHT_MAX, IN_FLIGHT_BYTES)
        self.trouble: MumegaError = ConnectError(f"no answer from {url} yet")
        self._capability = capability
        self._pid = os.getpid()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="mumega http")
        self._local = threading.local()
        self._lock = threading.RLock()  # re-entrant: a collected stream may close at any point
        self._open: Dict[int, http.client.HTTPConnection] = {}
        self._closers: List[Callable[[], None]] = []
        self._closed = False
        self._opened: "Optional[Future[None]]" = None

    @property
    def place(self) -> str:
        return f"at {self._scheme}://{self._host}{':' + str(self._port) if self._port else ''}{self._base}"

    # ---- life

    def check(self) -> None:
        if os.getpid() != self._pid:
            raise ClosedError("this client was made before the process was forked: make one of your own")
        if self._closed:
            raise ClosedError("the client is closed")

    def opened(self) -> "Future[None]":
        if self._opened is None:
            self.check()
            self._opened = self._pool.submit(self._probe)
        return self._opened

    def open(self, timeout_s: float) -> None:
        try:
            self.opened().result(timeout_s)
        except concurrent.futures.TimeoutError:
            raise self.trouble from None

    def _probe(self) -> None:
        self.perform(Request(self.health("bus"), "GET", self._base + "/version", None, {}, 10.0, True))

    def close(self, linger_s: float) -> None:
        if os.getpid() != self._pid or self._closed:
            return
        with self._lock:
            self._closed = True
            closers, self._closers = self._closers, []
        for closer in closers:
            closer()
        self._pool.shutdown(wait=False)
        end = time.monotonic() + linger_s
        while self.gate.count and time.monotonic() < end:
            time.sleep(0.01)
        with self._lock:
            connections = list(self._open.values())
            self._open.clear()
        for connection in connections:
            _cut(connection)
            connection.close()

    def at_close(self, closer: Callable[[], None]) -> None:
        with self._lock:
            self._closers.append(closer)

    def not_at_close(self, closer: Callable[[], None]) -> None:
        with self._lock:
            if closer in self._closers:
                self._closers.remove(closer)

    # ---- requests

    def health(self, service: str) -> Operation:
        door = {"bus": "engine", "tasks": "engine", "artifacts": "tools", "marketplace": "tools"}.get(service, service)
        return Operation(service, "health_check", "health_check", 5000, idempotent=True, route=(door, "GET", "/health"))

    def request(self, operation: Operation, payload: Dict[str, Any], options: CallOptions) -> Request:
        self.check()
        if operation.route is None:
            raise NotAvailableError(f"{operation.service}.{operation.name} is not offered over HTTP")
        door, method, path = operation.route
        body = dict(payload)
        for name in operation.in_path:
            if name not in body:
                raise ValidationError(f"{name}: missing", context={"field": name})
            path = path.replace("{" + name + "}", _segment(body.pop(name)))
        query = [(name, _query(body.pop(name))) for name in operation.in_query if name in body]
        path = f"{self._base}/{door}{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
        headers = {"Accept": "text/event-stream" if operation.stream else "application/json"}
        token = token_text(options.capability or self._capability, operation)
        if token:
            headers["X-SOS-Capability"] = header_value(token)
        if options.idempotency_key and method == "POST":
            headers["Idempotency-Key"] = options.idempotency_key
        if options.trace:
            headers["X-SOS-Trace-ID"] = options.trace[:16].hex()
        data = None
        if method == "POST":
            headers["Content-Type"] = "application/json"
            try:
                data = json.dumps(body, allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError) as error:
                raise ValidationError(f"{operation.type}: cannot be written as JSON: {error}",
                                      context={"field": "payload"}) from None
        timeout_s = operation.timeout_ms / 1000 if options.timeout_s is None else options.timeout_s
        return Request(operation, method, path, data, headers, timeout_s,
                       operation.idempotent or bool(options.idempotency_key))

    def prepare_call(self, operation: Operation, payload: Dict[str, Any], options: CallOptions) -> Ready:
        request = self.request(operation, payload, options)
        return Ready(request, len(request.body or b""))

    def call(self, ready: Ready) -> "Future[Any]":
        return self._run(ready, lambda: self.perform(ready.letter))

    def _run(self, ready: Ready, work: Callable[[], Any]) -> "Future[Any]":
        try:
            future: "Future[Any]" = self._pool.submit(work)
        except RuntimeError:
            future = Future()
            future.set_exception(ClosedError("the client is closed"))
        future.add_done_callback(lambda _: self.gate.leave(ready.size))
        return future

    def perform(self, request: Request) -> Any:
        """The call's JSON; tried again within its time when that is harmless."""
        deadline = time.monotonic() + request.timeout_s
        pause = RETRY_FIRST_S
        while True:
            try:
                return self._exchange(request, deadline)
            except (ConnectError, UnknownOutcomeError) as error:
                self.trouble = error
                if not request.may_repeat or time.monotonic() + pause >= deadline:
                    raise
            except MumegaError as error:
                if error.http not in RETRIED or isinstance(error, (ProtocolError, DeadlineError)) \
                        or not request.may_repeat or time.monotonic() + pause >= deadline:
                    raise
            if self._closed:
                raise ClosedError("the client is closed")
            time.sleep(pause)
            pause = min(pause * 2, RETRY_MAX_S)

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._scheme == "https":
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s,
                                               context=ssl.create_default_context())
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)

    def _exchange(self, request: Request, deadline: float) -> Any:
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError(f"{request.operation.type}: no answer in time")
        connection: Optional[http.client.HTTPConnection] = getattr(self._local, "connection", None)
        was_kept = connection is not None
        if connection is None:
            connection = self._local.connection = self.connect(left)
            with self._lock:
                self._open[threading.get_ident()] = connection
        try:
            status, data = self._talk(connection, request, left, deadline)
        except MumegaError:
            self._drop()
            raise
        except TimeoutError:
            self._drop()
            raise DeadlineError(f"{request.operation.type}: no answer in time") from None
        except (OSError, http.client.HTTPException, AttributeError, ValueError) as error:
            # The last two: http.client, when close() took its connection away.
            self._drop()
            if was_kept and isinstance(error, (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)) \
                    and (request.may_repeat or request.method == "GET"):
                return self._exchange(request, deadline)  # the gateway had closed it meanwhile
            raise self._lost(request, error) from None
        return self._read(request, status, data)

    def _talk(self, connection: http.client.HTTPConnection, request: Request, left: float,
              deadline: float) -> Tuple[int, bytes]:
        connection.timeout = left
        if connection.sock is None:
            connection.connect()
        _limit(connection, left)
        connection.request(request.method, request.path, body=request.body, headers=request.headers)
        response = connection.getresponse()
        parts, size = [], 0
        while True:
            _limit(connection, deadline - time.monotonic())
            part = response.read1(65536)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > ANSWER_MAX:
                raise ProtocolError(f"{request.operation.type}: an answer of more than {ANSWER_MAX} bytes")
        will_close = response.will_close
        response.close()
        if will_close:
            self._drop()
        return response.status, b"".join(parts)

    def cut(self, thread: int) -> None:
        """Ends what a thread is calling."""
        with self._lock:
            connection = self._open.get(thread)
        if connection is not None:
            _cut(connection)

    def leave(self) -> None:
        """The calling thread makes no more calls: its connection is closed."""
        self._drop()

    def _drop(self) -> None:
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        with self._lock:
            self._open.pop(threading.get_ident(), None)
        if connection is not None:
            connection.close()

    def _lost(self, request: Request, error: Exception) -> MumegaError:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, (ConnectionRefusedError, socket.gaierror)) or request.method == "GET":
            return ConnectError(f"{self.place[3:]}: {text}")
        return UnknownOutcomeError(f"{request.operation.type}: the connection to {self.place[3:]} broke: {text}")

    @staticmethod
    def _read(request: Request, status: int, data: bytes) -> Any:
        try:
            value = json.loads(data) if data else None
        except (ValueError, RecursionError):
            raise ProtocolError(f"{request.operation.type}: HTTP {status} with a body that is not JSON") from None
        if 200 <= status < 300:
            return value
        raise refusal(request.operation, status, value)

    # ---- streams

    def stream(self, operation: Operation, payload: Dict[str, Any], options: CallOptions) -> Feed:
        request = self.request(operation, payload, options)
        feed = Feed()
        reader = _StreamReader(self, request, feed)
        feed.connect(reader.taken, reader.close)
        reader.start()
        return feed

    def events(self, request: Request, holder: Callable[[http.client.HTTPConnection], None],
               opened: Callable[[], None] = lambda: None) -> Iterator[Dict[str, Any]]:
        """The objects of a text/event-stream. holder gets the connection, to cut it from another thread; opened() is called
        when the stream stands."""
        connection = self.connect(min(request.timeout_s, 30.0))
        response: Optional[http.client.HTTPResponse] = None
        holder(connection)
        try:
            connection.request(request.method, request.path, body=request.body, headers=request.headers)
            response = connection.getresponse()
            if response.status != 200:
                self._read(request, response.status, response.read(ANSWER_MAX))
            kind = response.getheader("Content-Type") or ""
            if not kind.startswith("text/event-stream"):
                raise ProtocolError(f"{request.operation.type}: came {kind!r:.60}, expected text/event-stream")
            _limit(connection, STREAM_SILENCE_S)
            opened()
            while True:
                line = response.readline(LINE_MAX + 1)
                if not line:
                    return
                if len(line) > LINE_MAX:
                    raise ProtocolError(f"{request.operation.type}: an event of more than {LINE_MAX} bytes")
                if line.startswith(b"data:"):
                    try:
                        value = json.loads(line[5:])
                    except (ValueError, RecursionError):
                        raise ProtocolError(f"{request.operation.type}: an event that is not JSON") from None
                    if not isinstance(value, dict):
                        raise ProtocolError(f"{request.operation.type}: an event that is no JSON object")
                    yield value
        except (OSError, http.client.HTTPException, AttributeError, ValueError) as error:
            # The last two: http.client, when another thread closed the connection.
            raise self._lost(request, error) from None
        finally:
            if response is not None:
                response.close()
            connection.close()

    # ---- mail and events

    def prepare(self, outbound: Outbound) -> Ready:
        if self.identity is None:
            raise ConfigurationError("who sends? Over HTTP a client that uses the bus needs its agent (argument agent)")
        options = CallOptions(outbound.timeout_s, outbound.capability, trace=outbound.trace)
        fields: Dict[str, Any] = {"from": self.identity, "type": outbound.type, "payload": outbound.payload,
                                  "metadata": dict(outbound.metadata) if outbound.metadata else None}
        if outbound.is_event:
            fields["channel"] = outbound.target
            operation = _services.BUS_PUBLISH
        else:
            fields["to"] = outbound.target
            fields["message_id"] = wire.id_text(outbound.message_id) if outbound.message_id else None
            fields["ttl_ms"] = outbound.ttl_ms
            fields["in_reply_to"] = wire.id_text(outbound.in_reply_to) if outbound.in_reply_to else None
            fields["deliver_at"] = _stamp(outbound.deliver_at_us)
            operation = _services.BUS_SEND
        payload = {name: value for name, value in fields.items() if value is not None}
        request = self.request(operation, payload, options)
        return Ready(Letter(request, outbound), len(request.body or b""))

    def say(self, ready: Ready) -> "Future[Any]":
        return self._run(ready, lambda: self._say(ready.letter))

    def _say(self, letter: Letter) -> Any:
        answer = self.perform(letter.request)
        if not isinstance(answer, dict):
            raise ProtocolError(f"{letter.request.operation.type}: came no JSON object")
        message_id = str(answer.get("message_id", ""))
        if letter.outbound.is_event:
            seq = answer.get("seq")
            return Published(message_id, seq if isinstance(seq, int) else None)
        copies = answer.get("copies")
        return Sent(message_id, copies if isinstance(copies, int) else 0, answer.get("duplicate") is True)

    def _agent(self) -> str:
        self.check()
        if self.identity is None:
            raise ConfigurationError("whose? Over HTTP a client that uses the bus needs its agent (argument agent)")
        return self.identity

    def mailbox(self, window: int, ack_s: float, handling_s: float) -> Mailbox:
        mailbox = HttpMailbox(self, self._agent(), window, max(ack_s, 5.0), handling_s)
        mailbox.start()
        return Mailbox(mailbox.feed, mailbox, mailbox.opened)

    def taken(self, mailbox: Mailbox, item: Any) -> None:
        source: Any = mailbox.source
        source.taken(item)

    def channel(self, name: str, after: Optional[int], limit: int) -> Channel:
        channel = HttpChannel(self, self._agent(), name, after, limit)
        channel.start()
        return Channel(channel.feed, channel.opened, lambda: channel.listener.missed)


def _stamp(microseconds: Optional[int]) -> Optional[str]:
    if microseconds is None:
        return None
    seconds, rest = divmod(microseconds, 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:06d}Z"


def _limit(connection: http.client.HTTPConnection, seconds: float) -> None:
    sock: Any = connection.sock
    if sock is not None:
        sock.settimeout(max(0.001, seconds))


def _cut(connection: http.client.HTTPConnection) -> None:
    """Ends whatever another thread does on it."""
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def refusal(operation: Operation, status: int, value: Any) -> MumegaError:
    """The exception of an HTTP answer that is no success."""
    error = value.get("error") if isinstance(value, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(code, int):
        return ProtocolError(f"{operation.type}: HTTP {status} without the error of a SOS gateway: is it one?")
    return from_object(code, error)


class _StreamReader(threading.Thread):
    """Reads the events of one streamed answer, as fast as they are taken."""

    def __init__(self, way: HttpWay, request: Request, feed: Feed) -> None:
        super().__init__(name="mumega http stream", daemon=True)
        self._way, self._request, self._feed = way, request, feed
        self._unread = 0
        self._changed = threading.Condition()  # re-entrant, as above
        self._connection: Optional[http.client.HTTPConnection] = None
        self._closed = False
        way.at_close(self.close)

    def taken(self) -> None:
        with self._changed:
            self._unread -= 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._connection is not None:
            _cut(self._connection)

    def _hold(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def run(self) -> None:
        try:
            for value in self._way.events(self._request, self._hold):
                if self._closed:
                    break
                if value.get("done") is True:
                    self._feed.end(None, {name: part for name, part in value.items() if name != "done"})
                    return
                if isinstance(value.get("error"), dict):
                    self._feed.end(refusal(self._request.operation, 200, value))
                    return
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._unread < CHUNKS_MAX)
                    self._unread += 1
                self._feed.put(value)
            self._feed.end(ClosedError("it was closed") if self._closed else UnknownOutcomeError(
                f"{self._request.operation.type}: the stream broke off"))
        except MumegaError as error:
            self._feed.end(ClosedError("it was closed") if self._closed else error)
        finally:
            self._way.not_at_close(self.close)
