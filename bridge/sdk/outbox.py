"""What waits to be written to the bridge."""

from collections.abc import Callable

import anyio

from .errors import BridgeGone
from .wire import Wire


class Outbox:
    """Frames, written in the order in which they were put, many with one write."""

    def __init__(self, wire: Wire, limit: int) -> None:
        self._wire = wire
        self._limit = limit
        self._line = anyio.Lock()  # whoever waits for room, in order: it is fair
        self._frames: list[bytes] = []
        self._news = anyio.Event()
        self._written = anyio.Event()
        self.size = 0  # bytes, those that are being written among them
        self.broken = False

    async def put(self, frame: bytes, check: Callable[[], object]) -> None:
        """Waits while too much waits already. Does not yield otherwise. Raises BridgeGone, and what `check` raises: it
        is called after a wait, in which what the frame is of may have ended."""
        if self.size < self._limit and not self._line.locked():
            self.put_now(frame)
            return
        async with self._line:
            await self.wait_below(self._limit)
            check()
            self.put_now(frame)

    def put_now(self, frame: bytes) -> None:
        """Without waiting; for what there is only a bounded amount of. Raises BridgeGone."""
        if self.broken:
            raise BridgeGone
        self._frames.append(frame)
        self.size += len(frame)
        self._news.set()

    async def wait_below(self, nbytes: int) -> None:
        """Wait until less than `nbytes` wait, or nobody reads any more."""
        while self.size >= nbytes and not self.broken:
            await self._written.wait()

    async def run(self) -> None:
        """Write until cancelled. Raises BridgeGone."""
        try:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                frames, self._frames = self._frames, []
                data = frames[0] if len(frames) == 1 else b"".join(frames)
                await self._wire.write(data)
                self.size -= len(data)
                self._tell()
        finally:
            self.broken = True
            self._tell()

    def _tell(self) -> None:
        written, self._written = self._written, anyio.Event()
        written.set()
