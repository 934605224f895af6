"""Signals of a service, as far as they tell of its objects' properties."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .asking import each
from .connection import Connection
from .descriptions import Descriptions
from .errors import BusError
from .gather import values_of
from .kept import Kept
from .message import Message, call
from .meta import PROPERTIES
from .skipping import is_large
from .trees import Trees
from .turns import Turn


class Changes:
    """`name`: whose objects; None: those of a peer without a bus. What is other now goes to `kept`."""

    def __init__(
        self, connection: Connection, name: str | None, trees: Trees, kept: Kept, descriptions: Descriptions
    ) -> None:
        self._connection = connection
        self._name = name
        self._trees = trees
        self._kept = kept
        self._descriptions = descriptions
        self._most = connection.services.context.limits.dbus_objects
        self._time = connection.services.context.loop.time
        self._session = connection.services.tasks
        self._log = connection.services.context.log

    def heed(self, message: Message) -> Awaitable[None] | None:
        """A signal of the service. What it returns is to be awaited before anything else of it is heeded."""
        if message.path is None:
            return None
        match message.interface, message.member, message.signature:
            case "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as":
                if not self._trees.is_reached(message.path):
                    return None
                return self._values_of(message, partial(self._properties_changed, message.path))
            case "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", "oa{sa{sv}}":
                if not self._trees.is_reached(message.first()):
                    return None
                return self._values_of(message, self._interfaces_added)
            case "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas":
                return self._values_of(message, self._interfaces_removed)
        return self._came_up(message.path)

    def _values_of(self, message: Message, take: Callable[..., Awaitable[None] | None]) -> Awaitable[None] | None:
        """Have them taken: those of a large message a piece at a time."""
        if is_large(message.body):
            return self._take_slowly(message, take, self._kept.era)
        return take(*message.values(bare=True))

    async def _take_slowly(self, message: Message, take: Callable[..., Awaitable[None] | None], era: int) -> None:
        values = await values_of(message, Turn(self._time, self._session))
        if self._kept.era == era:
            waiting = take(*values)
            if waiting is not None:
                await waiting

    # Properties

    def _properties_changed(
        self, path: str, interface: str, changed: dict[str, Any], invalidated: list[str]
    ) -> Awaitable[None] | None:
        if not self._trees.is_wanted(path, interface):
            return None
        if not self._kept.has(path, interface):
            return self._ask_anew(path)
        meta = self._descriptions.metas.get(interface)
        known = meta.properties if meta is not None else {}
        self._kept.update(
            path,
            interface,
            {name: value for name, value in changed.items() if name not in known or known[name].readable},
        )
        wanted = [name for name in invalidated if name not in known or known[name].readable]
        return self._get(path, interface, wanted, self._kept.era) if wanted else None

    async def _get(self, path: str, interface: str, names: list[str], era: int) -> None:
        """Fetch properties that a signal has only named; tell of all of them together."""
        values: dict[str, Any] = {}

        async def one(name: str) -> None:
            asked = call(path, PROPERTIES, "Get", "ss", [interface, name], destination=self._name)
            try:
                (values[name],) = await self._connection.ask_for("v", asked)
            except BusError as error:
                self._log.debug("dbus", "not-read", path=path, property=name, error=error.name)

        await each(one, names)
        if self._kept.era == era and self._kept.has(path, interface):
            self._kept.update(path, interface, values)

    # Objects

    def _interfaces_removed(self, path: str, interfaces: list[str]) -> None:
        self._kept.remove(path, interfaces)

    def _interfaces_added(self, path: str, interfaces: dict[str, dict[str, Any]]) -> Awaitable[None] | None:
        wanted = {name: properties for name, properties in interfaces.items() if self._trees.is_wanted(path, name)}
        if not wanted or not self._kept.takes(path):
            return None
        if any(name not in self._descriptions.metas for name in wanted):
            return self._add_described(path, wanted, self._kept.era)
        self._kept.add(path, wanted)
        return None

    async def _add_described(self, path: str, interfaces: dict[str, dict[str, Any]], era: int) -> None:
        await self._descriptions.node(path)
        if self._kept.era == era:
            self._kept.add(path, interfaces)

    def _came_up(self, path: str) -> Awaitable[None] | None:
        """An object has said something: it may be a new one."""
        return None if path in self._kept or self._kept.is_empty(path) else self._ask_anew(path)

    def _ask_anew(self, path: str) -> Awaitable[None] | None:
        """Ask an object what it has, where no manager tells of that."""
        ready = False
        for tree in self._trees.reaching(path):
            if tree.managed:
                continue
            if tree.ready.is_set():
                ready = True
            else:
                tree.go_to(path, self._most)  # it is being walked through, and may have passed there
        return self._ask(path, self._kept.era) if ready and self._kept.takes(path) else None

    async def _ask(self, path: str, era: int) -> None:
        node = await self._descriptions.node(path)
        if node is None or self._kept.era != era:
            return
        for name, meta in node.interfaces.items():
            if not self._trees.is_wanted(path, name):
                continue
            properties: dict[str, Any] = {}
            if meta.readable:
                asked = call(path, PROPERTIES, "GetAll", "s", [name], destination=self._name)
                try:
                    (properties,) = await self._connection.ask_for("a{sv}", asked)
                except BusError:
                    continue
                if self._kept.era != era:
                    return
            self._kept.update(path, name, properties, whole=True)
        self._kept.add_empty(path)
