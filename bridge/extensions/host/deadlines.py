"""Requests that have so long each: one timer for all of them, since whoever came first is late first."""

import asyncio
from collections import deque
from collections.abc import Callable

Late = Callable[[], None]


class Deadline:
    """Of one request."""

    __slots__ = ("late", "when")

    def __init__(self, when: float, late: Late) -> None:
        self.when = when
        self.late: Late | None = late


class Deadlines:
    """A timer of the event loop for each request would cost as much as reading it. While none waits, there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._waiting: deque[Deadline] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, late: Late) -> Deadline:
        """`late` is called when the time is over, unless it is given to `cancel` before."""
        deadline = Deadline(self._loop.time() + self._seconds, late)
        self._waiting.append(deadline)
        if self._timer is None:
            self._timer = self._loop.call_at(deadline.when, self._over)
        return deadline

    def cancel(self, deadline: Deadline) -> None:
        """Harmless a second time."""
        deadline.late = None
        waiting = self._waiting
        while waiting and waiting[0].late is None:
            waiting.popleft()

    def _over(self) -> None:
        self._timer = None
        now = self._loop.time()
        waiting = self._waiting
        while waiting and (waiting[0].late is None or waiting[0].when <= now):
            late = waiting.popleft().late
            if late is not None:
                self._loop.call_soon(late)
        if waiting:
            self._timer = self._loop.call_at(waiting[0].when, self._over)
