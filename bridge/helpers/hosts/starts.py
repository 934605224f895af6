"""How many connections may be coming up at once: the others wait in order."""

import asyncio
from collections import deque


class Place:
    """One of a bounded number. `free` gives it back, once."""

    __slots__ = ("_starts", "_timer")

    def __init__(self, starts: "Starts", loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._starts: Starts | None = starts
        self._timer = loop.call_later(seconds, self.free)

    def free(self) -> None:
        self._timer.cancel()
        starts, self._starts = self._starts, None
        if starts is not None:
            starts.freed()


class Starts:
    """At most `limit` places are taken, and one in each turn of the loop: a start takes milliseconds of it. One that
    still comes up after `seconds` gives up its place: a dead host must not hold up those that live."""

    __slots__ = ("_left", "_loop", "_seconds", "_taken_now", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
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
        return Place(self, self._loop, self._seconds)

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
