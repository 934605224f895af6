"""How much waits for the handlers, and when stdin is read no more for it.

One pipe carries all channels. A handler that is slow to take what is for its channel holds up, once `channel_bytes` of
it wait, everything that comes after it, for the other channels too: the pipe fills, then the bridge's queue, then the
front end has to wait. Nothing is dropped. Reading goes on when half of it has been taken, or the channel is over.
"""

from collections.abc import Callable

import anyio

from .limits import HelperLimits

ITEM_BYTES = 64
"""What an item counts besides its payload, so that empty ones have a bound too."""


class Intake:
    """Counts for all inboxes of a helper. `on_stop` is called whenever reading stops."""

    __slots__ = ("_full", "_limits", "_on_stop", "_resume_at", "_resumed", "_total", "stopped")

    def __init__(self, limits: HelperLimits, on_stop: Callable[[], None]) -> None:
        self._limits = limits
        self._on_stop = on_stop
        self._full = 0  # channels above their limit, not yet below half of it
        self._total = 0
        self._resume_at = 0
        self._resumed = anyio.Event()
        self.stopped = False

    def put(self, nbytes: int) -> None:
        self._total += nbytes

    def taken(self, nbytes: int) -> None:
        self._total -= nbytes
        if self.stopped:
            self._look()

    def filled(self) -> None:
        """A channel has come to its limit."""
        self._full += 1

    def emptied(self) -> None:
        """A channel that was full is no more."""
        self._full -= 1
        if self.stopped:
            self._look()

    def _look(self) -> None:
        if not self._full and self._total <= self._resume_at:
            self.stopped = False
            self._resumed.set()

    async def wait_room(self) -> None:
        """Wait until more may be read; at once where it may be now."""
        limit = self._limits.intake_bytes
        if not self._full and self._total < limit:
            return
        self._resume_at = limit // 2 if self._total >= limit else limit
        self.stopped = True
        self._resumed = anyio.Event()
        self._on_stop()
        await self._resumed.wait()
