"""Asking file systems for their size, some of which may never answer."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, TypeAlias

ANSWER_SECONDS: Final = 1.0  # so long is waited for one file system
NEXT_SECONDS: Final = 0.05  # a call that takes longer has its thread for itself: another goes on with the rest
THREADS: Final = 32

Size: TypeAlias = tuple[int, int]
"""Bytes in all, and bytes used."""


def size_of(point: str) -> Size:
    """Raises OSError. May hang for good."""
    found = os.statvfs(point.encode("utf-8", "surrogateescape"))  # as it was read, whatever the locale has
    return found.f_blocks * found.f_frsize, (found.f_blocks - found.f_bfree) * found.f_frsize


class Prober:
    """Calls `size_of` in threads: one for all that answer, one of its own for each that does not.

    A call that hangs is not repeated; there are never more threads than `threads`. The last one of them calls only
    what has answered before, so that many dead mounts do not take the living ones with them.
    """

    def __init__(self, size_of: Callable[[str], Size] = size_of, threads: int = THREADS) -> None:
        self._size_of = size_of
        self._threads = threads
        self._changed = threading.Condition()  # guards all that follows
        self._calls: dict[str, float] = {}  # what is being called -> since when
        self._healthy: set[str] = set()  # what has answered in time when it was last called
        self._running = 0

    def ask(self, points: Iterable[str]) -> dict[str, Size | None]:
        """The size of each; None for one that has none to tell, or does not tell it in time.

        Returns at the latest ANSWER_SECONDS after the last call began. For one caller at a time.
        """
        asked = list(points)
        with self._changed:
            self._healthy.intersection_update(asked)
            free = [point for point in asked if point not in self._calls]
            # Those that are sure to answer come first, or they would wait for the others' threads.
            batch = _Batch(sorted(free, key=lambda point: point not in self._healthy))
            while (patience := self._advance(batch)) > 0:
                self._changed.wait(patience)
            self._healthy.difference_update(batch.late)
            batch.waiting.clear()  # a thread that comes back late finds nothing more to do
        return {point: batch.answers.get(point) for point in asked}

    def _advance(self, batch: "_Batch") -> float:
        """Do what time has come for; how long to wait for an answer then, 0 if there is none to wait for."""
        now = monotonic()
        for point in [point for point in batch.called if now - self._calls[point] >= ANSWER_SECONDS]:
            batch.called.discard(point)
            batch.late.add(point)
        ages = [now - self._calls[point] for point in batch.called]
        # Does any thread move on? If not, it takes one more.
        stuck = batch.waiting and all(age >= NEXT_SECONDS for age in ages)
        if stuck and self._running < self._most(batch) and self._begin(batch):
            return NEXT_SECONDS
        if not ages:
            return 0.0
        until_late = ANSWER_SECONDS - max(ages)
        until_next = NEXT_SECONDS - min(ages)
        return max(0.001, min(until_late, until_next) if batch.waiting and until_next > 0 else until_late)

    def _begin(self, batch: "_Batch") -> bool:
        """Have one more thread; False where the system has none."""
        point = self._next(batch)
        try:
            threading.Thread(target=self._work, args=(batch, point), daemon=True, name="statvfs").start()
        except RuntimeError:
            del self._calls[point]
            batch.called.discard(point)
            batch.waiting.appendleft(point)
            return False
        self._running += 1
        return True

    def _most(self, batch: "_Batch") -> int:
        """How many threads there may be, if the next point of the batch is called."""
        return self._threads if batch.waiting[0] in self._healthy else self._threads - 1

    def _next(self, batch: "_Batch") -> str:
        point = batch.waiting.popleft()
        batch.called.add(point)
        self._calls[point] = monotonic()
        return point

    def _work(self, batch: "_Batch", point: str) -> None:
        """One thread: this call, and then what waits still."""
        while True:
            try:
                size = self._size_of(point)
            except OSError:  # not ours to see, or gone
                size = None
            with self._changed:
                del self._calls[point]
                if point in batch.called:  # in time
                    batch.called.discard(point)
                    batch.answers[point] = size
                    self._healthy.add(point)
                if not batch.waiting or self._running > self._most(batch):
                    self._running -= 1
                    self._changed.notify()
                    return
                point = self._next(batch)


class _Batch:
    """What is asked for once: `waiting` for a thread, `called` and not answered yet, `late` ones, and answers."""

    def __init__(self, points: Iterable[str]) -> None:
        self.waiting = deque(points)
        self.called: set[str] = set()
        self.late: set[str] = set()
        self.answers: dict[str, Size | None] = {}
