"""Internal channels without a process around them, for what cannot be had from outside: objects made for a test, calls
that wait, a clock that does not run.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.manifests.model import Catalog
from spanbridge.payloads.base import Internal, Maker, Port, Services
from spanbridge.protocol.control import control, frame_of
from spanbridge.protocol.frames import Span, encode, join
from spanbridge.testing.frames import Decoder, Frame
from spanbridge.wire.children import Children
from spanbridge.wire.context import Context
from spanbridge.wire.flusher import Flusher
from spanbridge.wire.front import Front
from spanbridge.wire.pipe_budget import PipeBudget
from spanbridge.wire.poller import Poller
from spanbridge.wire.watchdog import Watchdog


class Opened:
    """One channel, and what it has sent."""

    def __init__(self, maker: Maker, services: Services, channel: str, options: dict[str, Any]) -> None:
        self.channel = channel
        self.frames: list[Frame] = []
        self.closed: dict[str, Any] | None = None
        self._came = anyio.Event()
        port = Port(channel, self._put, self._close)
        self._served: Internal = maker(port, {"payload": "test", **options}, services)
        port.made()

    def _put(self, data: Span) -> None:
        assert self.closed is None, f"{self.channel} speaks after its end: {bytes(join(data))!r}"
        self.frames += Decoder().feed(bytes(join(data)))
        self._came.set()

    def _close(self, ident: bytes, frame: bytes) -> None:
        (told,) = Decoder().feed(frame)
        self.end(told.message)

    def end(self, told: dict[str, Any]) -> None:
        """The channel is over: by its own close, or by the front end's."""
        self.closed = told
        self._came.set()
        self._served.end()

    def say(self, message: Any) -> None:
        """One data frame of JSON."""
        self._served.put(encode(self.channel.encode(), json.dumps(message).encode()))

    def command(self, command: str, **members: Any) -> None:
        """One control message."""
        frame = control(command, channel=self.channel, **members)
        self._served.command(self.channel.encode(), command, frame)

    def message(self, message: dict[str, Any]) -> None:
        """One control message, its members as they are."""
        self._served.command(self.channel.encode(), message["command"], frame_of(message))

    @property
    def controls(self) -> list[dict[str, Any]]:
        """All control messages so far, without their channel."""
        told = [frame.message for frame in self.frames if not frame.channel]
        return [{name: value for name, value in message.items() if name != "channel"} for message in told]

    @property
    def messages(self) -> list[Any]:
        """All data so far."""
        return [json.loads(frame.payload) for frame in self.frames if frame.channel]

    async def message_after(self, count: int) -> Any:
        """Wait until more than `count` data frames have come; the first of those."""
        while len(self.messages) <= count:
            self._came = anyio.Event()
            await self._came.wait()
        return self.messages[count]


class Workbench:
    """The services of a session that is not there. `environ` may be changed until they are used."""

    def __init__(self, tasks: TaskGroup, root: Path) -> None:
        self.environ = {"HOME": str(root), "XDG_CONFIG_DIRS": str(root / "etc")}
        self.catalog = Catalog()
        self.reloads = 0
        self.reloaded = anyio.Event()
        self.ended: list[str] = []
        self.front_takes = anyio.Event()  # another one, not set, is a front end that takes nothing
        self.front_takes.set()
        loop = asyncio.get_running_loop()
        limits = Limits()
        budget = PipeBudget(limits.large_pipes, limits.pipe_bytes)
        log = Log()
        poller = Poller()
        loop.add_reader(poller.fileno(), poller.select, 0)  # the loop was made with another
        context = Context(loop, poller, Flusher(loop), budget, limits, log, Watchdog(print), Children(loop))
        self._tasks = tasks
        front = self._front(context)
        front.turn = self._turn  # type: ignore[method-assign]
        self.services = Services(
            context,
            front,
            tasks,
            self.environ,
            catalog=lambda: self.catalog,
            reload=self._reload,
            front_drained=self._front_drained,
            end_session=self.ended.append,
        )

    def _front(self, context: Context) -> Front:
        """One that nobody listens to: what channels say is taken from their ports."""
        descriptors = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
        return Front(context, *descriptors, on_chunk=lambda _: None, on_end=lambda _: None, on_broken=lambda _: None)

    def _turn(self, go_on: Callable[[], None]) -> bool:
        if self.front_takes.is_set():
            return True
        self._tasks.start_soon(self._go_on_once_it_takes, go_on)
        return False

    async def _go_on_once_it_takes(self, go_on: Callable[[], None]) -> None:
        await self.front_takes.wait()
        go_on()

    async def _front_drained(self) -> None:
        await self.front_takes.wait()
        await anyio.lowlevel.checkpoint()

    def _reload(self) -> None:
        self.reloads += 1
        self.reloaded.set()
        self.reloaded = anyio.Event()
        for tell in self.services.on_reload:
            tell()

    def open(self, maker: Maker, channel: str = "test", **options: Any) -> Opened:
        return Opened(maker, self.services, channel, options)


@asynccontextmanager
async def workbench(root: Path) -> AsyncIterator[Workbench]:
    """A workbench; what it has started ends with the block. `root` is its home."""
    async with anyio.create_task_group() as tasks:
        yield Workbench(tasks, root)
        tasks.cancel_scope.cancel()
