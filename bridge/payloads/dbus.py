"""Payload `dbus-json3` on the internal bus: messages in, messages out (docs/internal-bus.md)."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from anyio import CancelScope

from spanbridge.manifests.member import MemberError, describe, spell
from spanbridge.protocol.control import frame_of, read_object
from spanbridge.protocol.frames import Span, control_payload, payloads
from spanbridge.protocol.problems import INTERNAL_ERROR, NOT_FOUND, NOT_SUPPORTED, PROTOCOL_ERROR, TOO_LARGE, Problem

from ..wire.source import Source
from .base import Port, Services
from .bus import pace
from .bus.bus import Bus
from .bus.errors import FAILED, INVALID_ARGS, LIMITS_EXCEEDED, BusError
from .bus.interface import Argument, Method
from .bus.introspect import to_meta
from .bus.limits import MESSAGE_BYTES
from .bus.matches import Counted, Full, Match, Watch
from .bus.node import bare
from .bus.values import as_utf8, from_json, many_to_json

_BYTE_ORDER: Final = "<" if sys.byteorder == "little" else ">"
_REAL_BUSES: Final = ("system", "session", "user")

Asked = TypeVar("Asked", Match, Watch)


class DBus:
    """One `dbus-json3` channel. Calls that wait are ended with it; what they have begun is the object's own affair."""

    def __init__(self, port: Port, options: dict[str, Any], services: Services) -> None:
        check(options)
        self._port = port
        self._services = services
        self._log = services.context.log
        self._limits = services.context.limits
        self._bus = services.once(Bus)
        self._pace = pace.Pace(services, self._input)
        self._matches: Counted[Match] = Counted(self._limits.bus_watches)
        self._watches: Counted[Watch] = Counted(self._limits.bus_watches)
        self._described: set[str] = set()
        self._calls: set[CancelScope] = set()
        self._open = True
        self._bus.join(self)
        port.control("ready")

    takes = False
    kind = "dbus-json3"

    def move_in(self, held: Span, source: Source, missing: int) -> int:
        return 0

    def put(self, data: Span) -> None:
        for payload in payloads(data):
            self._take(None, payload)

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        if command == "ping":
            self._take(command, frame)

    def _take(self, command: str | None, data: bytes) -> None:
        if not self._open:
            return
        try:
            self._pace.put(command, data)
        except pace.Full:
            most = self._limits.bus_backlog_bytes
            self._log.limit("bus_backlog_bytes", most)
            message = f"{most} bytes of messages wait for the front end to take earlier answers"
            self._port.close(Problem(INTERNAL_ERROR, message))

    def _input(self, command: str | None, data: bytes) -> None:
        if command == "ping":
            self._port.forward(frame_of({**read_object(control_payload(data)), "command": "pong"}))
            return
        try:
            self._message(data)
        except Problem as problem:
            self._port.close(problem)

    def end(self) -> None:
        self._open = False
        self._pace.end()
        self._bus.leave(self)
        for scope in self._calls:
            scope.cancel()

    # Messages

    def _message(self, payload: bytes) -> None:
        if len(payload) > MESSAGE_BYTES:
            raise Problem(TOO_LARGE, f"dbus-json3: a message of {len(payload)} bytes, expected at most {MESSAGE_BYTES}")
        try:
            message = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _unclear(f"expected a JSON object: {error}") from None
        if not isinstance(message, dict):
            raise _unclear(f"expected a JSON object, found {describe(message)}")
        kinds = [kind for kind in _KINDS if kind in message]
        if len(kinds) != 1:
            raise _unclear(f"expected one of {', '.join(_KINDS)}, found {', '.join(kinds) or 'none of them'}")
        self._act(kinds[0], message)

    def _act(self, kind: str, message: dict[str, Any]) -> None:
        try:
            _KINDS[kind](self, message[kind], message)
        except Problem:
            raise
        except BusError as error:
            self._refuse(message, error)
        except Exception as error:  # noqa: BLE001 - a mistake in one object must not end the session
            self._refuse(message, self._mistake(kind, error))

    def _send(self, message: dict[str, Any]) -> None:
        if self._open:
            data = msgspec.json.encode(message)
            self._pace.answered(len(data))
            self._port.send(data)

    def _answer(self, message: dict[str, Any], answer: dict[str, Any]) -> None:
        """Answer a message that has an `id`."""
        ident = message.get("id")
        if ident is not None:
            self._send({**answer, "id": ident})

    def _refuse(self, message: dict[str, Any], error: BusError) -> None:
        self._answer(message, {"error": [error.name, [as_utf8(error.message)]]})

    # Calls

    def _call(self, asked: Any, message: dict[str, Any]) -> None:
        path, interface, name, arguments = _read_call(asked)
        signature = message.get("type")
        if not isinstance(signature, str | None):
            raise _unclear(f'"type" of a call: expected a signature, found {describe(signature)}')
        method, server = self._bus.node(path).method(interface, name)
        values = _values(f"{interface}.{name}", method, signature, arguments)
        if method.waits:
            self._start(method, server, values, message)
        else:
            self._reply(method, method.function(server, *values), message)

    def _start(self, method: Method, server: Any, values: list[Any], message: dict[str, Any]) -> None:
        if len(self._calls) >= self._limits.bus_calls:
            self._log.limit("bus_calls", self._limits.bus_calls)
            raise BusError(LIMITS_EXCEEDED, f"{self._limits.bus_calls} calls of this channel are not answered yet")
        scope = CancelScope()
        self._calls.add(scope)
        self._services.tasks.start_soon(self._wait, scope, method, server, values, message)

    async def _wait(
        self, scope: CancelScope, method: Method, server: Any, values: list[Any], message: dict[str, Any]
    ) -> None:
        with scope:
            try:
                self._reply(method, await method.function(server, *values), message)
            except BusError as error:
                self._refuse(message, error)
            except Exception as error:  # noqa: BLE001 - as in _act
                self._refuse(message, self._mistake("call", error))
        self._calls.discard(scope)

    def _reply(self, method: Method, outcome: Any, message: dict[str, Any]) -> None:
        gives = method.gives
        outcomes = () if not gives else (outcome,) if len(gives) == 1 else outcome
        answer: dict[str, Any] = {"reply": [many_to_json(tuple(each.type for each in gives), outcomes)]}
        if "type" in message:
            answer["type"] = _signature(gives)
        if "flags" in message:
            answer["flags"] = _BYTE_ORDER
        self._answer(message, answer)

    def _mistake(self, kind: str, error: Exception) -> BusError:
        told = f"{type(error).__name__}: {error}"
        self._log.error("bus-failed", message=kind, why=told)
        if self._log.debugging("bugs"):
            import traceback

            self._log.debug("bugs", "traceback", text="".join(traceback.format_exception(error)))
        return BusError(FAILED, told)

    # Signals

    def _add_match(self, asked: Any, message: dict[str, Any]) -> None:
        match = _read("add-match", asked, Match)
        try:
            self._matches.add(match)
        except Full:
            self._log.limit("bus_watches", self._limits.bus_watches)
            raise Problem(
                INTERNAL_ERROR, f"the limit of {self._limits.bus_watches} matches of one channel is reached"
            ) from None
        for path in self._bus.paths:
            if match.reaches(path):
                self._bus.node(path)  # an object that nobody has made tells nothing

    def _remove_match(self, asked: Any, message: dict[str, Any]) -> None:
        self._matches.remove(_read("remove-match", asked, Match))

    def signalled(self, path: str, interface: str, member: str, arguments: list[Any], arg0: str | None) -> None:
        if any(match.fits(path, interface, member, arg0) for match in self._matches):
            self._send({"signal": [path, interface, member, arguments]})

    # Properties

    def _watch(self, asked: Any, message: dict[str, Any]) -> None:
        watch = _read("watch", asked, Watch)
        if watch.path is not None:
            self._bus.node(watch.path)
        try:
            self._watches.add(watch)
        except Full:
            self._log.limit("bus_watches", self._limits.bus_watches)
            raise BusError(
                LIMITS_EXCEEDED, f"{self._limits.bus_watches} watches of this channel are there already"
            ) from None
        self._tell(watch)
        self._answer(message, {"reply": []})

    def _unwatch(self, asked: Any, message: dict[str, Any]) -> None:
        self._watches.remove(_read("unwatch", asked, Watch))

    def _tell(self, watch: Watch) -> None:
        """All properties of what is watched, and before that the interfaces that were not told of yet."""
        meta: dict[str, Any] = {}
        notify: dict[str, Any] = {}
        for path in self._bus.paths:
            if not watch.reaches(path):
                continue
            node = self._bus.node(path)
            if node.own is None or not watch.fits(path, node.own.interface.name):
                continue
            interface = node.own.interface
            if interface.name not in self._described:
                meta[interface.name] = to_meta(interface)
            notify[path] = {interface.name: bare(interface, node.properties(interface.name))}
        self._described.update(meta)
        if meta:
            self._send({"meta": meta})
        if notify:
            self._send({"notify": notify})

    def changed(self, path: str, interface: str, properties: dict[str, Any]) -> None:
        if any(watch.fits(path, interface) for watch in self._watches):
            self._send({"notify": {path: {interface: properties}}})

    def _meta(self, asked: Any, message: dict[str, Any]) -> None:
        """What the front end describes it need not be told."""
        if not isinstance(asked, dict):
            raise _unclear(f"meta: expected an object, found {describe(asked)}")
        self._described.update(asked)
        if len(self._described) > self._limits.bus_described:
            self._log.limit("bus_described", self._limits.bus_described)
            raise Problem(
                INTERNAL_ERROR,
                f"the limit of {self._limits.bus_described} described interfaces of one channel is reached",
            )


