"""A frame that was begun has to go on: whoever announces one and falls silent is not waited for without end."""

import asyncio
from collections.abc import Callable
from typing import Any

from spanbridge.protocol.splitter import Splitter

from .deadline import Deadline


class Stall:
    """Calls `on_stall` when a frame has been unfinished for `seconds` and nothing more of it has come.

    `read_since` tells since which loop time it is read without a pause, for only then can anything have come; None: it
    is not read now. A timer runs only while a frame is unfinished, one for as long as they follow one another closely.
    """

    __slots__ = ("_deadline", "_loop", "_on_stall", "_read_since", "_seconds", "_seen", "_splitter")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        splitter: Splitter[Any],
        seconds: float,
        *,
        read_since: Callable[[], float | None],
        on_stall: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._splitter = splitter
        self._seconds = seconds
        self._read_since = read_since
        self._on_stall = on_stall
        self._seen = 0  # bytes of the stream when the timer was set
        self._deadline = Deadline(loop, self._check)

    def watch(self) -> None:
        """A frame is unfinished."""
        if not self._deadline.runs:
            self._begin(self._seconds)

    def end(self) -> None:
        """Nothing more is read."""
        self._deadline.end()

    def _check(self) -> None:
        if not self._splitter.unended:
            return
        now, since = self._loop.time(), self._read_since()
        if since is None or self._splitter.seen != self._seen:
            self._begin(self._seconds)
        elif since + self._seconds > now:  # it is read again only since then: what it had to say may lie there still
            self._begin(since + self._seconds - now)
        else:
            self._on_stall()

    def _begin(self, seconds: float) -> None:
        self._seen = self._splitter.seen
        self._deadline.begin(seconds)
