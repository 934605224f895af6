"""A helper in this process, and the bridge's side of it: a wire in memory."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from spanbridge.sdk import Handler, HelperLimits, open_helper
from spanbridge.sdk.errors import BridgeGone
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import Decoder, Frame, encode, encode_control

TURNS = 500


class MemoryWire:
    """What was `fed` is read in the same pieces. What is written is in `frames`, and waits while `stuck`."""

    def __init__(self) -> None:
        self.fed: deque[bytes] = deque()
        self.frames: list[Frame] = []
        self.writes = 0
        self.ended = False
        self.stuck = False
        self.gone = False
        self._decoder = Decoder()
        self._news = anyio.Event()

    def tell(self) -> None:
        """Something has changed."""
        news, self._news = self._news, anyio.Event()
        news.set()

    async def wait(self, until: Callable[[], bool]) -> None:
        with anyio.fail_after(SECONDS):
            while not until():
                await self._news.wait()

    async def read(self, most: int) -> bytes:
        await checkpoint()
        while not self.fed:
            if self.ended:
                return b""
            await self._news.wait()
        chunk = self.fed.popleft()
        if len(chunk) > most:
            self.fed.appendleft(chunk[most:])
        self.tell()
        return chunk[:most]

    async def write(self, data: bytes) -> None:
        while self.stuck and not self.gone:
            await self._news.wait()
        await checkpoint()
        if self.gone:
            raise BridgeGone
        self.writes += 1
        self.frames += self._decoder.feed(data)
        self.tell()


class Peer:
    """The bridge, and the front end behind it."""

    def __init__(self, wire: MemoryWire) -> None:
        self.wire = wire
        self._taken = 0

    def raw(self, data: bytes) -> None:
        self.wire.fed.append(data)
        self.wire.tell()

    def send(self, channel: str, payload: bytes) -> None:
        self.raw(encode(channel, payload))

    def control(self, command: str, channel: str = "", **members: Any) -> None:
        message = {name.replace("_", "-"): value for name, value in members.items()}
        self.raw(encode_control({"command": command, **({"channel": channel} if channel else {}), **message}))

    def open(self, channel: str = "a", **members: Any) -> None:
        self.control("open", channel, payload="test", **members)

    def hang_up(self) -> None:
        self.wire.ended = True
        self.wire.tell()

    async def next(self) -> Frame:
        """The next frame, of whatever kind."""
        await self.wire.wait(lambda: len(self.wire.frames) > self._taken)
        self._taken += 1
        return self.wire.frames[self._taken - 1]

    async def expect(self, command: str, channel: str | None = None, **members: Any) -> dict[str, Any]:
        """The next frame, which must be this control message; members that are not given are not looked at."""
        frame = await self.next()
        assert not frame.channel, frame
        message = frame.message
        wanted = {name.replace("_", "-"): value for name, value in members.items()}
        found = {name: message.get(name) for name in wanted}
        assert (message["command"], message.get("channel"), found) == (command, channel, wanted), frame
        return message

    async def data(self, channel: str) -> bytes:
        """The next frame, which must be data."""
        frame = await self.next()
        assert frame.channel == channel, frame
        return frame.payload


@asynccontextmanager
async def helping(handler: Handler, **limits: Any) -> AsyncIterator[Peer]:
    """A helper that serves with `handler`, after the handshake. Leaving it hangs up, and waits until it has ended."""
    peer = Peer(MemoryWire())

    async def serve() -> None:
        async with open_helper(wire=peer.wire, limits=HelperLimits(**limits), signals=()) as helper:
            await helper.serve(handler)

    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await peer.expect("init", version=1)
            peer.control("init", version=1, host="localhost")
            yield peer
            peer.hang_up()


async def settled() -> None:
    """Let all tasks go on until each waits for something. They wait for one another alone: turns are enough."""
    for _ in range(TURNS):
        await checkpoint()
