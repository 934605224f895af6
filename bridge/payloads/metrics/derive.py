"""From what was measured twice to a rate or a difference."""

from typing import Final

from .values import Measured, Taken, Value

RATE: Final = "rate"
DELTA: Final = "delta"


def derive(how: str | None, taken: Taken, before: Taken | None, *, counter: bool) -> Measured:
    """What is sent of `taken`: itself, or for RATE and DELTA how it differs from `before`, by instance.

    RATE is for each second between the two readings. A value that has no earlier one is False, and so is that of a
    `counter` that went backwards: it began anew.
    """
    if how is None:
        return taken.measured
    seconds = None if how == DELTA else taken.moment - before.moment if before is not None else 0.0
    earlier = before.measured if before is not None else False
    measured = taken.measured
    if isinstance(measured, dict):
        known = earlier if isinstance(earlier, dict) else {}
        return {name: _difference(value, known.get(name, False), seconds, counter) for name, value in measured.items()}
    return _difference(measured, False if isinstance(earlier, dict) else earlier, seconds, counter)


def _difference(value: Value, earlier: Value, seconds: float | None, counter: bool) -> Value:
    """`seconds`: None for a difference as it is."""
    if value is False or earlier is False:
        return False
    change = value - earlier
    if counter and change < 0:
        return False
    if seconds is None:
        return change
    return change / seconds if seconds > 0 else False
