# SPDX-License-Identifier: Apache-2.0
"""How much may be on its way at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Callable, List


class Gate:
    """Bounds what is on its way, in number and bytes. Threads wait for room; coroutines ask again."""

    def __init__(self, count_max: int, bytes_max: int) -> None:
        self._count_max, self._bytes_max = count_max, bytes_max
        self._count = self._bytes = 0
        self._room = threading.Condition()
        self._waiters: List[Callable[[], None]] = []

    @property
    def count(self) -> int:
        return self._count

    def _fits(self, size: int) -> bool:
        return self._count == 0 or (self._count < self._count_max and self._bytes + size <= self._bytes_max)

    def try_enter(self, size: int) -> bool:
        with self._room:
            if not self._fits(size):
                return False
            self._count, self._bytes = self._count + 1, self._bytes + size
            return True

    def enter(self, size: int, timeout_s: float) -> bool:
        """False: no room in time."""
        with self._room:
            if not self._fits(size) and not self._room.wait_for(lambda: self._fits(size), timeout_s):
                return False
            self._count, self._bytes = self._count + 1, self._bytes + size
            return True

    async def enter_async(self, size: int, timeout_s: float) -> bool:
        """enter() for a coroutine."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not self.try_enter(size):
            if loop.time() >= deadline:
                return False
            left = asyncio.Event()

            def wake(event: asyncio.Event = left) -> None:
                try:
                    loop.call_soon_threadsafe(event.set)
                except RuntimeError:
                    pass  # the loop is closed: nobody waits

            self.when_left(wake)
            try:
                await asyncio.wait_for(left.wait(), max(0.0, deadline - loop.time()))
            except asyncio.TimeoutError:
                pass
        return True

    def leave(self, size: int) -> None:
        with self._room:
            self._count, self._bytes = self._count - 1, self._bytes - size
            self._room.notify()
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    def when_left(self, waiter: Callable[[], None]) -> None:
        """Calls it once, when something leaves."""
        with self._room:
            if self._count:
                self._waiters.append(waiter)
                return
        waiter()
