"""How long a wait may take before the test is given up. A guard: no test passes or fails by the clock."""

import os
import time
from typing import Final

from .tracebacks import HIDE

__tracebackhide__ = HIDE

SECONDS: Final = float(os.environ.get("SPANBRIDGE_TEST_SECONDS", "20"))


class Hang(AssertionError):
    """What was waited for has not come."""


class Deadline:
    """A point in time, `seconds` from now."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float = SECONDS) -> None:
        self._at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, 0 at least."""
        return max(0.0, self._at - time.monotonic())

    @property
    def left_ms(self) -> int:
        """The same in milliseconds, as poll(2) takes it, rounded up."""
        return int(self.left * 1000 + 0.999)
