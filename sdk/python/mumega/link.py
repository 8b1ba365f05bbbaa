# SPDX-License-Identifier: Apache-2.0
"""The thread that owns the socket. It goes on while the user's code works: heartbeats, leases and answers do not wait
for anybody. Other threads hand it work with post().

After os.fork() the child must not use its parent's link: it makes clients of its own."""

from __future__ import annotations

import logging
import os
import socket as sockets
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Deque, Optional, Tuple

import zmq
from zmq.utils.monitor import recv_monitor_message

from . import wire
from .calls import settle
from .connection import Connection
from .errors import ClosedError, ConnectError, HandshakeError, KeyRefusedError, MumegaError
from .session import Session

log = logging.getLogger("mumega")

AGENT = "mumega-python/0.1"
RECONNECT_S = 5.0
RECONNECT_LOST_S = 2.0  # by itself libzmq notices a broken connection, but not a dead one
RECONNECT_REFUSED_S = 1.0
# A key that the broker refuses so often in a row is refused: who waits is told. Once is enough at the start.
REFUSALS = 3
FRAMES_PER_TURN = 64
POSTS_PER_TURN = 1024
BYE_MS = 200

_EVENTS = (zmq.EVENT_CONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED
           | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
           | zmq.EVENT_HANDSHAKE_FAILED_AUTH)


