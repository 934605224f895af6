"""While what a channel takes waits in a pipe of ours, the front end is not read for a moment.

What is read into memory instead is copied twice more, and most that take are faster than that. One that is not holds up
nobody else for longer: then what comes waits in memory, within the bounds of all channels (`Backlog`), until it has
become fast again.
"""

import asyncio
from typing import Final

from ...wire.context import Context
from ..front_end import FrontEnd

_SECONDS: Final = 0.02
_MOMENTS: Final = 3  # one after another, while it is fast
_FAST_BYTES: Final = 1 << 20  # taken in a moment: from here on it is


class Moment:
    """Of one channel: `full`, `room` and `taken` are for its Writer (`on_full`, `on_room`, `on_taken`)."""

    __slots__ = ("_front", "_full", "_left", "_loop", "_since", "_taken", "_timer")

    def __init__(self, context: Context, front: FrontEnd) -> None:
        self._loop = context.loop
        self._front = front
        self._full = False
        self._timer: asyncio.TimerHandle | None = None  # runs while the front end is not read
        self._left = 0
        self._since = 0.0  # loop time from which on `_taken` is counted
        self._taken = 0

    def full(self) -> None:
        self._full = True
        if self._timer is None:
            self._front.block(self)
            self._left = _MOMENTS
            self._begin()

    def _begin(self) -> None:
        self._taken = 0
        self._timer = self._loop.call_later(_SECONDS, self._over)

    def _over(self) -> None:
        self._left -= 1
        if self._left and self._taken >= _FAST_BYTES:
            self._begin()
        else:
            self._read_on()

    def _read_on(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._front.unblock(self)
        self._taken = 0
        self._since = self._loop.time()

    def taken(self, nbytes: int) -> None:
        self._taken += nbytes
        if self._timer is None and self._full and self._taken >= _FAST_BYTES:
            now = self._loop.time()
            if now - self._since <= _SECONDS:
                self.full()
            else:
                self._taken = 0
                self._since = now

    def room(self) -> None:
        """Harmless where it is over."""
        self._full = False
        self._read_on()
