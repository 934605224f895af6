"""Turns: work that takes long lets others go on in between."""

from collections.abc import Callable
from typing import Final

import anyio.lowlevel

TURN_SECONDS: Final = 0.02
"""How long one goes on before others have theirs."""


class Turn:
    """One from now on, by the clock `time`."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._until = time() + TURN_SECONDS

    async def pause(self) -> None:
        """Once it has been long enough, let others go on, and begin another."""
        if self._time() > self._until:
            await anyio.lowlevel.checkpoint()
            self._until = self._time() + TURN_SECONDS
