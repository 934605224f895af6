"""A channel as an async function has it: for what answers questions.

    async def greet(channel: Conversation) -> None:
        await channel.ready()
        async for payload in channel:
            await channel.send(b"hello " + payload)

    def greeting(port, message, services):
        return converse(greet, port, message, services)

When the function returns the channel is closed in order. A Problem that leaves it closes the channel with its code; any
other exception is logged and costs this channel alone. When the channel is closed the function is cancelled.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
from anyio import CancelScope

from spanbridge.protocol.frames import Buffer, Span, join
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..base import Port, Services
from .channel import Channel
from .options import Options

Handler = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """One channel, for one task. `options` are those of the open, `channel` the Channel beneath."""

    __slots__ = ("_inbox", "_news", "_over", "_scope", "_taking", "channel", "options", "services")

    def __init__(self, channel: Channel, options: Options, services: Services) -> None:
        self.channel = channel
        self.options = options
        self.services = services
        self._inbox: deque[bytes] = deque()
        self._over = False  # nothing more comes
        self._taking = 0  # bytes of the message that the handler has
        self._news: anyio.Event | None = None
        self._scope = CancelScope()

    # For the handler

    async def ready(self, **members: object) -> None:
        self.channel.ready(**members)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        payload = await self.receive()
        if payload is None:
            raise StopAsyncIteration
        return payload

    async def receive(self) -> bytes | None:
        """The next message; None after `done`. The one before counts as taken: it is acknowledged now."""
        self._took()
        while not self._inbox:
            if self._over:
                return None
            self._news = anyio.Event()
            await self._news.wait()
        payload = self._inbox.popleft()
        self._taking = len(payload)
        return payload

    async def send(self, data: Buffer | str) -> None:
        """As many messages as it takes, each when the front end takes it."""
        view = memoryview(data.encode() if isinstance(data, str) else data)
        while view:
            await self.turn()
            room = self.channel.room
            self.channel.send(view[:room])
            view = view[room:]

    async def send_unit(self, data: Buffer) -> None:
        """One message, whatever its length."""
        await self.turn()
        self.channel.send_unit(data)

    async def send_json(self, value: object) -> None:
        """One message with `value` as JSON."""
        await self.send_unit(msgspec.json.encode(value))

    async def control(self, command: str, /, **members: object) -> None:
        self.channel.control(command, **members)

    async def done(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.channel.done()

    def close(self, problem: Problem | None = None, **members: Any) -> None:
        self.channel.close(problem, **members)

    async def turn(self) -> None:
        """Wait until the front end takes data of this channel."""
        await anyio.lowlevel.checkpoint()
        while True:
            again = anyio.Event()
            if self.channel.may_send(again.set):
                return
            await again.wait()

    # For the channel, by way of `_Ears`

    def data_came(self, data: Span) -> None:
        self._inbox.append(bytes(join(data)))
        self._wake()

    def done_came(self) -> None:
        self._over = True
        self._wake()

    def cancel(self) -> None:
        self._scope.cancel()

    def _took(self) -> None:
        if self._taking:
            taking, self._taking = self._taking, 0
            self.channel.taken(taking)

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()

    async def run(self, handler: Handler) -> None:
        channel = self.channel
        with self._scope:
            try:
                await handler(self)
                self._took()
                channel.done()
                channel.close()
            except Problem as problem:
                channel.close(problem)
            except Exception as error:  # noqa: BLE001 - a mistake of ours costs this channel alone
                self.services.context.log.unforeseen(f"payload {channel.kind}", error)
                channel.close(Problem(INTERNAL_ERROR, f"{channel.kind}: a mistake within the bridge"))


class _Ears:
    """The conversation as the channel sees it (channel.Payload): its `done` is the front end's, not ours."""

    __slots__ = ("_conversation",)

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def data(self, data: Span, nbytes: int) -> None:
        self._conversation.data_came(data)

    def done(self) -> None:
        self._conversation.done_came()

    def command(self, command: str, message: dict[str, Any]) -> None:
        """Ignored, as everything that a payload does not know."""

    def end(self) -> None:
        self._conversation.cancel()


def converse(
    handler: Handler,
    port: Port,
    message: dict[str, Any],
    services: Services,
    *,
    check: Callable[[Options], object] = bool,
    ready: bool = False,
) -> Channel:
    """Have `handler` serve an open. `check` may refuse it for its options: raises Problem, before anything is done.
    `ready`: the channel is, at once; else the handler says so."""
    options = Options(message)
    channel = Channel(port, options, services)
    check(options)
    conversation = Conversation(channel, options, services)
    channel.serve(_Ears(conversation))
    if ready:
        channel.ready()
    services.tasks.start_soon(conversation.run, handler)
    return channel
