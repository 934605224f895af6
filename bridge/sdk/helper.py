"""The helper's side of the pipe: reads frames, hands them to channels, and writes what these say."""

import contextlib
import signal
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from spanbridge.protocol.control import FOR_THE_TRANSPORT, VERSION, frame_of, pong, read_message
from spanbridge.protocol.frames import control_payload, payloads
from spanbridge.protocol.problems import TERMINATED, TOO_LARGE, Problem
from spanbridge.protocol.splitter import CONTROL, UNROUTED, FrameError, Splitter

from .channel import Channel
from .errors import BridgeGone, ProtocolError
from .inbox import Message
from .intake import Intake
from .limits import HelperLimits
from .outbox import Outbox
from .wire import Wire, taken_stdio

Handler = Callable[[Channel], Awaitable[None]]

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_IGNORED: Final = FOR_THE_TRANSPORT | {"kill", "hint", "logout"}


class Helper:
    """Made by `open_helper`. An async iterator of the channels that are opened, up to the end of stdin or a signal."""

    def __init__(self, wire: Wire, limits: HelperLimits, tasks: TaskGroup) -> None:
        self.init: Message = {}
        """The bridge's `init`; there from the first channel on."""
        self._wire = wire
        self._limits = limits
        self._tasks = tasks
        self._channels: dict[bytes, Channel] = {}
        self._splitter: Splitter[Channel] = Splitter(
            self._channels, frame_bytes=limits.frame_bytes, control_bytes=limits.control_bytes
        )
        self._outbox = Outbox(wire, limits.outbox_bytes)
        self._intake = Intake(limits, self._reading_stopped)
        self._opened: OrderedDict[bytes, Channel] = OrderedDict()  # those that nobody has taken yet
        self._news = anyio.Event()
        self._ended = False

    @property
    def host(self) -> str:
        """The name that the front end has for this machine; empty before the first channel."""
        return str(self.init.get("host", ""))

    def __aiter__(self) -> AsyncIterator[Channel]:
        return self

    async def __anext__(self) -> Channel:
        while True:
            if self._opened:
                return self._opened.popitem(last=False)[1]
            if self._ended:
                raise StopAsyncIteration
            self._news = anyio.Event()
            await self._news.wait()

    async def serve(self, handler: Handler) -> None:
        """Run `handler` for each channel, each in a task of its own, until stdin ends.

        Then the handlers see the end of their channels' data, and have `end_seconds` to return.
        """
        async with anyio.create_task_group() as handlers:
            async for channel in self:
                handlers.start_soon(_serve_one, handler, channel)
            handlers.cancel_scope.deadline = anyio.current_time() + self._limits.end_seconds

    def stop(self, message: str) -> None:
        """Close all channels, cancel who serves them, and take no more."""
        for channel in list(self._channels.values()):
            channel.stop(TERMINATED, message)
        self._end()

    # The tasks of `open_helper`

    def start(self, init: Message) -> None:
        self._outbox.put_now(frame_of({**init, "command": "init", "version": VERSION}))
        self._tasks.start_soon(self._outbox.run)
        self._tasks.start_soon(self._read)

    async def watch_signals(self, signals: Sequence[signal.Signals], *, task_status: Any) -> None:
        with anyio.open_signal_receiver(*signals) as received:
            task_status.started()
            async for number in received:
                self.stop(f"the helper was told to end ({signal.Signals(number).name})")

    async def flush(self) -> None:
        """Wait until all is written, as long as that may take."""
        with anyio.move_on_after(self._limits.flush_seconds):
            await self._outbox.wait_below(1)

    async def _read(self) -> None:
        limits = self._limits
        while chunk := await self._wire.read(limits.read_bytes):
            try:
                self._take_in(chunk)
            except (FrameError, Problem) as error:
                raise ProtocolError(str(error)) from None
            await anyio.lowlevel.checkpoint()  # the handlers' turn, however much there is to read
            await self._intake.wait_room()
            await self._outbox.wait_below(limits.answer_bytes)
        if self._splitter.held:
            raise ProtocolError("stdin ended within a frame")
        for channel in list(self._channels.values()):
            channel.end_of_input()
        self._end()

    def _take_in(self, chunk: bytes) -> None:
        for place, span in self._splitter.feed(chunk):
            if place is CONTROL:
                self._control(control_payload(span))  # type: ignore[arg-type]  # a control frame comes in one piece
            elif isinstance(place, Channel):
                for payload in payloads(span):
                    place.data_came(payload)
            elif place is UNROUTED and not self.init:
                raise ProtocolError("expected init, found data")

    def _control(self, payload: bytes) -> None:
        command, ident, message = read_message(payload)
        if not self.init:
            self._handshake(command, message)
        elif command in _IGNORED:
            return
        elif ident is None:
            if command == "ping":
                self._outbox.put_now(pong(message))
        elif command == "open":
            self._open(ident, message)
        elif (channel := self._channels.get(ident.encode())) is not None:
            channel.control_came(command, message, len(payload))

    def _handshake(self, command: str, message: Message) -> None:
        if command != "init":
            raise ProtocolError(f"expected init, found {command!r}")
        if message.get("version") != VERSION:
            raise ProtocolError(f"expected version {VERSION}, found {message.get('version')!r}")
        self.init = message

    def _open(self, ident: str, message: Message) -> None:
        name = ident.encode()
        if name in self._channels or "\n" in ident:
            raise ProtocolError(f"open of channel {ident!r}: expected an id that is not in use, without a line feed")
        channel = Channel(message, outbox=self._outbox, intake=self._intake, limits=self._limits, forget=self._forget)
        self._channels[name] = channel
        if len(self._channels) > self._limits.channels:
            channel.close_now(TOO_LARGE, f"the helper serves at most {self._limits.channels} channels at once")
        elif self._ended:
            channel.close_now(TERMINATED, "the helper is ending")
        else:
            self._opened[name] = channel
            self._news.set()

    def _forget(self, channel: Channel) -> None:
        name = channel.id.encode()
        del self._channels[name]
        self._opened.pop(name, None)

    def _reading_stopped(self) -> None:
        for channel in self._channels.values():
            channel.wake()

    def _end(self) -> None:
        self._ended = True
        self._news.set()


