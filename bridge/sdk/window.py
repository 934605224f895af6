"""The agreement of a channel that was opened with `flow-control`: a ping every so many bytes, and a pong for each."""

from typing import Any

import anyio

BLOCK_BYTES = 16 << 10
"""A ping goes out whenever so many bytes more were sent; its `sequence` is the number of bytes so far."""


class Window:
    """Counts what was sent on one channel, and what of it the front end has said it has."""

    __slots__ = ("_acknowledged", "_news", "_sent", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._sent = 0
        self._acknowledged = 0
        self._news: anyio.Event | None = None

    @property
    def open(self) -> bool:
        return self._sent < self._acknowledged + self._size

    def sent(self, nbytes: int) -> int | None:
        """So many bytes more; the `sequence` of the ping that is due, if one is."""
        before = self._sent // BLOCK_BYTES
        self._sent += nbytes
        return self._sent if self._sent // BLOCK_BYTES > before else None

    def pong(self, sequence: Any) -> None:
        """What is no number, or one of bytes that were never sent, moves nothing."""
        if isinstance(sequence, int) and self._acknowledged < sequence <= self._sent:
            self._acknowledged = sequence
            self.wake()

    def wake(self) -> None:
        if self._news is not None:
            self._news.set()

    async def wait(self) -> None:
        """Wait until it is worth looking again."""
        if self._news is None or self._news.is_set():
            self._news = anyio.Event()
        await self._news.wait()
