"""One channel, as the code that serves it sees it."""

import asyncio
import codecs
import math
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, TypeVar, overload

import anyio
import msgspec

from spanbridge.protocol.control import FOR_THE_TRANSPORT, FRONT_END_ONLY, frame_of, pong
from spanbridge.protocol.control import close as close_frame
from spanbridge.protocol.frames import encode
from spanbridge.protocol.problems import INTERNAL_ERROR, PROTOCOL_ERROR, TERMINATED, Problem

from .errors import BridgeGone, ChannelClosed
from .inbox import Inbox, Item, Message
from .intake import Intake
from .limits import HelperLimits
from .log import log, log_error, shortened
from .outbox import Outbox
from .window import Window

T = TypeVar("T")

_NOT_HERE: Final = FRONT_END_ONLY | FOR_THE_TRANSPORT | {"close", "done"}


class Channel:
    """Made by a Helper; used by one task, inside `async with channel:`.

    The block is cancelled when the front end closes the channel, or the helper is told to end. When it ends the channel
    is closed, if it was not: with the code and message of a Problem that left the block, with `internal-error` for any
    other exception, which goes to the log and no further.

    What is read are payloads, `bytes` each, up to the front end's `done`:

        async for payload in channel: ...

    `texts()`, `messages()` and `events()` are other ways to read the same.
    """

    def __init__(
        self,
        options: Message,
        *,
        outbox: Outbox,
        intake: Intake,
        limits: HelperLimits,
        forget: "Callable[[Channel], None]",
    ) -> None:
        self.options: Final = options
        """The open message, with all its members."""
        self.id: Final[str] = options["channel"]
        self._name = self.id.encode()
        self._outbox = outbox
        self._intake = intake
        self._largest = limits.frame_bytes - len(self._name) - 1
        self._forget = forget
        self._inbox = Inbox(intake, limits.channel_bytes)
        self._scope = anyio.CancelScope()
        self._window = Window(limits.window_bytes) if options.get("flow-control") is True else None
        self._acks = options.get("send-acks") == "bytes"
        self._discarding = False
        self._done = False
        self._over = False

    def __repr__(self) -> str:
        return f"<channel {self.id}{' over' if self._over else ''}>"

    @property
    def over(self) -> bool:
        """Whether either side has closed it."""
        return self._over

    @property
    def complete(self) -> bool:
        """Whether the front end's `done` has come: what is not read yet is all that will be."""
        return self._inbox.ended

    async def __aenter__(self) -> "Channel":
        self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        swallowed = bool(self._scope.__exit__(kind, error, trace))
        if error is None or swallowed:
            self.close_now()
        elif isinstance(error, (Exception, SystemExit)) or _is_stray(error):
            self._fail(error)
            return True
        else:
            self.close_now(TERMINATED, "the helper has ended")
        return swallowed

    # Reading

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while (item := await self._take()) is not None:
            if isinstance(item, bytes):
                return item
        raise StopAsyncIteration

    async def events(self) -> AsyncIterator[Item]:
        """Payloads, as `bytes`, and control messages, as `dict`, in the order in which they came.

        These are all that are not seen to already (`open`, `done`, `close`, `ping`): `options`, and what one makes up.
        """
        while (item := await self._take()) is not None:
            yield item

    async def texts(self) -> AsyncIterator[str]:
        """The data as text, in pieces that end anywhere but within a character. Raises Problem for what is no UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            async for payload in self:
                if text := decoder.decode(payload):
                    yield text
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise Problem(PROTOCOL_ERROR, f"expected text in UTF-8: {error.reason}") from None

    @overload
    def messages(self) -> AsyncIterator[Any]: ...
    @overload
    def messages(self, kind: type[T]) -> AsyncIterator[T]: ...
    async def messages(self, kind: Any = Any) -> AsyncIterator[Any]:
        """Each payload as the JSON value that it is, converted to `kind`, for instance a msgspec.Struct.

        Raises Problem (`protocol-error`), which says what was expected, for one that is not.
        """
        decoder = msgspec.json.Decoder(kind)
        async for payload in self:
            try:
                yield decoder.decode(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise Problem(PROTOCOL_ERROR, f"expected a message in JSON: {error}") from None

    def discard(self) -> None:
        """Nothing is to be read: data is dropped from now on, so that it never waits for anybody."""
        self._discarding = True
        for item in self._inbox.drain():
            if isinstance(item, bytes):
                self._acknowledge(len(item))
            elif item["command"] == "ping":
                self._pong(item)

    async def _take(self) -> Item | None:
        """The next payload or control message. A ping is answered when all that came before it has been seen to."""
        while True:
            item = await self._inbox.take()
            if isinstance(item, bytes):
                self._acknowledge(len(item))
            elif item is not None and item["command"] == "ping":
                self._pong(item)
                continue
            return item

    # Writing

    async def ready(self, **members: object) -> None:
        """The channel is served. `_` in a member's name stands for `-`."""
        await self.control("ready", **members)

    async def send(self, data: bytes | bytearray | memoryview | str) -> None:
        """One frame of data. Waits while the bridge, or with `flow-control` the front end, has enough of it.

        Raises ChannelClosed; ValueError for more than a frame can hold (100 MB), or after `done`.
        """
        self._check_open()
        payload = _as_bytes(data)
        size = len(payload)
        if size > self._largest:
            raise ValueError(f"{size} bytes of data: expected at most {self._largest} for one frame")
        if self._done:
            raise ValueError("data after done()")
        window = self._window
        if window is not None:
            # While stdin is not read the pong may be stuck in it; then the pipe alone is what we wait for.
            while not window.open and not self._intake.stopped and not self._over:
                await window.wait()
        await self._put(encode(self._name, payload))
        if window is not None and (sequence := window.sent(size)) is not None:
            self._answer({"command": "ping", "channel": self.id, "sequence": sequence})

    async def send_json(self, value: object) -> None:
        """One frame with `value` as JSON. Raises what `send` does, and TypeError for what JSON has no form for."""
        await self.send(msgspec.json.encode(value))

    async def done(self) -> None:
        """No more data will be sent. Harmless a second time."""
        self._check_open()
        if not self._done:
            self._done = True
            await self._put(frame_of({"command": "done", "channel": self.id}))

    async def control(self, command: str, /, **members: object) -> None:
        """A control message of this channel. `_` in a member's name stands for `-`.

        Raises ValueError for a command that is not a helper's to send, or has a method of its own.
        """
        if command in _NOT_HERE:
            raise ValueError(f"{command}: not sent with control()")
        told = {name.replace("_", "-"): value for name, value in members.items()}
        await self._put(frame_of({**told, "command": command, "channel": self.id}))

    async def close(self, problem: str | None = None, message: str | None = None, **members: object) -> None:
        """The channel is over. Harmless if it is already."""
        self.close_now(problem, message, **members)

    def close_now(self, problem: str | None = None, message: str | None = None, **members: object) -> None:
        """The same: a close never waits."""
        if not self._over:
            told = {name.replace("_", "-"): value for name, value in members.items()}
            self._answer_frame(close_frame(self.id, problem, message, **told))
            self._end()

    async def _put(self, frame: bytes) -> None:
        self._check_open()
        try:
            await self._outbox.put(frame, self._check_open)
        except BridgeGone:
            raise ChannelClosed("the bridge is gone") from None

    def _check_open(self) -> None:
        if self._over:
            raise ChannelClosed(f"channel {self.id} is over")

    # What comes from the bridge, handed in by the helper; nothing here waits

    def data_came(self, payload: bytes) -> None:
        if self._discarding or self._inbox.ended:
            self._acknowledge(len(payload))
        else:
            self._inbox.put(payload, len(payload))

    def control_came(self, command: str, message: Message, nbytes: int) -> None:
        """Any control message but `open`, of so many bytes."""
        if command == "close":
            self.closed_by_front_end()
        elif command == "done":
            self._inbox.end()
        elif command == "pong" and self._window is not None:
            self._window.pong(message.get("sequence"))
        elif not self._discarding and (not self._inbox.ended or (command == "ping" and len(self._inbox))):
            self._inbox.put(message, nbytes)
        elif command == "ping":
            self._pong(message)

    def closed_by_front_end(self) -> None:
        """Answer, and end whoever serves it."""
        self.close_now()
        self._scope.cancel()

    def end_of_input(self) -> None:
        """Nothing more can come for anybody."""
        self._inbox.end()

    def stop(self, problem: str, message: str) -> None:
        """The helper is ending."""
        self.close_now(problem, message)
        self._scope.cancel()

    def wake(self) -> None:
        """Stdin is not read any more: who waits for a pong must not."""
        if self._window is not None:
            self._window.wake()

    def _end(self) -> None:
        self._over = True
        self._inbox.drop()
        self.wake()
        self._forget(self)

    def _pong(self, ping: Message) -> None:
        if not self._over:
            self._answer_frame(pong(ping))

    def _acknowledge(self, nbytes: int) -> None:
        """One message of so many bytes was taken."""
        if self._acks:
            self._answer({"command": "ack", "channel": self.id, "bytes": nbytes})

    def _answer(self, message: Message) -> None:
        if not self._over:
            self._answer_frame(frame_of(message))

    def _answer_frame(self, frame: bytes) -> None:
        if not self._outbox.broken:  # else the helper ends anyway
            self._outbox.put_now(frame)

    # How it ends

    def _fail(self, error: BaseException) -> None:
        found = error
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if isinstance(found, Problem):
            try:
                self.close_now(found.code, found.message, **found.members)
                return
            except Exception as untold:  # noqa: BLE001 - JSON has no form for a member, or for the message
                found = error = untold
        if not (isinstance(found, ChannelClosed) and (self._over or self._outbox.broken)):
            what = shortened(f"{type(found).__name__}: {found}")
            log(f"channel {self.id}: {what}")
            log_error(error)
            self.close_now(INTERNAL_ERROR, what)


def _is_stray(error: BaseException) -> bool:
    """Whether it is the cancellation of something else, an asyncio.Task for instance, that was awaited: nobody has
    cancelled whoever serves the channel."""
    if not isinstance(error, asyncio.CancelledError) or anyio.current_effective_deadline() == -math.inf:
        return False
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


def _as_bytes(data: bytes | bytearray | memoryview | str) -> bytes | bytearray:
    if isinstance(data, str):
        return data.encode()
    return data.tobytes() if isinstance(data, memoryview) else data