async def _serve_one(handler: Handler, channel: Channel) -> None:
    async with channel:
        working = handler(channel)
        if not isinstance(working, Awaitable):
            raise TypeError(f"the handler {getattr(handler, '__name__', handler)!r} is no async function")
        await working


@contextlib.asynccontextmanager
async def open_helper(
    *,
    wire: Wire | None = None,
    limits: HelperLimits | None = None,
    signals: Sequence[signal.Signals] = SIGNALS,
    **init: object,
) -> AsyncIterator[Helper]:
    """Be a helper on our stdin and stdout (or on `wire`), until the block ends. `init`: further members of our `init`.

    SIGTERM and SIGINT close all channels, and end the iteration over them. Raises ProtocolError, which says what was
    wrong with what came; nothing where the bridge is simply gone.
    """
    with contextlib.ExitStack() as stack:
        taken = wire or stack.enter_context(taken_stdio())
        try:
            async with anyio.create_task_group() as tasks:
                helper = Helper(taken, limits or HelperLimits(), tasks)
                helper.start({name.replace("_", "-"): value for name, value in init.items()})
                if signals:
                    await tasks.start(helper.watch_signals, signals)
                try:
                    yield helper
                finally:  # whatever has ended it: what was sent before that is not lost
                    await helper.flush()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            _reraise(group)


def _reraise(group: BaseExceptionGroup[BaseException]) -> None:
    """One error of a helper for the many that come with it."""
    leaves = [leaf for leaf in _leaves(group) if not isinstance(leaf, BridgeGone)]
    for leaf in leaves:
        if isinstance(leaf, ProtocolError):
            raise leaf
    if leaves:
        raise leaves[0] if len(leaves) == 1 else group


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for part in error.exceptions for leaf in _leaves(part)]
