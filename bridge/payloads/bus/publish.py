"""Objects that front ends publish on a connection: calls to them go to the channel that has them."""

from collections.abc import Awaitable, Iterable
from typing import Final, Protocol

from . import message as wire
from .connection import Connection
from .errors import (
    INVALID_ARGS,
    OBJECT_PATH_IN_USE,
    UNKNOWN_INTERFACE,
    UNKNOWN_METHOD,
    UNKNOWN_OBJECT,
    BusError,
)
from .message import Message
from .meta import INTROSPECTABLE, PEER, PROPERTIES, Meta, Method
from .names import is_member

_PROPERTY_METHODS: Final = {
    "Get": Method(["s", "s"], ["v"]),
    "GetAll": Method(["s"], ["a{sv}"]),
    "Set": Method(["s", "s", "v"], []),
}
_OURS: Final = {"Ping": PEER, "Introspect": INTROSPECTABLE}  # what the bridge answers, for calls without an interface
_FLAGS: Final = {"r": "read", "w": "write"}


class Publisher(Protocol):
    """A channel with objects."""

    def called(self, message: Message, interface: str, method: Method) -> Awaitable[None] | None:
        """A method of an object is called, with arguments of its types. What it returns is awaited before anything else
        of the caller is heeded. Raises BusError: it is not done."""


class _Object:
    """What one channel has at one path."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.interfaces: dict[str, Meta] = {}

    def names(self, member: str) -> list[str]:
        """The interfaces with such a method."""
        return [name for name, meta in self.interfaces.items() if member in meta.methods]


class Objects:
    """The objects of one connection, by path."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.serve = self.called
        self._objects: dict[str, _Object] = {}

    def publish(self, path: str, interface: str, meta: Meta, publisher: Publisher) -> None:
        """Offer an interface; again: it is replaced. Raises BusError: somebody else has the path."""
        found = self._objects.setdefault(path, _Object(publisher))
        if found.publisher is not publisher:
            raise BusError(OBJECT_PATH_IN_USE, f"another channel has published at {path}")
        found.interfaces[interface] = meta

    def unpublish(self, path: str, interface: str, publisher: Publisher) -> None:
        """Harmless where it is not published."""
        found = self._objects.get(path)
        if found is not None and found.publisher is publisher:
            found.interfaces.pop(interface, None)
            if not found.interfaces:
                del self._objects[path]

    def leave(self, publisher: Publisher) -> None:
        """The channel is over."""
        self._objects = {path: each for path, each in self._objects.items() if each.publisher is not publisher}

    def called(self, message: Message) -> Awaitable[None] | None:
        """A call has come."""
        try:
            return self._call(message)
        except BusError as error:
            self._connection.refuse(message, error)
            return None

    def _call(self, message: Message) -> Awaitable[None] | None:
        path, interface, member = message.path or "", message.interface, message.member or ""
        found = self._objects.get(path)
        if interface is None and not (found and found.names(member)):
            interface = _OURS.get(member)
        if (interface, member) == (PEER, "Ping"):
            self._answer(message)
        elif (interface, member) == (INTROSPECTABLE, "Introspect"):
            self._answer(message, "s", self._describe(path))
        else:
            if found is None:
                raise BusError(UNKNOWN_OBJECT, f"there is no object {path}")
            if interface == PROPERTIES:
                return self._call_property(found, message, member)
            name = self._find(found, interface, member)
            method = found.interfaces[name].methods.get(member)
            if method is None:
                raise BusError(UNKNOWN_METHOD, f"{path}: {name} has no method {member}")
            self._check(message, method)
            return found.publisher.called(message, name, method)
        return None

    @staticmethod
    def _find(found: _Object, interface: str | None, member: str) -> str:
        if interface is None:
            names = found.names(member)
            if not names:
                raise BusError(UNKNOWN_METHOD, f"there is no method {member}")
            return names[0]
        if interface not in found.interfaces:
            raise BusError(UNKNOWN_INTERFACE, f"there is no interface {interface}")
        return interface

    def _call_property(self, found: _Object, message: Message, member: str) -> Awaitable[None] | None:
        method = _PROPERTY_METHODS.get(member)
        if method is None:
            raise BusError(UNKNOWN_METHOD, f"{PROPERTIES} has no method {member}")
        self._check(message, method)
        self._find(found, message.first(), member)
        return found.publisher.called(message, PROPERTIES, method)

    @staticmethod
    def _check(message: Message, method: Method) -> None:
        expected = "".join(method.takes)
        if message.signature != expected:
            raise BusError(
                INVALID_ARGS, f"{message.member}: found arguments {message.signature!r}, expected {expected!r}"
            )

    def _answer(self, message: Message, signature: str = "", *values: str) -> None:
        if not message.flags & wire.NO_REPLY:
            self._connection.tell(wire.reply(message, signature, values))

    def _describe(self, path: str) -> str:
        found = self._objects.get(path)
        prefix = path.rstrip("/") + "/"
        below = [known.removeprefix(prefix).partition("/")[0] for known in self._objects if known.startswith(prefix)]
        if found is None and not below:
            raise BusError(UNKNOWN_OBJECT, f"there is no object {path}")
        return to_xml(found.interfaces if found is not None else {}, dict.fromkeys(below))


def to_xml(interfaces: dict[str, Meta], children: Iterable[str]) -> str:
    """What an object says of itself (D-Bus Specification, "Introspection Data Format")."""
    lines = ["<node>"]
    for name, meta in interfaces.items():
        lines.append(f' <interface name="{name}">')
        for member, method in meta.methods.items():
            lines.append(f'  <method name="{member}">')
            lines += [f'   <arg type="{each}" direction="in"/>' for each in method.takes]
            lines += [f'   <arg type="{each}" direction="out"/>' for each in method.gives]
            lines.append("  </method>")
        for member, each in meta.properties.items():
            access = "".join(_FLAGS[flag] for flag in "rw" if flag in each.flags)
            if access and is_member(member):
                lines.append(f'  <property name="{member}" type="{each.type}" access="{access}"/>')
        for member, signal in meta.signals.items():
            lines.append(f'  <signal name="{member}">')
            lines += [f'   <arg type="{each}"/>' for each in signal.takes]
            lines.append("  </signal>")
        lines.append(" </interface>")
    lines += [f' <node name="{child}"/>' for child in children]
    return "\n".join([*lines, "</node>", ""])
