"""How many connections may be coming up at once: the others wait in order."""

import asyncio
from collections import deque
from typing import Final

_PLACE_SECONDS: Final = 1.0
"""After that one that comes up still gives up its place: a dead host must not hold up those that live."""


class Place:
    """One of a bounded number. `free` gives it back, once."""

    __slots__ = ("_starts", "_timer")

    def __init__(self, starts: "Starts", loop: asyncio.AbstractEventLoop) -> None:
        self._starts: Starts | None = starts
        self._timer = loop.call_later(_PLACE_SECONDS, self.free)

    def free(self) -> None:
        self._timer.cancel()
        starts, self._starts = self._starts, None
        if starts is not None:
            starts.freed()


class Starts:
    """At most `limit` places are taken, and one in each turn of the loop: a start takes milliseconds of it."""

    __slots__ = ("_left", "_loop", "_taken_now", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._loop = loop
        self._left = limit
        self._taken_now = False  # one was taken in this turn
        self._waiting: deque[asyncio.Event] = deque()

    async def place(self) -> Place:
        """Wait for one."""
        if self._waiting or not self._may_take:
            turn = asyncio.Event()
            self._waiting.append(turn)
            try:
                await turn.wait()
            except asyncio.CancelledError:
                if turn.is_set():  # it had come just now
                    self.freed()
                else:
                    self._waiting.remove(turn)
                raise
        else:
            self._take()
        return Place(self, self._loop)

    def freed(self) -> None:
        """A place is free: the one who has waited longest has it."""
        self._left += 1
        self._let_in()

    @property
    def _may_take(self) -> bool:
        return self._left > 0 and not self._taken_now

    def _take(self) -> None:
        self._left -= 1
        self._taken_now = True
        self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._taken_now = False
        self._let_in()

    def _let_in(self) -> None:
        if self._waiting and self._may_take:
            self._take()
            self._waiting.popleft().set()
