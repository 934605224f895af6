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

    __slots__ = ("_on_move", "_waited_for", "state")

    def __init__(self, on_move: Callable[[str, str, str], None]) -> None:
        self.state = QUEUED
        self._on_move = on_move
        self._waited_for: dict[str, asyncio.Event] = {}  # made when somebody does: an event takes 0.8 KiB

    def move(self, event: str) -> None:
        """A state and an event without an entry in the table are a mistake: KeyError."""
        before, self.state = self.state, TRANSITIONS[self.state, event]
        for state in [state for state in self._waited_for if self._has_come_to(state)]:
            self._waited_for.pop(state).set()
        self._on_move(event, before, self.state)

    async def reached(self, state: str) -> None:
        """Wait until it has come to `state`, or past it."""
        if not self._has_come_to(state):
            await self._waited_for.setdefault(state, asyncio.Event()).wait()

    def _has_come_to(self, state: str) -> bool:
        return _ORDER.index(self.state) >= _ORDER.index(state)