_KINDS: Final[Mapping[str, Callable[[DBus, Any, dict[str, Any]], None]]] = {
    "call": DBus._call,
    "add-match": DBus._add_match,
    "remove-match": DBus._remove_match,
    "watch": DBus._watch,
    "unwatch": DBus._unwatch,
    "meta": DBus._meta,
}


def check(options: dict[str, Any]) -> None:
    """Raises Problem unless it is the internal bus that is asked for."""
    bus, name, address = options.get("bus"), options.get("name"), options.get("address")
    if bus == "internal" or (bus == "none" and address in (None, "internal")):
        if name is not None:
            raise Problem(
                PROTOCOL_ERROR, f'"name" of the open: expected none on the internal bus, found {describe(name)}'
            )
        return
    if bus == "none":
        raise Problem(NOT_SUPPORTED, f'"address" of the open: expected "internal", found {describe(address)}')
    if bus is not None and bus not in _REAL_BUSES:
        raise Problem(
            PROTOCOL_ERROR,
            f'"bus" of the open: expected internal, none, {", ".join(_REAL_BUSES)}, found {describe(bus)}',
        )
    if isinstance(name, str):
        raise Problem(
            NOT_FOUND, f"nobody answers to {name} on the {bus or 'system'} bus: only the internal bus is served"
        )
    raise Problem(NOT_SUPPORTED, f"the {bus or 'system'} bus is not served, only the internal one")


