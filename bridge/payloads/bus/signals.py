"""Signals: those that a channel wants to be told of, and those that it sends."""

from collections.abc import Awaitable
from typing import Any

from spanbridge.manifests.member import describe
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from . import message as wire
from .channel import Message, encode, unclear
from .checks import check_interface, check_path, check_where, convert, signature_of, values_from_json
from .errors import BusError
from .marshal import TooMuch
from .match_rule import signals_of
from .matches import Counted, Full, Match
from .message import Message as BusMessage
from .names import is_bus_name, is_member
from .place import Place
from .skipping import is_large
from .slices import Text
from .turns import Turn


class Signals:
    """The matches of one channel."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._front = place.front
        self._connection = place.connection
        self._time = place.services.context.loop.time
        self._limits = place.services.context.limits
        self._log = place.services.context.log
        self._matches: Counted[Match] = Counted(self._limits.dbus_watches)

    def add(self, asked: Any, message: Message) -> None:
        """Raises Problem."""
        match = self._read("add-match", asked)
        try:
            if not self._matches.add(match):
                return
        except Full:
            most = self._limits.dbus_watches
            self._log.limit("dbus_watches", most)
            raise Problem(INTERNAL_ERROR, f"{most} matches of this channel are there already") from None
        self._place.peer(match.name)  # whose signals it takes is known before they come
        self._connection.rules.add(_rule(match), self._refused)

    def remove(self, asked: Any, message: Message) -> None:
        """Raises Problem."""
        match = self._read("remove-match", asked)
        if self._matches.remove(match):
            self._connection.rules.remove(_rule(match), self._refused)

    def end(self) -> None:
        for match in self._matches:
            self._connection.rules.remove(_rule(match), self._refused)

    def _refused(self, error: BusError) -> None:
        self._log.warning("match-refused", error=error.name)
        self._front.close(Problem(INTERNAL_ERROR, f"the bus refuses a match: {error.message}"))

    def _read(self, kind: str, asked: Any) -> Match:
        match: Match = convert(kind, asked, Match)
        check_where(kind, match)
        if match.member is not None and not is_member(match.member):
            raise unclear(f"{kind}: expected the name of a signal, found {describe(match.member)}")
        if match.arg0 is not None and "\0" in match.arg0:
            raise unclear(f"{kind}: arg0 with a NUL")
        name = self._place.name_of(kind, match.name)
        return Match(match.path, match.path_namespace, match.interface, match.member, match.arg0, name)

    def signalled(self, message: BusMessage, names: list[str]) -> Awaitable[None] | None:
        """A signal has come of whoever has these names."""
        path, interface, member = message.path or "", message.interface or "", message.member or ""
        fitting = [
            match
            for match in self._matches
            if (match.name is None or match.name in names) and match.fits(path, interface, member, match.arg0)
        ]
        if not fitting:
            return None
        asked = any(match.arg0 is not None for match in fitting)
        arg0 = message.first() if asked and message.signature.startswith("s") else None
        told = [match.name for match in fitting if match.arg0 is None or match.arg0 == arg0]
        if not told:
            return None
        name = None if self._place.name in told else told[0]
        if is_large(message.body):
            return self._tell_slowly(message, name)
        self._tell(message, self._place.encoder(message)(message.values()), name)
        return None

    async def _tell_slowly(self, message: BusMessage, name: str | None) -> None:
        text = Text(message, self._place.encoder(message), self._front.most)
        turn = Turn(self._time, self._place.services.tasks)
        for _ in text.pieces():
            if not self._front.open:
                return
            await turn.pause()
        self._tell(message, text.out, name)

    def _tell(self, message: BusMessage, values: "bytes | bytearray", name: str | None) -> None:
        head = encode([message.path, message.interface, message.member])[:-1]
        more = b"" if name is None else b',"name":' + encode(name)
        self._front.say(b"".join((b'{"signal":', head, b",", values, b"]", more, b"}")))

    # Sent

    def emit(self, asked: Any, message: Message) -> None:
        """Raises Problem, BusError."""
        path, interface, member, arguments = convert(
            "signal", asked, tuple[str, str, str, list[Any] | None], "[path, interface, signal, [arguments]]"
        )
        check_path("signal", path)
        check_interface("signal", interface)
        if not is_member(member):
            raise unclear(f"signal: expected the name of a signal, found {describe(member)}")
        destination = message.get("destination")
        if destination is not None and not (isinstance(destination, str) and is_bus_name(destination)):
            raise unclear(f'"destination" of signal: expected the name of a peer, found {describe(destination)}')
        signature = signature_of("signal", message)
        if signature is None:
            signature = self._types(interface, member)
        try:
            values = values_from_json(signature, arguments or [])
        except BusError as error:
            raise unclear(f"signal: {error.message}") from None
        try:
            sent = wire.signal(path, interface, member, signature, values, destination=destination)
        except TooMuch as error:
            raise unclear(f"signal: {error}") from None
        self._connection.tell(sent)

    def _types(self, interface: str, member: str) -> str:
        meta = self._place.metas.known.get(interface)
        signal = None if meta is None else meta.signals.get(member)
        if signal is not None:
            return "".join(signal.takes)
        raise unclear(f"signal: the types of {interface}.{member} are not known")


def _rule(match: Match) -> str:
    return signals_of(
        match.name,
        path=match.path,
        path_namespace=match.path_namespace,
        interface=match.interface,
        member=match.member,
        arg0=match.arg0,
    )
