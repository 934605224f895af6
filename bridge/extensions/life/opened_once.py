"""What one extension opens when it is first asked for, and closes at its end: its thread, with the databases."""

import asyncio
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from ..process.launcher import CannotStart

T = TypeVar("T")


class OpenedOnce(Generic[T]):
    """`open` gives it, until `remove`."""

    def __init__(
        self, opens: Callable[[], T], closes: Callable[[T], None], before: Collection[asyncio.Task[None]]
    ) -> None:
        """`opens`, `closes`: both block. `before`: ends of those that were removed; until then it opens nothing."""
        self._opens = opens
        self._closes = closes
        self._before = before
        self._opened: T | None = None
        self._opening: asyncio.Task[T] | None = None
        self._removed = False

    @property
    def now(self) -> T | None:
        """What is open; None: nothing is as yet."""
        return self._opened

    def remove(self) -> None:
        """Open nothing any more; what is open stays so until `finish`."""
        self._removed = True

    async def open(self) -> T:
        """It, opened if it is not yet. Raises CannotStart, and what `opens` raises."""
        if self._removed:
            raise CannotStart("it was removed")
        if self._opened is not None:
            return self._opened
        opening = self._opening
        if opening is None:
            opening = self._opening = asyncio.get_running_loop().create_task(self._open())
            opening.add_done_callback(self._settled)
        await asyncio.wait([opening])  # who waits may leave; what is opened meanwhile is kept
        return opening.result()

    async def _open(self) -> T:
        if self._before:
            await asyncio.wait(self._before)
            self._before = ()
        if self._removed:  # since it began to wait
            raise CannotStart("it was removed")
        self._opened = await asyncio.to_thread(self._opens)
        return self._opened

    def _settled(self, task: "asyncio.Task[T]") -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # those who waited have been told

    async def finish(self) -> None:
        """Close it: nobody uses it any more."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
        opened, self._opened = self._opened, None
        if opened is not None:
            await asyncio.to_thread(self._closes, opened)

    def close(self) -> None:
        """At the end of the host. Blocks for a moment."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self._closes(opened)
