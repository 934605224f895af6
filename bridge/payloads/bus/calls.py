"""Calls of a channel to peers on a bus, and their answers."""

from asyncio import TimerHandle
from collections.abc import Awaitable, Mapping
from functools import lru_cache
from typing import Any, Final

import anyio

from spanbridge.manifests.member import describe
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from . import message as wire
from .channel import Message, encode, unclear
from .checks import check_interface, check_path, convert, signature_of, values_from_json
from .errors import INVALID_ARGS, LIMITS_EXCEEDED, TIMED_OUT, UNKNOWN_METHOD, BusError
from .lanes import Lanes
from .marshal import TooMuch
from .message import Message as BusMessage
from .meta import Meta
from .names import is_interface, is_member
from .place import Place
from .signature import is_path
from .skipping import is_large
from .slices import Text
from .turns import Turn

_CALL: Final = tuple[str, str, str, list[Any] | None]
_USUAL: Final = 255
"""Characters of a path and two names; longer ones are not kept."""


class _Call:
    """One call on its way. `over`: nobody waits for an answer any more."""

    __slots__ = (
        "arguments",
        "flags",
        "interface",
        "member",
        "message",
        "name",
        "over",
        "path",
        "serial",
        "signature",
        "size",
        "timer",
        "wants_answer",
    )

    def __init__(self, path: str, interface: str, member: str, arguments: list[Any], message: Message) -> None:
        self.path = path
        self.interface = interface
        self.member = member
        self.arguments = arguments
        self.message = message
        self.name: str | None = None
        self.signature: str | None = None
        self.flags = 0
        self.serial = 0
        self.size = 0  # while it waits to be sent
        self.timer: TimerHandle | None = None
        self.over = False
        self.wants_answer = message.get("id") is not None


