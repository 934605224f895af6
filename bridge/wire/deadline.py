"""A limit of time, before whose verdict the descriptors are looked at once more.

After a pause of the whole process (SIGSTOP, a frozen container, suspend) timers are due before anything was read that
came in time. So the verdict is given one turn of the event loop after the timer: what lies there has been read by then.
"""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `on_over` so many seconds after `begin`, unless `end` came before."""

    __slots__ = ("_handle", "_loop", "_on_over")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_over: Callable[[], None]) -> None:
        self._loop = loop
        self._on_over = on_over
        self._handle: asyncio.Handle | None = None

    def begin(self, seconds: float) -> None:
        """Count from now on, whatever was counted before."""
        self.end()
        self._handle = self._loop.call_later(seconds, self._look)

    def end(self) -> None:
        """Count no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def runs(self) -> bool:
        return self._handle is not None

    def _look(self) -> None:
        self._handle = self._loop.call_soon(self._over)

    def _over(self) -> None:
        self._handle = None
        self._on_over()
