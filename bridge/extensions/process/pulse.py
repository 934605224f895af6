"""Whether a process lives: it is asked while it has something to do, and once after that. An idle one costs nothing."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from ...limits import Limits


class Watched(Protocol):
    """The process, as far as it is looked at here."""

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""

    @property
    def asked(self) -> int:
        """How many requests it was handed."""


class Pulse:
    """Begins with `soon`, ends with `end`."""

    __slots__ = ("_asked", "_limits", "_loop", "_number", "_ping", "_silent", "_timer", "_waits", "_watched")

    def __init__(
        self,
        watched: Watched,
        limits: Limits,
        ping: Callable[[int], None],
        waits: Callable[[], bool],
        silent: Callable[[], None],
    ) -> None:
        """`ping`: sends one. `waits`: whether it is we who keep it waiting. `silent`: it did not answer in time."""
        self._watched = watched
        self._limits = limits
        self._ping = ping
        self._waits = waits
        self._silent = silent
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._asked = 0  # requests, when it was pinged last
        self._timer: asyncio.TimerHandle | None = None

    @property
    def beats(self) -> bool:
        """Whether it is being watched."""
        return self._timer is not None

    def soon(self) -> None:
        """Ping it in a while."""
        self._timer = self._loop.call_later(self._limits.extension_ping_seconds, self.now)

    def now(self) -> None:
        """Ping it."""
        self.end()
        self._number += 1
        self._asked = self._watched.asked
        self._ping(self._number)
        self._wait()

    def answered(self, number: int) -> None:
        """It has answered the ping of that number."""
        if number != self._number or self._timer is None:
            return
        self.end()
        if not self._watched.idle or self._watched.asked != self._asked:
            self.soon()

    def end(self) -> None:
        """Watch it no more, until `soon` or `now`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = self._loop.call_later(self._limits.extension_pong_seconds, self._late)

    def _late(self) -> None:
        if self._waits():
            self._wait()
        else:
            self._silent()
