"""The window of a channel that was opened with `flow-control`, and waiting for it to open (protocol/flow.py)."""

from typing import Any

import anyio

from spanbridge.protocol import flow


class Window:
    """What was sent on one channel, and what of it the front end has said it has."""

    __slots__ = ("_flow", "_news")

    def __init__(self, size: int) -> None:
        self._flow = flow.Window(size)
        self._news: anyio.Event | None = None

    @property
    def open(self) -> bool:
        return self._flow.takes(1)

    def sent(self, nbytes: int) -> int | None:
        """So many bytes more; the `sequence` of the ping that is due, if one is."""
        return self._flow.sent(nbytes)

    def pong(self, sequence: Any) -> None:
        """What is no number, or one of bytes that were never sent, moves nothing."""
        if self._flow.pong(sequence):
            self.wake()

    def wake(self) -> None:
        if self._news is not None:
            self._news.set()

    async def wait(self) -> None:
        """Wait until it is worth looking again."""
        if self._news is None or self._news.is_set():
            self._news = anyio.Event()
        await self._news.wait()