class Link:
    """start() and stop() once each. post() from any thread; everything else on the link's own."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.session = Session(connection.identity, AGENT, time.monotonic, time.time)
        self.session.on_ready = self._on_ready
        self.session.on_lost = self._on_lost
        self.session.on_refused = self._on_refused
        self.opened: "Future[None]" = Future()
        self.trouble: MumegaError = ConnectError(f"no answer from {connection.endpoint} yet")
        self._pid = os.getpid()
        self._lock = threading.RLock()  # re-entrant: a collected message may post at any point
        self._ended = False
        self.posts: Deque[Tuple[Callable[..., None], Tuple[Any, ...]]] = deque()
        self._asleep = False
        self._stopping: Optional[Callable[[], bool]] = None
        self._stop_at = 0.0
        self._frame: Optional[bytes] = None
        self._reconnect_at = 0.0
        self._refusals = 0
        self._reached = self._shaken = False
        self._wake_in, self._wake_out = sockets.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"mumega {connection.identity}", daemon=True)

    # ---- from any thread

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """ClosedError when it cannot be used (any more)."""
        if os.getpid() != self._pid:
            raise ClosedError("this client was made before the process was forked: make one of your own")
        if self._stopping is not None or self._ended:
            raise ClosedError("the client is closed")

    def post(self, action: Callable[..., None], *arguments: Any) -> None:
        """Has action(*arguments) run on the link's thread, in order. ClosedError when that is over."""
        with self._lock:
            if self._ended:
                raise ClosedError("the client is closed")
            self.posts.append((action, arguments))
        if self._asleep:
            self._wake()

    def post_quietly(self, action: Callable[..., None], *arguments: Any) -> None:
        """The same for what does not matter any more once the link is over."""
        try:
            if os.getpid() == self._pid:
                self.post(action, *arguments)
        except ClosedError:
            pass

    def stop(self, is_idle: Callable[[], bool], linger_s: float) -> None:
        """Ends the thread: as soon as is_idle() says so (asked on the thread), at the latest after linger_s."""
        if os.getpid() != self._pid or self._stopping is not None or not self._thread.is_alive():
            return
        self._stop_at = time.monotonic() + linger_s
        self._stopping = is_idle
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(linger_s + 5.0)

    def _wake(self) -> None:
        try:
            self._wake_out.send(b"!")
        except (BlockingIOError, OSError):
            pass  # enough of them are there, or the thread is over

    # ---- the thread

    def _run(self) -> None:
        context = zmq.Context()
        try:
            self._loop(context)
        except Exception:  # noqa: BLE001 - a fault of this package: nobody may wait for ever
            log.exception("the link of %s failed", self.connection.identity)
            self.session.refuse(ClosedError("the link failed; see the log"))
        finally:
            self._stopping = self._stopping or (lambda: True)
            self._end()
            context.destroy(linger=BYE_MS)
            self._wake_in.close()
            self._wake_out.close()

    def _end(self) -> None:
        closed = ClosedError("the client was closed")
        self.session.refuse(closed)
        with self._lock:
            self._ended = True
        while self.posts:
            action, arguments = self.posts.popleft()
            action(*arguments)  # finds the refusal
        settle(self.opened, error=closed)

    def _open(self, context: "zmq.Context[zmq.Socket[bytes]]") -> Tuple[Any, Any]:
        socket: Any = context.socket(zmq.DEALER)
        socket.linger = BYE_MS
        socket.immediate = 1
        socket.sndhwm = 128
        socket.rcvhwm = 128
        socket.maxmsgsize = wire.FRAME_MAX
        socket.reconnect_ivl = 50
        socket.reconnect_ivl_max = 1000
        socket.curve_serverkey = self.connection.broker_public_key.encode()
        socket.curve_publickey = self.connection.curve_public_key.encode()
        socket.curve_secretkey = self.connection.curve_secret_key.encode()
        monitor = socket.get_monitor_socket(_EVENTS)
        socket.connect(self.connection.endpoint)
        self._reconnect_at = time.monotonic() + RECONNECT_S
        return socket, monitor

    def _loop(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        socket, monitor = self._open(context)
        try:
            self._turn(socket, monitor)
        finally:
            socket.disable_monitor()
            monitor.close(0)
            socket.close(BYE_MS)

    def _turn(self, socket: Any, monitor: Any) -> None:
        session = self.session
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        poller.register(self._wake_in, zmq.POLLIN)
        while True:
            busy = self._run_posts()
            self._reconnect(socket)
            session.tick()
            blocked = self._flush(socket)
            busy = self._receive(socket) or busy
            if monitor.poll(0):
                self._watch(monitor)
                busy = True
            if self._stopping is not None and (self._stopping() or time.monotonic() >= self._stop_at):
                session.say_bye()
                self._flush(socket)
                return
            if busy or (session.has_output and not blocked):
                continue
            self._sleep(poller, socket, blocked)

    def _run_posts(self) -> bool:
        posts = self.posts
        for _ in range(min(len(posts), POSTS_PER_TURN)):
            action, arguments = posts.popleft()
            action(*arguments)
        return bool(posts)

    def _flush(self, socket: Any) -> bool:
        """True: the socket takes no more for now."""
        while True:
            if self._frame is None:
                self._frame = self.session.take_frame()
                if self._frame is None:
                    return False
            try:
                socket.send(self._frame, zmq.DONTWAIT)
            except zmq.Again:
                if not self.session.is_ready:
                    self._frame = None  # a hello: said again when the connection is there
                    return False
                return True
            self._frame = None

    def _receive(self, socket: Any) -> bool:
        for _ in range(FRAMES_PER_TURN):
            try:
                frame = socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return False
            self.session.receive(frame)
        return True

    def _sleep(self, poller: Any, socket: Any, blocked: bool) -> None:
        poller.modify(socket, zmq.POLLIN | (zmq.POLLOUT if blocked else 0))
        self._asleep = True
        try:
            if self.posts or (self._stopping is not None and self._stopping()):
                return
            now = time.monotonic()
            due = min(self.session.deadline, self._reconnect_at if not self.session.is_ready else now + 60)
            if self._stopping is not None:
                due = min(due, self._stop_at, now + 0.05)
            poller.poll(max(0, int((due - now) * 1000) + 1))
        finally:
            self._asleep = False
        try:
            while self._wake_in.recv(4096):
                pass
        except BlockingIOError:
            pass

    # ---- connection

    def _reconnect(self, socket: Any) -> None:
        """libzmq gives an endpoint up for good when its handshake fails; and one that is silent may be dead."""
        now = time.monotonic()
        if self.session.is_ready or now < self._reconnect_at:
            return
        try:
            socket.disconnect(self.connection.endpoint)
        except zmq.ZMQError:
            pass
        socket.connect(self.connection.endpoint)
        self._shaken = False
        self._reconnect_at = now + RECONNECT_S

    def _watch(self, monitor: Any) -> None:
        while monitor.poll(0):
            self._note(recv_monitor_message(monitor, zmq.DONTWAIT)["event"])

    def _note(self, event: int) -> None:
        connection, now = self.connection, time.monotonic()
        if event == zmq.EVENT_CONNECTED:
            self._reached = True
            if not isinstance(self.trouble, (HandshakeError, KeyRefusedError)):
                self.trouble = HandshakeError(f"{connection.endpoint} does not shake hands: is it a SOS broker?")
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._shaken = True
            self._refusals = 0
            self.trouble = ConnectError(f"{connection.endpoint} let {connection.identity} in, but does not answer")
            self.session.retry_hello()
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._refusals += 1
            self._reached = False
            self._reconnect_at = min(self._reconnect_at, now + RECONNECT_REFUSED_S)
            refused = KeyRefusedError(f"the broker at {connection.endpoint} refused the key of {connection.identity}: "
                                      "it does not know it, or it was revoked")
            self.trouble = refused
            if self._refusals >= REFUSALS or not self.opened.done():
                self.session.refuse(refused)
        elif event in (zmq.EVENT_DISCONNECTED, zmq.EVENT_CLOSED, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
                       zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL):
            self._note_loss(event, now)

    def _note_loss(self, event: int, now: float) -> None:
        endpoint = self.connection.endpoint
        shaken, self._shaken = self._shaken, False
        reached, self._reached = self._reached, False
        if shaken:
            self._frame = None
            self.session.lost("the connection broke")
        elif reached:
            self._reconnect_at = min(self._reconnect_at, now + RECONNECT_REFUSED_S)
            self.trouble = HandshakeError(f"the handshake with {endpoint} failed: is it a SOS broker, is "
                                          "broker_public_key its key, and do the two keys of "
                                          f"{self.connection.identity} belong together?")
        elif event == zmq.EVENT_CLOSED:
            self.trouble = ConnectError(f"nobody listens at {endpoint}: is the swarm up (`sos up`)?")

    def _on_ready(self) -> None:
        self._reconnect_at = float("inf")
        settle(self.opened)

    def _on_lost(self) -> None:
        self._frame = None
        self._reconnect_at = time.monotonic() + RECONNECT_LOST_S

    def _on_refused(self, error: MumegaError) -> None:
        settle(self.opened, error=error)
