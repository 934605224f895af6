"""Writing once a turn: which links have something new to write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .link import Link


class Flusher:
    """Remembers which links have something new to write, and has them write once a turn."""

    __slots__ = ("_dirty", "_loop", "_turn")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dirty: list[Link] = []
        self._turn = False  # whether a flush is certain to come at the end of this turn

    def add(self, link: Link) -> None:
        self._dirty.append(link)
        if not self._turn:
            self._turn = True
            self._loop.call_soon(self.flush)

    def begin(self) -> None:
        """A turn begins whose end calls `flush` by itself; saves a round of the event loop for each chunk."""
        self._turn = True

    def flush(self) -> None:
        self._turn = False
        while self._dirty:
            dirty, self._dirty = self._dirty, []
            for link in dirty:
                link.flush()
