"""What samplers give."""

from typing import NamedTuple, Protocol, TypeAlias

Value: TypeAlias = float | bool
"""A number; False where there is none."""

Measured: TypeAlias = Value | dict[str, Value]
"""One value, or one for each instance."""

Sample: TypeAlias = dict[str, Measured]
"""Metric -> what was measured. A metric that is not in it could not be read."""


class Taken(NamedTuple):
    """One metric as it was read."""

    moment: float  # seconds of CLOCK_BOOTTIME at which reading began
    due: float  # seconds of the monotonic clock at which the sample was due
    measured: Measured


class Sampler(Protocol):
    """Reads one subject; made once a session. Used by one thread at a time, not always the same one."""

    def sample(self, names: frozenset[str]) -> Sample:
        """Read what these metrics need. May give other metrics of the subject too, where they cost nothing."""


_MOST = 1 << 64


def whole(text: str) -> int:
    """A number as the kernel writes them. Raises ValueError for anything else."""
    number = int(text)
    if not 0 <= number < _MOST:
        raise ValueError(f"expected a number of 64 bits, found {text[:40]!r}")
    return number
