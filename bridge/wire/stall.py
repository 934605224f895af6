"""A frame that was begun has to go on: whoever announces one and falls silent is not waited for without end."""

import asyncio
from collections.abc import Callable
from typing import Any

from spanbridge.protocol.splitter import Splitter

from .deadline import Deadline


class Stall:
    """Calls `on_stall` when a frame has been unfinished for `seconds` and nothing more of it has come.

    `paused` tells whether nothing can have come, since nothing was read. A timer runs only while a frame is
    unfinished, one for as long as frames follow one another closely.
    """

    __slots__ = ("_deadline", "_on_stall", "_paused", "_seconds", "_seen", "_splitter")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        splitter: Splitter[Any],
        seconds: float,
        *,
        paused: Callable[[], bool],
        on_stall: Callable[[], None],
    ) -> None:
        self._splitter = splitter
        self._seconds = seconds
        self._paused = paused
        self._on_stall = on_stall
        self._seen = 0  # bytes of the stream when the timer was set
        self._deadline = Deadline(loop, self._check)

    def watch(self) -> None:
        """A frame is unfinished."""
        if not self._deadline.runs:
            self._seen = self._splitter.seen
            self._deadline.begin(self._seconds)

    def end(self) -> None:
        """Nothing more is read."""
        self._deadline.end()

    def _check(self) -> None:
        if not self._splitter.unended:
            return
        if self._paused() or self._splitter.seen != self._seen:
            self.watch()
        else:
            self._on_stall()
