"""When samples are due: times in, decisions out, no clock.

Sample k is due k intervals after the first, by the monotonic clock, however late others were. What the front end is
told of the wall clock (`timestamp`) goes along in whole intervals; where it no longer can, `broken` is set, and the
timeline has to be told anew.
"""

from typing import Final

MS: Final = 1_000_000
"""Nanoseconds."""


class Pace:
    """`interval` in milliseconds; times in nanoseconds. The first sample is due at once."""

    def __init__(self, interval: int, monotonic: int, wall: int) -> None:
        self._interval = interval * MS
        self._start = monotonic
        self._ahead = wall - monotonic  # of the wall clock, as the front end knows it
        self._count = 0
        self.broken = True
        """Whether the timeline must be told before the next data."""

    @property
    def due(self) -> int:
        """When the next sample is due, by the monotonic clock."""
        return self._start + self._count * self._interval

    @property
    def timestamp(self) -> float:
        """The same by the wall clock, in milliseconds."""
        return (self._start + self._ahead) // MS + self._count * (self._interval / MS)

    def take(self, monotonic: int, wall: int) -> bool:
        """It is time. Whether the sample is to be taken: not one that is late by an interval or more."""
        if monotonic - self.due >= self._interval:
            self.skip(monotonic)
            return False
        ahead = wall - monotonic
        if abs(ahead - self._ahead) > self._interval // 2:  # the clock was set, or the machine slept
            self._ahead = ahead
            self.broken = True
        return True

    def told(self) -> None:
        """The front end knows the timeline."""
        self.broken = False

    def taken(self, monotonic: int) -> None:
        """The sample that was due is on its way; what fell due meanwhile is skipped."""
        self._count += 1
        self.skip(monotonic)

    def skip(self, until: int) -> None:
        """No sample before `until`."""
        if until > self.due:
            self._count += -((self.due - until) // self._interval)
            self.broken = True