def _unclear(message: str) -> Problem:
    return Problem(PROTOCOL_ERROR, f"dbus-json3: {message}")


def _read(kind: str, asked: Any, into: type[Asked]) -> Asked:
    try:
        return msgspec.convert(asked, into)
    except msgspec.ValidationError as error:
        raise _unclear(f"{kind}: {error}") from None


def _read_call(asked: Any) -> tuple[str, str, str, list[Any]]:
    """Path, interface, method, arguments."""
    try:
        return msgspec.convert(asked, tuple[str, str, str, list[Any]])
    except msgspec.ValidationError as error:
        raise _unclear(f"call: expected [path, interface, method, [arguments]]: {error}") from None


def _values(where: str, method: Method, signature: str | None, arguments: list[Any]) -> list[Any]:
    """The arguments as the method takes them. Raises BusError."""
    wanted = _signature(method.takes)
    if signature is not None and signature != wanted:
        raise BusError(INVALID_ARGS, f"{where}: found the type {describe(signature)}, expected {describe(wanted)}")
    if len(arguments) != len(method.takes):
        listed = ", ".join(f"{each.name} ({each.type.text})" for each in method.takes)
        raise BusError(
            INVALID_ARGS,
            f"{where}: found {len(arguments)} arguments, expected {len(method.takes)}{': ' if listed else ''}{listed}",
        )
    return [_value(where, *each) for each in zip(method.takes, arguments, strict=True)]


def _value(where: str, argument: Argument, value: Any) -> Any:
    try:
        return from_json(argument.type, value)
    except MemberError as error:
        place = f" at {spell(error.path)}" if error.path else ""
        raise BusError(INVALID_ARGS, f"{where}: argument {argument.name}{place}: {error.message}") from None


def _signature(arguments: tuple[Argument, ...]) -> str:
    return "".join(each.type.text for each in arguments)
