"""The bridge's own objects behind a `dbus-json3` channel (docs/internal-bus.md)."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from anyio import CancelScope

from spanbridge.manifests.member import MemberError, describe, spell
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..base import Services
from .bus import Bus
from .channel import Handler, Message, Messages, encode, unclear
from .errors import INVALID_ARGS, LIMITS_EXCEEDED, BusError
from .interface import Argument, Method
from .introspect import to_meta
from .matches import Counted, Full, Match, Watch
from .names import is_interface
from .node import bare
from .values import from_json, many_to_json

_BYTE_ORDER: Final = "<" if sys.byteorder == "little" else ">"

Asked = TypeVar("Asked", Match, Watch)


class Inside:
    """One channel. Calls that wait are ended with it; what they have begun is the object's own affair."""

    def __init__(self, front: Messages, services: Services) -> None:
        self._front = front
        self._services = services
        self._log = services.context.log
        self._limits = services.context.limits
        self._bus = services.once(Bus)
        self._matches: Counted[Match] = Counted(self._limits.bus_watches)
        self._watches: Counted[Watch] = Counted(self._limits.bus_watches)
        self._preparing: list[Watch] = []  # those that wait for an object, and are not among the watches yet
        self._described: set[str] = set()
        self._calls: dict[CancelScope, int] = {}  # and how many bytes each has
        self._bus.join(self)
        self.kinds: Mapping[str, Handler] = {
            "call": self._call,
            "add-match": self._add_match,
            "remove-match": self._remove_match,
            "watch": self._watch,
            "unwatch": self._unwatch,
            "meta": self._meta,
        }

    def hold(self) -> None:
        """Objects say little by themselves."""

    def release(self) -> None:
        """As hold."""

    def too_long(self, payload: bytes, told: str) -> bool:
        return False  # nobody calls a channel

    def end(self) -> None:
        self._bus.leave(self)
        for scope in self._calls:
            scope.cancel()

    # Calls

    def _call(self, asked: Any, message: Message) -> None:
        path, interface, name, arguments = _read_call(asked)
        if self._prepares([path], "call", lambda: self._call(asked, message), message):
            return
        signature = message.get("type")
        if not isinstance(signature, str | None):
            raise unclear(f'"type" of a call: expected a signature, found {describe(signature)}')
        method, server = self._bus.node(path).method(interface, name)
        values = _values(f"{interface}.{name}", method, signature, arguments)
        if method.waits:
            self._start(method, server, values, message)
        else:
            self._reply(method, method.function(server, *values), message)

    def _start(self, method: Method, server: Any, values: list[Any], message: Message) -> None:
        size = self._check_room(message)
        begun = partial(method.function, server, *values)
        outcome = begun() if method.begins else begun
        scope = CancelScope()
        self._calls[scope] = size
        self._services.tasks.start_soon(self._wait, scope, method, outcome, message)

    async def _wait(
        self, scope: CancelScope, method: Method, outcome: Callable[[], Awaitable[Any]], message: Message
    ) -> None:
        with scope:
            try:
                self._reply(method, await outcome(), message)
            except BusError as error:
                self._front.refuse(message, error)
            except Exception as error:  # noqa: BLE001 - as in Messages.attempt
                self._front.refuse(message, self._front.mistake("call", error))
        self._calls.pop(scope, None)

    def _prepares(self, paths: list[str], kind: str, again: Callable[[], None], message: Message) -> bool:
        """Whether one of the objects has to find something out first; `again` is called then."""
        servers = [node.own.server for node in map(self._bus.node, paths) if node.own is not None]
        unready = [server for server in servers if not getattr(server, "prepared", True)]
        if not unready:
            return False
        size = self._check_room(message)
        scope = CancelScope()
        self._calls[scope] = size
        self._services.tasks.start_soon(self._prepare, scope, unready[0], kind, again, message)
        return True

    def _check_room(self, message: Message) -> int:
        """For one more that waits; how many bytes it has. Raises BusError."""
        if len(self._calls) >= self._limits.bus_calls:
            self._log.limit("bus_calls", self._limits.bus_calls)
            raise BusError(LIMITS_EXCEEDED, f"{self._limits.bus_calls} calls of this channel are not answered yet")
        most = self._limits.bus_backlog_bytes
        size = len(encode(message))
        if sum(self._calls.values()) + size > most:
            self._log.limit("bus_backlog_bytes", most)
            told = f"more than {most} bytes of calls of this channel are not answered yet (bus_backlog_bytes)"
            raise BusError(LIMITS_EXCEEDED, told)
        return size

    async def _prepare(
        self, scope: CancelScope, server: Any, kind: str, again: Callable[[], None], message: Message
    ) -> None:
        with scope:
            try:
                await server.prepare()
                self._calls.pop(scope, None)  # it may have to wait again, for something else
                self._front.attempt(kind, message, again)
            except Problem as problem:
                self._front.close(problem)

    def _reply(self, method: Method, outcome: Any, message: Message) -> None:
        gives = method.gives
        outcomes = () if not gives else (outcome,) if len(gives) == 1 else outcome
        answer: Message = {"reply": [many_to_json(tuple(each.type for each in gives), outcomes)]}
        if "type" in message:
            answer["type"] = _signature(gives)
        if "flags" in message:
            answer["flags"] = _BYTE_ORDER
        self._front.answer(message, answer)

    # Signals

    def _add_match(self, asked: Any, message: Message) -> None:
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

    def _remove_match(self, asked: Any, message: Message) -> None:
        self._matches.remove(_read("remove-match", asked, Match))
        self._bus.tell_fewer()

    def listens(self, path: str, interface: str, member: str) -> bool:
        """Whether such a signal might be passed on."""
        return any(match.reaches_signal(path, interface, member) for match in self._matches)

    def signalled(self, path: str, interface: str, member: str, arguments: list[Any], arg0: str | None) -> None:
        if any(match.fits(path, interface, member, arg0) for match in self._matches):
            self._front.tell({"signal": [path, interface, member, arguments]})

    # Properties

    def _watch(self, asked: Any, message: Message) -> None:
        watch = _read("watch", asked, Watch)
        if watch.path is not None:
            self._bus.node(watch.path)
        reached = [path for path in self._bus.paths if watch.reaches(path)]
        if self._prepares(reached, "watch", lambda: self._watch_prepared(watch, asked, message), message):
            self._preparing.append(watch)
            return
        try:
            self._watches.add(watch)
        except Full:
            self._log.limit("bus_watches", self._limits.bus_watches)
            raise BusError(
                LIMITS_EXCEEDED, f"{self._limits.bus_watches} watches of this channel are there already"
            ) from None
        self._tell(watch)
        self._front.answer(message, {"reply": []})

    def _watch_prepared(self, watch: Watch, asked: Any, message: Message) -> None:
        if watch in self._preparing:
            self._preparing.remove(watch)
            self._watch(asked, message)
        else:  # it was taken back meanwhile
            self._front.answer(message, {"reply": []})

    def _unwatch(self, asked: Any, message: Message) -> None:
        watch = _read("unwatch", asked, Watch)
        if watch in self._preparing:
            self._preparing.remove(watch)
        else:
            self._watches.remove(watch)

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
            self._front.tell({"meta": meta})
        if notify:
            self._front.tell({"notify": notify})

    def changed(self, path: str, interface: str, properties: dict[str, Any]) -> None:
        if any(watch.fits(path, interface) for watch in self._watches):
            self._front.tell({"notify": {path: {interface: properties}}})

    def _meta(self, asked: Any, message: Message) -> None:
        """What the front end describes it need not be told."""
        if not isinstance(asked, dict):
            raise unclear(f"meta: expected an object, found {describe(asked)}")
        self._described.update(filter(is_interface, asked))
        if len(self._described) > self._limits.bus_described:
            self._log.limit("bus_described", self._limits.bus_described)
            raise Problem(
                INTERNAL_ERROR,
                f"the limit of {self._limits.bus_described} described interfaces of one channel is reached",
            )


def _read(kind: str, asked: Any, into: type[Asked]) -> Asked:
    try:
        found = msgspec.convert(asked, into)
    except msgspec.ValidationError as error:
        raise unclear(f"{kind}: {error}") from None
    if found.name is not None:
        raise unclear(f"{kind}: expected no name on the internal bus, found {describe(found.name)}")
    return found


def _read_call(asked: Any) -> tuple[str, str, str, list[Any]]:
    """Path, interface, method, arguments."""
    try:
        path, interface, method, arguments = msgspec.convert(asked, tuple[str, str, str, list[Any] | None])
    except msgspec.ValidationError as error:
        raise unclear(f"call: expected [path, interface, method, [arguments]]: {error}") from None
    return path, interface, method, arguments or []


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
