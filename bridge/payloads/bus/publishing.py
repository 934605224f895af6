"""Objects that a channel publishes: calls to them, and its answers."""

from collections.abc import Awaitable
from itertools import count
from typing import Any

import msgspec

from spanbridge.manifests.member import describe

from . import message as wire
from .channel import Message, encode, unclear
from .checks import check_interface, check_path, convert, signature_of, values_from_json
from .errors import DISCONNECTED, INVALID_ARGS, LIMITS_EXCEEDED, BusError
from .marshal import TooMuch
from .message import Message as BusMessage
from .meta import Method
from .names import is_interface
from .place import Place
from .publish import Objects
from .skipping import is_large
from .slices import Text
from .turns import Turn


class _Answer(msgspec.Struct):
    """An answer of the front end of which the values are not read."""

    id: str
    reply: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Publishing:
    """The objects of one channel."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._front = place.front
        self._connection = place.connection
        self._time = place.services.context.loop.time
        self._limits = place.services.context.limits
        self._log = place.services.context.log
        self._numbers = count(1)
        self._calls: dict[str, tuple[BusMessage, str]] = {}  # id -> the call, and the types of its results
        self._published = False

    def publish(self, asked: Any, message: Message) -> None:
        """Raises Problem, BusError."""
        path, interface = self._read("publish", asked)
        meta = self._place.metas.known.get(interface)
        if meta is None:
            raise unclear(f"publish: {interface} is not described (meta)")
        self._connection.once(Objects).publish(path, interface, meta, self)
        self._published = True
        self._front.answer(message, {"reply": []})

    def unpublish(self, asked: Any, message: Message) -> None:
        """Raises Problem."""
        path, interface = self._read("unpublish", asked)
        if self._published:
            self._connection.once(Objects).unpublish(path, interface, self)
            self._give_up(
                [
                    ident
                    for ident, (call, _) in self._calls.items()
                    if call.path == path and call.interface in (None, interface)
                ]
            )
        self._front.answer(message, {"reply": []})

    @staticmethod
    def _read(kind: str, asked: Any) -> tuple[str, str]:
        path, interface = convert(kind, asked, tuple[str, str], "[path, interface]")
        check_path(kind, path)
        check_interface(kind, interface)
        return path, interface

    def end(self) -> None:
        if self._published:
            self._connection.once(Objects).leave(self)
        self._give_up(list(self._calls))

    def _give_up(self, idents: list[str]) -> None:
        for ident in idents:
            call, _ = self._calls.pop(ident)
            self._connection.refuse(call, BusError(DISCONNECTED, "whoever has published this object is gone"))

    # Calls

    def called(self, message: BusMessage, interface: str, method: Method) -> Awaitable[None] | None:
        """Raises BusError."""
        most = self._limits.dbus_published_calls
        if len(self._calls) >= most:
            self._log.limit("dbus_published_calls", most)
            raise BusError(LIMITS_EXCEEDED, f"{most} calls of this object are not answered yet")
        ident = f"call-{next(self._numbers)}"
        self._calls[ident] = (message._replace(body=b"", fds=()), "".join(method.gives))
        if is_large(message.body):
            return self._hand_over_slowly(ident, message, interface)
        self._hand_over(ident, message, interface, self._place.encoder(message)(message.values()))
        return None

    async def _hand_over_slowly(self, ident: str, message: BusMessage, interface: str) -> None:
        text = Text(message, self._place.encoder(message), self._front.most)
        turn = Turn(self._time, self._place.services.tasks)
        for _ in text.pieces():
            if ident not in self._calls:
                return  # it was given up: the object is gone
            await turn.pause()
        self._hand_over(ident, message, interface, text.out)

    def _hand_over(self, ident: str, message: BusMessage, interface: str, values: "bytes | bytearray") -> None:
        if ident not in self._calls:
            return
        head = encode([message.path, interface, message.member])[:-1]
        sender = b"" if message.sender is None else b',"name":' + encode(message.sender)
        text = b"".join((b'{"call":', head, b",", values, b'],"id":"', ident.encode(), b'"', sender, b"}"))
        most = self._front.most
        if len(text) <= most:
            self._front.say(text)
            return
        self._front.log_too_long()
        call, _ = self._calls.pop(ident)
        told = f"{interface}.{message.member}: more than {most} bytes of JSON (frame_bytes)"
        self._connection.refuse(call, BusError(LIMITS_EXCEEDED, told))

    def reply(self, asked: Any, message: Message) -> None:
        """The front end's answer to a call. Raises Problem."""
        (values,) = convert("reply", asked, tuple[list[Any] | None], "[[results]]")
        signature = signature_of("reply", message)
        found = self._found(message)
        if found is None:
            return
        call, gives = found
        signature = gives if signature is None else signature
        try:
            self._tell(call, wire.reply(call, signature, values_from_json(signature, values or [])))
        except (BusError, TooMuch) as error:
            self._connection.refuse(call, BusError(INVALID_ARGS, getattr(error, "message", str(error))))

    def error(self, asked: Any, message: Message) -> None:
        """The same for a call that has failed. Raises Problem."""
        name, values = convert("error", asked, tuple[str, list[Any] | None], "[name, [arguments]]")
        if not is_interface(name):
            raise unclear(f"error: expected the name of an error, found {describe(name)}")
        signature = signature_of("error", message)
        found = self._found(message)
        if found is None:
            return
        call, _ = found
        values = values or []
        try:
            signature = "s" * len(values) if signature is None else signature
            self._tell(call, wire.error(call, name, signature, values_from_json(signature, values)))
        except (BusError, TooMuch) as error:
            told = getattr(error, "message", str(error))
            self._connection.refuse(call, BusError(INVALID_ARGS, f"{name}: {told}"))

    def too_long(self, payload: bytes, told: str) -> bool:
        """Whether this answers a call: its caller is then told that it is longer than is read."""
        if not self._calls:
            return False
        try:
            answer = msgspec.json.decode(payload, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        if (answer.reply is msgspec.UNSET) == (answer.error is msgspec.UNSET):
            return False
        call, _ = self._calls.pop(answer.id, (None, ""))
        if call is not None:
            self._connection.refuse(call, BusError(LIMITS_EXCEEDED, f"{call.member} was answered with {told}"))
        return call is not None

    def _found(self, message: Message) -> tuple[BusMessage, str] | None:
        ident = message.get("id")
        return self._calls.pop(ident, None) if isinstance(ident, str) else None

    def _tell(self, call: BusMessage, answer: BusMessage) -> None:
        if not call.flags & wire.NO_REPLY:
            self._connection.tell(answer)
