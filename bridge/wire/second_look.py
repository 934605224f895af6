"""A time limit that looks at the descriptors once more before it judges.

After a pause of the whole process (a stopped process, a frozen container, a suspended machine) all timers are due at
once, and what came meanwhile has not been looked at. Nothing that was on time may be judged late.
"""

import asyncio
from collections.abc import Callable


class SecondLook:
    """Calls `judge` when its time is up and every descriptor has been looked at since."""

    __slots__ = ("_handle", "_judge", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, judge: Callable[[], None]) -> None:
        self._loop = loop
        self._judge = judge
        self._handle: asyncio.Handle | None = None

    @property
    def running(self) -> bool:
        return self._handle is not None

    def start(self, seconds: float) -> None:
        """Judge in so many seconds, and not before, whatever was said earlier."""
        self.cancel()
        self._handle = self._loop.call_later(seconds, self._look)

    def cancel(self) -> None:
        """Harmless where nothing runs."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        self._handle = self._loop.call_soon(self._due)  # the selector is asked before that

    def _due(self) -> None:
        self._handle = None
        self._judge()
