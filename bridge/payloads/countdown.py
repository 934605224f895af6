"""When a session that nobody uses ends: time in, events out, no I/O (docs/internal-bus.md, "session-control").

idle      -> warning    WARNING_SECONDS are left: a Counter each second from then on
warning   -> idle       somebody is active
warning   -> over       nothing is left: Logout
over      -> ended      GRACE_SECONDS later: End
"""

from math import ceil
from typing import Final, TypeAlias

import msgspec

WARNING_SECONDS: Final = 30
GRACE_SECONDS: Final = 10.0

_EARLY: Final = 0.001  # seconds by which a timer may come before its time, or a sum of floats be off


class Counter(msgspec.Struct, frozen=True):
    """So many seconds are left."""

    seconds: int


class Logout(msgspec.Struct, frozen=True):
    """No time is left: the front end is to log out."""


class End(msgspec.Struct, frozen=True):
    """The front end has had its time to log out."""


Event: TypeAlias = Counter | Logout | End


class Countdown:
    """Counts down `timeout` seconds from `now`, in seconds of any clock that never goes back."""

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._zero = now + timeout
        self._told = WARNING_SECONDS + 1  # the counter that was told last
        self._end: float | None = None  # known once it is over
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether Logout was told."""
        return self._end is not None

    def active(self, now: float) -> None:
        """Somebody does something: it starts afresh, unless it is over."""
        if not self.over:
            self._zero = now + self._timeout
            self._told = WARNING_SECONDS + 1

    @property
    def due(self) -> float | None:
        """When `advance` has something to tell, as far as is known now; None: never again."""
        if self._ended:
            return None
        return self._zero - (self._told - 1) if self._end is None else self._end

    def advance(self, now: float) -> list[Event]:
        """What has come about by now. Of counters that were slept through only the last is told."""
        if self._ended:
            return []
        if self._end is not None:
            if now < self._end - _EARLY:
                return []
            self._ended = True
            return [End()]
        left = max(0, ceil(self._zero - now - _EARLY))
        if left >= self._told:
            return []
        self._told = left
        if left:
            return [Counter(left)]
        self._end = now + GRACE_SECONDS
        return [Logout()]
