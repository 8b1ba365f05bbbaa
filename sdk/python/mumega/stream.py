# SPDX-License-Identifier: Apache-2.0
"""Items on their way from the client's I/O thread to whoever wants them: plain code or a coroutine."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from types import TracebackType
from typing import Any, Callable, Deque, Generic, List, Optional, Type, TypeVar

from .errors import ClosedError

Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")


class Ended(Exception):
    """The feed has no more items, and no error either."""


class Feed:
    """A queue with one producer, the I/O thread. The producer keeps it bounded (by credit, window or `limit`)."""

    def __init__(self, limit: int = 0, on_taken: Optional[Callable[[], None]] = None,
                 on_close: Optional[Callable[[], None]] = None) -> None:
        self._items: Deque[Any] = deque()
        self._limit = limit
        self._ready = threading.Condition()  # re-entrant: a collected stream may close its feed at any point
        self._waiters: List[Callable[[], None]] = []
        self._on_taken = on_taken
        self._on_close = on_close
        self._on_want: Optional[Callable[[], None]] = None
        self._ended = False
        self._error: Optional[BaseException] = None
        self.answer: Any = None

    def connect(self, on_taken: Optional[Callable[[], None]], on_close: Optional[Callable[[], None]]) -> None:
        """What the producer wants to hear of: an item was taken; nobody wants more. Called by the consumer's thread."""
        self._on_taken, self._on_close = on_taken, on_close

    def when_wanted(self, on_want: Callable[[], None]) -> None:
        """Called whenever the consumer finds nothing."""
        self._on_want = on_want

    # ---- the producer's side

    def put(self, item: Any) -> bool:
        """False: full, or nobody wants it any more."""
        with self._ready:
            if self._ended or (self._limit and len(self._items) >= self._limit):
                return False
            self._items.append(item)
            self._ready.notify()
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()
        return True

    def drop(self) -> List[Any]:
        """Takes back what was not taken."""
        with self._ready:
            items = list(self._items)
            self._items.clear()
            return items

    def end(self, error: Optional[BaseException] = None, answer: Any = None) -> None:
        """What is queued can still be taken, then comes the error, or the end."""
        with self._ready:
            if self._ended:
                return
            self._ended, self._error, self.answer = True, error, answer
            self._ready.notify_all()
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    def __len__(self) -> int:
        return len(self._items)

    # ---- the consumer's side

    def try_take(self) -> Any:
        """The next item; LookupError when there is none yet; Ended, or the error."""
        with self._ready:
            item = self._take()
        if self._on_taken:
            self._on_taken()
        return item

    def take(self, timeout: Optional[float] = None) -> Any:
        """Waits for the next item, at most timeout seconds, then LookupError."""
        with self._ready:
            if self._on_want and not self._items and not self._ended:
                self._on_want()
            if not self._ready.wait_for(lambda: self._items or self._ended, timeout):
                raise LookupError("no item in time")
            item = self._take()
        if self._on_taken:
            self._on_taken()
        return item

    async def take_async(self, timeout: Optional[float] = None) -> Any:
        """The same without blocking; a cancelled wait takes nothing."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            try:
                return self.try_take()
            except LookupError:
                if deadline is not None and loop.time() >= deadline:
                    raise
            arrived: "asyncio.Future[None]" = loop.create_future()

            def wake() -> None:
                try:
                    loop.call_soon_threadsafe(_finish, arrived)
                except RuntimeError:
                    pass  # the loop is closed: nobody waits

            self._notify(wake)
            try:
                await asyncio.wait_for(arrived, None if deadline is None else max(0.0, deadline - loop.time()))
            except asyncio.TimeoutError:
                pass
            finally:
                self._forget(wake)

    def close(self) -> None:
        """Nobody wants more: the producer is told, once."""
        with self._ready:
            was_ended = self._ended
            self._items.clear()
            on_close, self._on_close = self._on_close, None
        if not was_ended:
            self.end(ClosedError("it was closed"))
        if on_close:
            on_close()

    def _take(self) -> Any:
        if self._items:
            return self._items.popleft()
        if not self._ended:
            if self._on_want:
                self._on_want()
            raise LookupError("no item yet")
        if self._error:
            raise self._error
        raise Ended

    def _notify(self, waiter: Callable[[], None]) -> None:
        with self._ready:
            if not self._items and not self._ended:
                self._waiters.append(waiter)
                return
        waiter()

    def _forget(self, waiter: Callable[[], None]) -> None:
        with self._ready:
            if waiter in self._waiters:
                self._waiters.remove(waiter)


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class Stream(Generic[Chunk, Answer]):
    """An answer in pieces: iterate over the chunks; then `answer` is there. Closing it early (also by leaving a `with`)
    cancels the call. For one thread at a time."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __iter__(self) -> "Stream[Chunk, Answer]":
        return self

    def __next__(self) -> Chunk:
        try:
            chunk: Chunk = self._feed.take()
            return chunk
        except Ended:
            raise StopIteration from None

    @property
    def answer(self) -> Answer:
        """The reply that ended the stream; what was not yet read of the chunks is passed over."""
        for _ in self:
            pass
        answer: Answer = self._feed.answer
        return answer

    def close(self) -> None:
        self._feed.close()

    def __enter__(self) -> "Stream[Chunk, Answer]":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        self._feed.close()


class AsyncStream(Generic[Chunk, Answer]):
    """The same for `async for`."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __aiter__(self) -> "AsyncStream[Chunk, Answer]":
        return self

    async def __anext__(self) -> Chunk:
        try:
            chunk: Chunk = await self._feed.take_async()
            return chunk
        except Ended:
            raise StopAsyncIteration from None

    async def answer(self) -> Answer:
        """The reply that ended the stream; what was not yet read of the chunks is passed over."""
        async for _ in self:
            pass
        answer: Answer = self._feed.answer
        return answer

    def close(self) -> None:
        self._feed.close()

    async def __aenter__(self) -> "AsyncStream[Chunk, Answer]":
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        self._feed.close()
