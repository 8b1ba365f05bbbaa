# SPDX-License-Identifier: Apache-2.0
"""What is to be done later, by one thread."""

from __future__ import annotations

import heapq
from typing import Callable, List, Optional

_COMPACT_MIN = 1024


class Timer:
    __slots__ = ("when", "action")

    def __init__(self, when: float, action: Optional[Callable[[], None]]) -> None:
        self.when = when
        self.action = action

    def __lt__(self, other: "Timer") -> bool:
        return self.when < other.when


class Timers:
    def __init__(self) -> None:
        self._heap: List[Timer] = []
        self._cancelled = 0

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        timer = Timer(when, action)
        heapq.heappush(self._heap, timer)
        return timer

    def cancel(self, timer: Optional[Timer]) -> None:
        """Also one that is over, or none."""
        if timer is None or timer.action is None:
            return
        timer.action = None
        self._cancelled += 1
        # Calls that are answered in time leave their timers behind: they must not pile up until these are due.
        if self._cancelled > _COMPACT_MIN and self._cancelled * 2 > len(self._heap):
            self._heap = [item for item in self._heap if item.action]
            heapq.heapify(self._heap)
            self._cancelled = 0

    @property
    def next(self) -> Optional[float]:
        while self._heap and self._heap[0].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0].when if self._heap else None

    def run(self, now: float) -> None:
        while self._heap and self._heap[0].when <= now:
            timer = heapq.heappop(self._heap)
            action, timer.action = timer.action, None
            if action is None:
                self._cancelled -= 1
            else:
                action()