class Calls:
    """The calls of one channel. Those to one peer are sent in order, even where the types of one have to be asked
    for; and after what is being watched there was told."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._front = place.front
        self._connection = place.connection
        self._loop = place.services.context.loop
        self._limits = place.services.context.limits
        self._log = place.services.context.log
        self._lanes = Lanes(place.services.tasks, place.services.context, self._mistake, self._give_up)
        self._calls: set[_Call] = set()
        self._bytes = 0  # of those that wait to be sent

    def call(self, asked: Any, message: Message) -> None:
        """Raises Problem, BusError."""
        call = _read(asked, message)
        call.name = self._place.name_of("call", message.get("name"))
        timeout = _timeout(message)
        self._check_room(call)
        self._calls.add(call)
        if timeout is not None:
            call.timer = self._loop.call_later(timeout, self._expire, call)
        watching = self._place.watching
        earlier = [event for event in watching.get(call.name, ()) if not event.is_set()] if watching else []
        self._lanes.put(call.name, self._begin, call, earlier)
        if not (call.serial or call.over):
            call.size = len(encode(message))
            self._bytes += call.size

    def _check_room(self, call: _Call) -> None:
        """For one more. Raises BusError."""
        most = self._limits.dbus_calls
        if len(self._calls) >= most:
            self._log.limit("dbus_calls", most)
            told = f"{call.interface}.{call.member}: {most} calls of this channel are not answered yet (dbus_calls)"
            raise BusError(LIMITS_EXCEEDED, told)
        most = self._limits.dbus_waiting_bytes
        if self._bytes > most:
            self._log.limit("dbus_waiting_bytes", most)
            told = f"more than {most} bytes of calls of this channel wait to be sent (dbus_waiting_bytes)"
            raise BusError(LIMITS_EXCEEDED, f"{call.interface}.{call.member}: {told}")

    def end(self) -> None:
        for call in list(self._calls):
            self._finish(call)

    def _begin(self, call: _Call, earlier: list[anyio.Event]) -> Awaitable[None] | None:
        if call.over:
            return None
        if call.signature is None:
            call.signature = self._known(call)
        if earlier or call.signature is None:
            return self._begin_later(call, earlier)
        self._attempt(call)
        return None

    async def _begin_later(self, call: _Call, earlier: list[anyio.Event]) -> None:
        for watched in earlier:
            await watched.wait()
        try:
            if call.signature is None and not call.over:
                call.signature = await self._ask(call)
        except BusError as error:
            self._refuse(call, error)
        else:
            self._attempt(call)

    def _give_up(self, call: _Call, _: list[anyio.Event]) -> None:
        most = self._limits.dbus_waiting
        told = f"{call.interface}.{call.member}: given up, {most} later calls wait for it (dbus_waiting)"
        self._refuse(call, BusError(LIMITS_EXCEEDED, told))

    def _known(self, call: _Call) -> str | None:
        """The types of the arguments, as far as they are known."""
        told = self._place.metas.known.get(call.interface)
        if told is not None and call.member in told.methods:
            return _takes(told, call.member)
        return _takes(self._place.peer(call.name).descriptions.metas.get(call.interface), call.member)

    async def _ask(self, call: _Call) -> str:
        meta = await self._place.peer(call.name).descriptions.find(call.path, call.interface)
        known = self._known(call)
        found = _takes(meta, call.member) if known is None else known
        if found is None:
            told = f"Introspection data for method {call.interface} {call.member} not available"
            raise BusError(UNKNOWN_METHOD, told)
        return found

    def _attempt(self, call: _Call) -> None:
        if call.over:
            return
        try:
            self._send(call)
        except BusError as error:
            self._refuse(call, error)

    def _send(self, call: _Call) -> None:
        signature = call.signature or ""
        flags = call.flags | (0 if call.wants_answer else wire.NO_REPLY)
        values = values_from_json(signature, call.arguments) if signature or call.arguments else ()
        try:
            sent = wire.call(
                call.path, call.interface, call.member, signature, values, destination=call.name, flags=flags
            )
        except TooMuch as error:
            raise BusError(INVALID_ARGS, str(error)) from None
        if call.wants_answer:
            call.serial = self._connection.call(sent, lambda answer: self._answered(call, answer), in_order=True)
            self._drop(call)
        else:
            self._connection.tell(sent)
            self._finish(call)

    # Answers

    def _answered(self, call: _Call, answer: BusMessage) -> Awaitable[None] | None:
        if is_large(answer.body):
            return self._tell_slowly(call, answer)
        encode = self._place.encoder(answer)
        self._tell(call, answer, encode(answer.values()))
        return None

    async def _tell_slowly(self, call: _Call, answer: BusMessage) -> None:
        text = Text(answer, self._place.encoder(answer), self._front.most)
        turn = Turn(self._loop.time, self._place.services.tasks)
        for _ in text.pieces():
            if call.over:
                return
            await turn.pause()
        self._tell(call, answer, text.out)

    def _tell(self, call: _Call, answer: BusMessage, values: "bytes | bytearray") -> None:
        if call.over:
            return
        message = call.message
        members: dict[str, Any] = {}
        if answer.error is not None:
            text = _answer_text(b'{"error":[', _text(answer.error) + b"," + values, message)
        else:
            if message.get("type") is not None:
                members["type"] = answer.signature
            if message.get("flags") is not None:
                members["flags"] = answer.order
            text = _answer_text(b'{"reply":[', values if answer.signature else b"null", message, members)
        most = self._front.most
        if len(text) > most:
            self._front.log_too_long()
            told = f"{call.interface}.{call.member}: the answer has more than {most} bytes of JSON (frame_bytes)"
            self._refuse(call, BusError(LIMITS_EXCEEDED, told))
            return
        self._finish(call)
        self._front.say(text)

    def _refuse(self, call: _Call, error: BusError) -> None:
        if not call.over:
            self._finish(call)
            self._front.refuse(call.message, error)

    def _expire(self, call: _Call) -> None:
        if call.serial:
            self._connection.forget(call.serial)
        self._refuse(call, BusError(TIMED_OUT, f"{call.interface}.{call.member} was not answered in time"))

    def _drop(self, call: _Call) -> None:
        """It is sent no more: its arguments may be large, and others may be waited for for long."""
        call.arguments = []
        call.message.pop("call", None)
        self._bytes -= call.size
        call.size = 0

    def _finish(self, call: _Call) -> None:
        call.over = True
        self._calls.discard(call)
        self._drop(call)
        if call.timer is not None:
            call.timer.cancel()
        if call.serial:
            self._connection.forget(call.serial)

    def _mistake(self, error: Exception) -> None:
        """It costs this channel alone. A Problem is the end of the connection, which all are told of."""
        if not isinstance(error, Problem):
            error = Problem(INTERNAL_ERROR, self._front.mistake("call", error).message)
        self._front.close(error)


def _takes(meta: Meta | None, member: str) -> str | None:
    """The types of the arguments of a method; None: it is not known."""
    return None if meta is None or member not in meta.methods else "".join(meta.methods[member].takes)


def _read(asked: Any, message: Message) -> _Call:
    match asked:
        case [str(), str(), str(), list() | None]:  # looked at here: msgspec makes its plan of a tuple each time anew
            path, interface, member, arguments = asked
        case _:
            path, interface, member, arguments = convert("call", asked, _CALL, "[path, interface, method, [arguments]]")
    if len(path) + len(interface) + len(member) > _USUAL or not _is_method(path, interface, member):
        check_path("call", path)
        check_interface("call", interface)
        if not is_member(member):
            raise unclear(f"call: expected the name of a method, found {describe(member)}")
    call = _Call(path, interface, member, arguments or [], message)
    signature = signature_of("call", message)
    call.signature = signature if signature is not None or arguments else ""
    call.flags = message_flags(message)
    return call


@lru_cache(maxsize=1_024)  # the same few methods are called again and again
def _is_method(path: str, interface: str, member: str) -> bool:
    return is_path(path) and is_interface(interface) and is_member(member)


def message_flags(message: Message) -> int:
    """Whether the service may ask somebody: it may, unless the flags say nothing of it. Raises Problem."""
    flags = message.get("flags")
    if flags is None:
        return wire.INTERACTIVE
    if not isinstance(flags, str):
        raise unclear(f'"flags" of call: expected a string, found {describe(flags)}')
    return wire.INTERACTIVE if "i" in flags else 0


def _timeout(message: Message) -> float | None:
    """Seconds. Raises Problem."""
    timeout = message.get("timeout")
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise unclear(f'"timeout" of call: expected a number above 0, found {describe(timeout)}')
    return min(timeout / 1000, _LONGEST_SECONDS)


_LONGEST_SECONDS: Final = 10_000_000.0
"""More than a timer of the event loop takes is no limit at all."""


def _answer_text(
    begin: bytes, values: "bytes | bytearray", message: Message, members: Mapping[str, Any] | None = None
) -> bytes:
    """The answer to a message with an `id`: how it begins, and the JSON text of what it says."""
    more = b"".join([b"," + encode(name) + b":" + encode(value) for name, value in members.items()]) if members else b""
    return b"".join((begin, values, b'],"id":', encode(message["id"]), more, b"}"))


def _text(text: str) -> bytes:
    return b'"' + text.encode() + b'"'  # the name of an error: nothing in it is to be escaped
