"""The tree of objects of one session, and what is told of them (docs/internal-bus.md)."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from ..base import Services
from .errors import UNKNOWN_OBJECT, BusError
from .interface import Interface, Signal, interface_of
from .meta import PROPERTIES
from .node import Node, Offer, bare
from .signature import is_below, is_path
from .standard import Properties
from .values import many_to_json

# path -> the module that has its class, and the class. An object is made when it is first asked for.
OBJECTS: Final[Mapping[str, tuple[str, str]]] = {
    "/LoginMessages": (".login_messages", "LoginMessages"),
    "/config": (".config", "Config"),
    "/environment": (".environment", "Environment"),
    "/hosts": (".hosts", "Hosts"),
    "/machines": (".machines", "Machines"),
    "/packages": (".packages", "Packages"),
    "/superuser": (".superuser", "Superuser"),
    "/user": (".user", "User"),
}

_PROPERTIES_CHANGED: Final = Properties.signals[0]


class Listener(Protocol):
    """Who is told of all that happens on the bus. Values are JSON."""

    def changed(self, path: str, interface: str, properties: dict[str, Any]) -> None:
        """Properties have changed to these values."""

    def signalled(self, path: str, interface: str, member: str, arguments: list[Any], arg0: str | None) -> None:
        """An object has sent a signal; `arg0` is its first argument, if that is a string."""

    def listens(self, path: str, interface: str, member: str) -> bool:
        """Whether such a signal might be passed on."""


class Outlet:
    """What one object says on its own."""

    __slots__ = ("_bus", "_interface", "_path")

    def __init__(self, bus: "Bus", path: str, interface: Interface) -> None:
        self._bus = bus
        self._path = path
        self._interface = interface

    def changed(self, *names: str) -> None:
        """Properties of the object have other values now: those who watch it are told."""
        self._bus.tell_changed(self._path, self._interface, names)

    def emit(self, name: str, *arguments: Any) -> None:
        """Send one of the object's signals."""
        self._bus.tell_signal(self._path, self._interface.name, self._interface.signals[name], arguments)

    def heard(self, name: str) -> bool:
        """Whether anybody listens to one of the object's signals."""
        return self._bus.listens(self._path, self._interface.name, name)

    def on_fewer(self, told: Callable[[], None]) -> None:
        """Call `told` whenever somebody listens to less than before."""
        self._bus.on_fewer.append(told)


class Bus:
    """One for a session (Services.once). `objects`: path -> module and class, made of Services and Outlet."""

    def __init__(self, services: Services, objects: Mapping[str, tuple[str, str]] = OBJECTS) -> None:
        self._services = services
        self._objects = objects
        self._nodes: dict[str, Node] = {}
        self._listeners: dict[Listener, None] = {}
        self.on_fewer: list[Callable[[], None]] = []  # called when somebody listens to less than before

    def join(self, listener: Listener) -> None:
        self._listeners[listener] = None

    def leave(self, listener: Listener) -> None:
        """Harmless for one that has not joined."""
        self._listeners.pop(listener, None)
        self.tell_fewer()

    def tell_fewer(self) -> None:
        """Somebody listens to less than before."""
        for told in self.on_fewer:
            told()

    def listens(self, path: str, interface: str, member: str) -> bool:
        """Whether anybody is told of such a signal."""
        return any(listener.listens(path, interface, member) for listener in self._listeners)

    def node(self, path: str) -> Node:
        """What is at `path`. Raises BusError."""
        if path not in self._nodes:
            self._nodes[path] = self._make(path)
        return self._nodes[path]

    @property
    def paths(self) -> list[str]:
        """Where there are objects, made or not."""
        return list(self._objects)

    def _make(self, path: str) -> Node:
        if path in self._objects:
            module, name = self._objects[path]
            kind = getattr(import_module(module, __package__), name)
            interface = interface_of(kind)
            server = kind(self._services, Outlet(self, path, interface))
            return Node(path, Offer(interface, server), self._below(path))
        if is_path(path) and any(is_below(known, path) for known in self._objects):
            return Node(path, None, self._below(path))
        raise BusError(UNKNOWN_OBJECT, f"there is no object {path}")

    def _below(self, path: str) -> list[str]:
        prefix = path.rstrip("/") + "/"
        below = [known.removeprefix(prefix) for known in self._objects if known.startswith(prefix)]
        return list(dict.fromkeys(name.partition("/")[0] for name in below))

    # What objects say

    def tell_changed(self, path: str, interface: Interface, names: tuple[str, ...]) -> None:
        if path not in self._nodes or not self._listeners:  # it is just being made, or nobody was told the old values
            return
        node = self._nodes[path]
        changed = {name: node.property(interface.name, name) for name in names}
        told = bare(interface, changed)
        for listener in list(self._listeners):
            listener.changed(path, interface.name, told)
        without_value: list[str] = []
        self.tell_signal(path, PROPERTIES, _PROPERTIES_CHANGED, (interface.name, changed, without_value))

    def tell_signal(self, path: str, interface: str, signal: Signal, arguments: tuple[Any, ...]) -> None:
        told = many_to_json(tuple(each.type for each in signal.arguments), arguments)
        arg0 = told[0] if signal.arguments and signal.arguments[0].type.code == "s" else None
        for listener in list(self._listeners):
            listener.signalled(path, interface, signal.name, told, arg0)
