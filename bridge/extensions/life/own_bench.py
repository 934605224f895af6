"""The bench of one extension: its thread and databases, opened when they are asked for, once, and closed at its end."""

import asyncio
from collections.abc import Collection

from ..process.launcher import CannotStart
from .parts import Bench, Parts


class OwnBench:
    """`open` gives it, until `remove`."""

    def __init__(self, name: str, parts: Parts, before: Collection[asyncio.Task[None]]) -> None:
        """`before`: the ends of those of its name that were removed. It opens nothing until they are over."""
        self._name = name
        self._parts = parts
        self._before = before
        self._bench: Bench | None = None
        self._opening: asyncio.Task[Bench] | None = None
        self._removed = False

    @property
    def now(self) -> Bench | None:
        """The bench, once there is one."""
        return self._bench

    def remove(self) -> None:
        """Open nothing any more; what is open stays so until `finish`."""
        self._removed = True

    async def open(self) -> Bench:
        """The bench, opened if there is none. Raises CannotStart, OSError."""
        if self._removed:
            raise CannotStart("it was removed")
        if self._bench is not None:
            return self._bench
        opening = self._opening
        if opening is None:
            opening = self._opening = asyncio.get_running_loop().create_task(self._open())
            opening.add_done_callback(self._opened)
        await asyncio.wait([opening])  # who waits may leave; what is opened meanwhile is kept
        return opening.result()

    async def _open(self) -> Bench:
        if self._before:
            await asyncio.wait(self._before)
            self._before = ()
        if self._removed:  # since it began to wait
            raise CannotStart("it was removed")
        self._bench = await asyncio.to_thread(self._parts.open_desk, self._name)
        return self._bench

    def _opened(self, task: "asyncio.Task[Bench]") -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # those who waited have been told

    async def finish(self) -> None:
        """Close it once no process is left that calls it."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
        bench, self._bench = self._bench, None
        if bench is not None:
            await asyncio.to_thread(bench.desk.close)

    def close(self) -> None:
        """At the end of the host. Blocks for a moment."""
        if self._bench is not None:
            self._bench.desk.close()
            self._bench = None
