"""Turns: work that takes long lets others go on in between."""

from collections.abc import Callable
from typing import Final

import anyio.lowlevel
from anyio import CancelScope
from anyio.abc import TaskGroup

TURN_SECONDS: Final = 0.02
"""How long one goes on before others have theirs."""


class Turn:
    """One from now on, by the clock `time`. `session`: the work waits for nobody else, so that it is no use to give it
    up (lanes.py) before all that the session has begun is."""

    def __init__(self, time: Callable[[], float], session: TaskGroup | None = None) -> None:
        self._time = time
        self._session = session
        self._until = time() + TURN_SECONDS

    async def pause(self) -> None:
        """Once it has been long enough, let others go on, and begin another."""
        if self._time() > self._until:
            with CancelScope(shield=self._session is not None and not self._session.cancel_scope.cancel_called):
                await anyio.lowlevel.checkpoint()
            self._until = self._time() + TURN_SECONDS
