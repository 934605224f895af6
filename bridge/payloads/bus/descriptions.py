"""What is known of the interfaces of one service: asked of its objects, once for each interface."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import anyio

from ...log import Log
from .errors import BusError
from .introspection import Node, Unreadable, parse
from .message import Message, call
from .meta import INTROSPECTABLE, Meta, Metas
from .turns import Turn

AT_ONCE: Final = 64
"""Questions to one service that wait for their answers."""


class Line(Protocol):
    """A connection, as far as this needs it."""

    async def ask_for(self, signature: str, message: Message, /) -> list[Any]: ...


class _Asked:
    """An object that is being asked."""

    def __init__(self) -> None:
        self.answered = anyio.Event()
        self.node: Node | None = None


class Descriptions:
    """`name`: who is asked; None: a peer without a bus. What takes more than `most` bytes (`dbus_described_bytes`) is
    asked for each time."""

    def __init__(self, connection: Line, name: str | None, log: Log, time: Callable[[], float], most: int) -> None:
        self._connection = connection
        self._name = name
        self._log = log
        self._time = time
        self._asked: dict[str, _Asked] = {}
        self._places = anyio.Semaphore(AT_ONCE)
        self._most = most
        self._metas = Metas(most)
        self._told = False  # that there is no room

    @property
    def metas(self) -> Mapping[str, Meta]:
        """All interfaces that are known."""
        return self._metas.known

    def forget(self) -> None:
        """Another one has the name: it may be of another version."""
        self._metas = Metas(self._most)
        self._asked = {}

    async def find(self, path: str, interface: str) -> Meta | None:
        """An interface of the object; None if it has none of this name."""
        if interface in self.metas:
            return self.metas[interface]
        node = await self.node(path)
        return node.interfaces.get(interface) if node is not None else None

    async def node(self, path: str) -> Node | None:
        """What the object at `path` says of itself; None if it says nothing. Those who ask at the same time share one
        question. Raises Problem: the connection is no more."""
        asked = self._asked.get(path)
        if asked is not None:
            await asked.answered.wait()
            return asked.node
        asked = self._asked[path] = _Asked()
        metas = self._metas  # of the owner that is asked
        try:
            asked.node = await self._ask(path)
            if asked.node is not None:
                self._keep(metas, asked.node)
        finally:
            if self._asked.get(path) is asked:
                del self._asked[path]
            asked.answered.set()
        return asked.node

    def _keep(self, metas: Metas, node: Node) -> None:
        for interface, meta in node.interfaces.items():
            if interface not in metas.known and not metas.add(interface, meta) and not self._told:
                self._told = True
                self._log.limit("dbus_described_bytes", self._most, of=self._name)

    async def _ask(self, path: str) -> Node | None:
        async with self._places:
            try:
                asked = call(path, INTROSPECTABLE, "Introspect", destination=self._name)
                (xml,) = await self._connection.ask_for("s", asked)
                node = await parse(xml, Turn(self._time))
            except BusError as error:
                self._log.debug("dbus", "not-introspected", path=path, error=error.name)
                return None
            except Unreadable as error:
                self._log.warning("introspection", name=self._name, path=path, why=str(error))
                return None
        if node.faults:
            self._log.warning("introspection", name=self._name, path=path, left_out=node.faults[0])
        return node
