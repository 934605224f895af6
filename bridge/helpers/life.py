"""The states of one helper, and what leads from one to the next.

queued    there is no room for one more process yet; another helper is on its way out
starting  the process runs, or is about to, and has not sent its `init`
ready     it has; opens are handed to it
ending    it is to go: nothing more is handed to it, its stdin is closed, signals follow
gone      reaped
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

QUEUED: Final = "queued"
STARTING: Final = "starting"
READY: Final = "ready"
ENDING: Final = "ending"
GONE: Final = "gone"

TRANSITIONS: Final[Mapping[tuple[str, str], str]] = {
    (QUEUED, "room"): STARTING,
    (QUEUED, "end"): ENDING,
    (STARTING, "init"): READY,
    (STARTING, "end"): ENDING,
    (READY, "end"): ENDING,
    (ENDING, "reaped"): GONE,
}

_ORDER: Final = (QUEUED, STARTING, READY, ENDING, GONE)


class Life:
    """Where one helper stands. `on_move(event, before, after)` is told of each step."""

    __slots__ = ("_on_move", "_reached", "state")

    def __init__(self, on_move: Callable[[str, str, str], None]) -> None:
        self.state = QUEUED
        self._on_move = on_move
        self._reached = {state: asyncio.Event() for state in _ORDER[1:]}

    def move(self, event: str) -> None:
        """A state and an event without an entry in the table are a mistake: KeyError."""
        before, self.state = self.state, TRANSITIONS[self.state, event]
        for state in _ORDER[1 : _ORDER.index(self.state) + 1]:
            self._reached[state].set()
        self._on_move(event, before, self.state)

    async def reached(self, state: str) -> None:
        """Wait until it has come to `state`, or past it."""
        await self._reached[state].wait()
