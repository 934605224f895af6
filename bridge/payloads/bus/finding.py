"""Having all here that a watch reaches: from an object manager, or by asking one object after another."""

from collections.abc import Awaitable
from typing import Final

import anyio

from .asking import ask_in_order, each
from .connection import Connection
from .descriptions import AT_ONCE, Descriptions
from .errors import LIMITS_EXCEEDED, BusError
from .gather import entries, values_of
from .introspection import Node
from .kept import Kept
from .message import Message, call
from .meta import OBJECT_MANAGER, PROPERTIES, STANDARD
from .skipping import is_large
from .trees import Tree, Trees
from .turns import Turn

DEEPEST: Final = 64
"""Levels of objects below a watched one."""


class Finder:
    """`name`: whose objects; None: those of a peer without a bus. What is found goes to `kept`."""

    def __init__(
        self, connection: Connection, name: str | None, trees: Trees, kept: Kept, descriptions: Descriptions
    ) -> None:
        self._connection = connection
        self._name = name
        self._trees = trees
        self._kept = kept
        self._descriptions = descriptions
        self._most = connection.services.context.limits.dbus_objects
        self._log = connection.services.context.log
        self._time = connection.services.context.loop.time
        self._session = connection.services.tasks
        self._places = anyio.Semaphore(AT_ONCE)

    async def find(self, tree: Tree) -> None:
        """Have all that the tree reaches here."""
        watch = tree.watch
        if self._name is not None:
            await self._connection.owners.known(self._name)
        if await self._is_found_by_another(tree):
            return
        if watch.path is not None:
            await self._fetch(watch.path, watch.interface)
            return
        top = watch.path_namespace or "/"
        tree.managed = await self._find_managed(tree, top)
        if not tree.managed:
            await self._walk(tree, top)
        elif top not in self._kept:
            await self._fetch(top, watch.interface)  # a manager does not tell of itself

    async def _is_found_by_another(self, tree: Tree) -> bool:
        """Whether a larger tree has it all."""
        top = tree.watch.path or tree.watch.path_namespace or "/"
        for larger in list(self._trees.spaces):
            wants = larger.watch.interface
            if larger is not tree and larger.reaches(top) and wants in (None, tree.watch.interface):
                if wants is None and (tree.watch.interface or "").startswith(STANDARD):
                    continue
                await larger.ready.wait()
                tree.managed = larger.managed
                return larger.error is None and (tree.watch.path is None or tree.watch.path in self._kept)
        return False

    # From an object manager

    async def _find_managed(self, tree: Tree, top: str) -> bool:
        """Whether there is an object manager at `top` or above it, which has told of its objects."""
        path = top
        while True:
            if await self._ask_manager(tree, path):
                return True
            if path == "/":
                return False
            path = path.rpartition("/")[0] or "/"

    async def _ask_manager(self, tree: Tree, path: str) -> bool:
        found: list[bool] = []
        unknown: dict[str, str] = {}  # interface -> an object that has it
        era = self._kept.era

        def take(message: Message) -> Awaitable[None] | None:
            if message.error is not None or message.signature != "a{oa{sa{sv}}}":
                return None
            found.append(True)
            return self._take_managed(tree, message, unknown, era)

        asked = call(path, OBJECT_MANAGER, "GetManagedObjects", destination=self._name)
        await ask_in_order(self._connection, asked, take)
        for begin in range(0, len(unknown), AT_ONCE):
            await each(self._descriptions.node, list(unknown.values())[begin : begin + AT_ONCE])
        return bool(found)

    async def _take_managed(self, tree: Tree, message: Message, unknown: dict[str, str], era: int) -> None:
        turn = Turn(self._time, self._session)
        count = 0
        for entry in entries(message):
            await turn.pause()
            if self._kept.era != era:
                return
            if entry is None:
                continue
            path, interfaces = entry
            if not tree.reaches(path):
                continue
            count += 1
            if count > self._most or not self._kept.has_room(path):
                tree.error = self._too_many(tree)
                return
            for interface, properties in interfaces.items():
                if tree.fits(path, interface):
                    self._kept.update(path, interface, properties, whole=True)
                    if interface not in self._descriptions.metas:
                        unknown.setdefault(interface, path)

    def _too_many(self, tree: Tree) -> BusError:
        self._log.limit("dbus_objects", self._most)
        return BusError(
            LIMITS_EXCEEDED,
            f"more than {self._most} objects, or {DEEPEST} levels of them, below {tree.watch.path_namespace or '/'}",
        )

    # One object after another

    async def _walk(self, tree: Tree, top: str) -> None:
        """Ask one object after another what is below it, level by level."""
        tree.visited = {top}
        level = [top]
        for _ in range(DEEPEST + 1):
            tree.waiting = []
            for begin in range(0, len(level), AT_ONCE):
                await each(lambda path: self._visit(tree, path), level[begin : begin + AT_ONCE])
                if len(tree.visited) > self._most:
                    raise self._too_many(tree)
            level = tree.waiting
            if not level:
                tree.visited = set()
                return
        raise self._too_many(tree)

    async def _visit(self, tree: Tree, path: str) -> None:
        node = await self._fetch(path, tree.watch.interface)
        for child in node.children if node is not None else ():
            tree.go_to(f"{path.rstrip('/')}/{child}", self._most)

    async def _fetch(self, path: str, interface: str | None) -> Node | None:
        """Have one object here, or one interface of it; what it says of itself."""
        era = self._kept.era
        node = await self._descriptions.node(path)
        if node is None or self._kept.era != era:
            return None
        if interface is None:
            names = [name for name in node.interfaces if not name.startswith(STANDARD)]
        else:
            names = [name for name in (interface,) if name in node.interfaces]
        if not names and interface is None:
            self._kept.add_empty(path)
        for name in names:
            if self._kept.era != era:  # in the very turn in which an answer came
                return None
            if node.interfaces[name].readable:
                await self._fetch_properties(path, name)
            else:
                self._kept.update(path, name, {}, whole=True)
        return node

    async def _fetch_properties(self, path: str, interface: str) -> None:
        era = self._kept.era

        def take(message: Message) -> Awaitable[None] | None:
            if message.error is not None or message.signature != "a{sv}" or self._kept.era != era:
                return None
            if is_large(message.body):
                return self._take_large(path, interface, message, era)
            (properties,) = message.values(bare=True)
            self._kept.update(path, interface, properties, whole=True)
            return None

        async with self._places:
            asked = call(path, PROPERTIES, "GetAll", "s", [interface], destination=self._name)
            await ask_in_order(self._connection, asked, take)

    async def _take_large(self, path: str, interface: str, message: Message, era: int) -> None:
        (properties,) = await values_of(message, Turn(self._time, self._session))
        if self._kept.era == era:
            self._kept.update(path, interface, properties, whole=True)
