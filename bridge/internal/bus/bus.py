"""The tree of objects of one session, and what is told of them (docs/internal-bus.md)."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from ..base import Services
from .errors import UNKNOWN_OBJECT, BusError
from .interface import Interface, Signal
from .node import Node, bare
from .standard import PROPERTIES, Properties
from .values import Variant, is_below, many_to_json

# path -> the module that has its class, and the class. An object is made when it is first asked for.
OBJECTS: Final[Mapping[str, tuple[str, str]]] = {
    "/LoginMessages": (".login_messages", "LoginMessages"),
    "/config": (".config", "Config"),
    "/environment": (".environment", "Environment"),
    "/machines": (".machines", "Machines"),
    "/packages": (".packages", "Packages"),
    "/user": (".user", "User"),
}

_PROPERTIES_CHANGED: Final = Properties.signals[0]


class Listener(Protocol):
    """Who is told of all that happens on the bus. Values are JSON."""

    def changed(self, path: str, interface: str, properties: dict[str, Any]) -> None:
        """Properties have changed to these values."""

    def signalled(self, path: str, interface: str, member: str, arguments: list[Any]) -> None:
        """An object has sent a signal."""


class Outlet:
    """What one object says on its own."""

    __slots__ = ("_bus", "_path")

    def __init__(self, bus: "Bus", path: str) -> None:
        self._bus = bus
        self._path = path

    def changed(self, *names: str) -> None:
        """Properties of the object have other values now: those who watch it are told."""
        self._bus.tell_changed(self._path, names)

    def emit(self, name: str, *arguments: Any) -> None:
        """Send one of the object's signals."""
        self._bus.tell_signal(self._path, name, arguments)


class Bus:
    """One for a session (Services.once). `objects`: path -> module and class, made of Services and Outlet."""

    def __init__(self, services: Services, objects: Mapping[str, tuple[str, str]] = OBJECTS) -> None:
        self._services = services
        self._objects = objects
        self._nodes: dict[str, Node] = {}
        self._listeners: dict[Listener, None] = {}

    def join(self, listener: Listener) -> None:
        self._listeners[listener] = None

    def leave(self, listener: Listener) -> None:
        """Harmless for one that has not joined."""
        self._listeners.pop(listener, None)

    def node(self, path: str) -> Node:
        """What is at `path`. Raises BusError."""
        if path not in self._nodes:
            self._nodes[path] = self._make(path)
        return self._nodes[path]

    def objects(self, namespace: str) -> list[Node]:
        """The objects at `namespace` and below it."""
        return [self.node(path) for path in self._objects if is_below(path, namespace)]

    def _make(self, path: str) -> Node:
        if path in self._objects:
            module, name = self._objects[path]
            made = getattr(import_module(module, __package__), name)(self._services, Outlet(self, path))
            return Node(path, made, lambda: self._children(path))
        if any(is_below(known, path) for known in self._objects):
            return Node(path, None, lambda: self._children(path))
        raise BusError(UNKNOWN_OBJECT, f"there is no object {path}")

    def _children(self, path: str) -> list[str]:
        prefix = path if path == "/" else path + "/"
        below = [known.removeprefix(prefix) for known in self._objects if known.startswith(prefix)]
        return list(dict.fromkeys(name.partition("/")[0] for name in below))

    # What objects say

    def tell_changed(self, path: str, names: tuple[str, ...]) -> None:
        if path not in self._nodes or not self._listeners:  # nobody was told the old values
            return
        node, interface = self._nodes[path], self._interface(path)
        changed = {name: node.property(interface.name, name) for name in names}
        told = bare(changed, interface)
        for listener in list(self._listeners):
            listener.changed(path, interface.name, told)
        unread: list[str] = []
        self._signal(path, PROPERTIES, _PROPERTIES_CHANGED, (interface.name, changed, unread))

    def tell_signal(self, path: str, name: str, arguments: tuple[Any, ...]) -> None:
        interface = self._interface(path)
        self._signal(path, interface.name, interface.signals[name], arguments)

    def _signal(self, path: str, interface: str, signal: Signal, arguments: tuple[Any, ...]) -> None:
        told = many_to_json(tuple(each.type for each in signal.arguments), arguments)
        for listener in list(self._listeners):
            listener.signalled(path, interface, signal.name, told)

    def _interface(self, path: str) -> Interface:
        own = self.node(path).own
        assert own is not None, f"{path} is no object"
        return own.interface
