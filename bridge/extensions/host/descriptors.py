"""The two descriptors of a session, which its relay has handed over: a wire as the SDK has it, and quicker."""

import asyncio
import os

from spanbridge.sdk.errors import BridgeGone


class Descriptors:
    """Stays registered with the event loop from one read to the next; for pipes and sockets that do not block.

    `close` must follow; the descriptors stay the caller's.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._registered = False
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    async def read(self, most: int) -> bytes:
        while True:
            try:
                return os.read(self._source, most)
            except BlockingIOError:
                await self._wait_readable()
            except ConnectionResetError:
                return b""

    async def _wait_readable(self) -> None:
        if not self._registered:
            self._loop.add_reader(self._source, self._wake)
            self._registered = True
        self._readable = self._loop.create_future()
        await self._readable

    def _wake(self) -> None:
        if self._readable is not None and not self._readable.done():
            self._readable.set_result(None)
        else:  # nobody wants it now
            self._loop.remove_reader(self._source)
            self._registered = False

    async def write(self, data: bytes) -> None:
        """Raises BridgeGone."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._sink, left) :]
            except BlockingIOError:
                await self._wait_writable()
            except (BrokenPipeError, ConnectionResetError):
                raise BridgeGone from None

    async def _wait_writable(self) -> None:
        waiting = self._writable = self._loop.create_future()
        self._loop.add_writer(self._sink, self._wake_writer)
        try:
            await waiting
        finally:
            self._loop.remove_writer(self._sink)

    def _wake_writer(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def close(self) -> None:
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._sink)
