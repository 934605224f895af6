"""Writing once a turn: who has something new to write."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol


class Flushed(Protocol):
    """Whoever writes once a turn."""

    def flush(self) -> None:
        """Write what is new."""


class Flusher:
    """Remembers who has something new to write, and has each write once a turn."""

    __slots__ = ("_dirty", "_later", "_loop", "_turn")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dirty: list[Flushed] = []
        self._later: list[Callable[[], object]] = []
        self._turn = False  # whether a flush is certain to come at the end of this turn

    def add(self, writer: Flushed) -> None:
        self._dirty.append(writer)
        if not self._turn:
            self._turn = True
            self._loop.call_soon(self.flush)

    def later(self, call: Callable[[], object]) -> None:
        """Call it once what is new was written: what nobody waits for. It raises nothing."""
        self._later.append(call)
        if not self._turn:
            self._turn = True
            self._loop.call_soon(self.flush)

    def begin(self) -> None:
        """A turn begins whose end calls `flush` by itself; saves a round of the event loop for each chunk."""
        self._turn = True

    def turn(self, call: Callable[..., object], *args: object) -> None:
        """Call it as a turn of its own: what it has to write is written at its end. A round of the event loop for that
        costs as much as all else of a small answer."""
        self._turn = True
        try:
            call(*args)
        finally:
            self.flush()

    def flush(self) -> None:
        self._turn = False
        while self._dirty or self._later:
            dirty, self._dirty = self._dirty, []
            writers = iter(dirty)
            try:
                for writer in writers:
                    writer.flush()
            except BaseException:
                self._dirty[:0] = writers
                self._turn = True
                self._loop.call_soon(self.flush)
                raise
            if self._later:
                later, self._later = self._later, []
                call_all(self._loop, iter(later))


def call_all(loop: asyncio.AbstractEventLoop, calls: Iterator[Callable[[], object]]) -> None:
    """Call them, in order. What one of them raises is for the event loop: the others are called in the next turn."""
    try:
        for call in calls:
            call()
    except BaseException:
        loop.call_soon(call_all, loop, calls)
        raise
