"""The properties of one service's objects, as far as somebody watches them.

Each interface of an object is kept as the JSON text of its properties: that is what is told, and it takes a fraction of
the memory of the values. All channels of the connection share what is here.

    tree        one watch, whoever has it: an object, or a namespace
    set up      its objects are here, and the bus tells of changes
    told        a watcher knows all that the tree holds, and is told of changes

What the service says, answers included, is heeded in its order (lanes.py). A signal that came before an answer is older
than it.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, Protocol

import anyio
import anyio.lowlevel
import msgspec
from anyio import CancelScope

from spanbridge.protocol.problems import Problem

from .connection import ANSWER_SECONDS, Answered, Connection
from .descriptions import AT_ONCE, Descriptions
from .errors import FAILED, LIMITS_EXCEEDED, BusError
from .introspection import Node
from .matches import Watch
from .message import Message, call
from .meta import STANDARD, Meta
from .rules import signals_of
from .slices import entries, without_descriptors
from .turns import TURN_SECONDS

OBJECTS: Final = 100_000
"""Under one watch."""
DEEPEST: Final = 64
"""Levels of objects below a watched one."""
NOTIFY_BYTES: Final = 1 << 20
"""A longer `notify` is cut between objects."""

_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"

_text: Final = without_descriptors  # one in a property has no place here
_decode: Final = msgspec.json.decode

Told = dict[str, dict[str, bytes | None]]
"""path -> interface -> text of properties; None: it is gone."""


class Watcher(Protocol):
    """A channel that watches. `texts` are of the properties that are other than before."""

    def describe(self, name: str | None, metas: dict[str, Meta]) -> None:
        """Interfaces that are going to be told of; some may be known already."""

    def notify(self, name: str | None, told: Told) -> None:
        """Objects are so now."""

    async def turn(self) -> None:
        """Wait until it takes more."""

    def refused(self, error: BusError) -> None:
        """The bus does not tell of changes."""


class Tree:
    """One watch, and who has it."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.users: dict[Watcher, None] = {}
        self.told: dict[Watcher, anyio.Event] = {}
        self.ready = anyio.Event()
        self.managed = False  # the service tells by itself of objects that come
        self.visited: set[str] = set()  # while it is walked through
        self.waiting: list[str] = []  # paths that are still to be visited
        self.error: BusError | None = None
        self.scope: CancelScope | None = None

    def reaches(self, path: str) -> bool:
        return self.watch.reaches(path)

    def fits(self, path: str, interface: str) -> bool:
        wanted = self.watch.interface
        if wanted is None:
            return not interface.startswith(STANDARD) and self.watch.reaches(path)
        return wanted == interface and self.watch.reaches(path)

    @property
    def known(self) -> list[Watcher]:
        """Those who were told all."""
        return [watcher for watcher, told in self.told.items() if told.is_set()]


class Cache:
    """`name`: whose objects; None: those of a peer without a bus."""

    def __init__(self, connection: Connection, name: str | None, descriptions: Descriptions) -> None:
        self._connection = connection
        self._name = name
        self._descriptions = descriptions
        self._log = connection.services.context.log
        self._time = connection.services.context.loop.time
        self._tasks = connection.services.tasks
        self._objects: dict[str, dict[str, bytes]] = {}
        self._empty: set[str] = set()  # objects that said that they have nothing
        self._trees: dict[Watch, Tree] = {}
        self._at: dict[str, list[Tree]] = {}  # trees of a path
        self._spaces: list[Tree] = []  # trees of a namespace
        self._places = anyio.Semaphore(AT_ONCE)

    # Watches

    async def watch(self, watch: Watch, watcher: Watcher) -> None:
        """Tell `watcher` all that the watch reaches, and from then on what changes; returns when it was told all.
        Raises BusError, Problem."""
        tree = self._trees.get(watch) or self._plant(watch)
        again = watcher in tree.users
        tree.users[watcher] = None
        if not again or watcher not in tree.told:
            tree.told[watcher] = anyio.Event()
        if self._name is not None and self._owner is None:
            await self._start(self._name)
        if not tree.ready.is_set():
            await tree.ready.wait()  # whoever sets it up tells it, too
        elif watcher in tree.told:  # it was not taken back meanwhile
            if again:
                await tree.told[watcher].wait()
                tree.told[watcher] = anyio.Event()
            self._tell_later(tree, watcher)
        if tree.error is not None:
            raise tree.error
        if watcher in tree.told:
            await tree.told[watcher].wait()

    def unwatch(self, watch: Watch, watcher: Watcher) -> None:
        """Harmless where it was not watched."""
        tree = self._trees.get(watch)
        if tree is None:
            return
        tree.users.pop(watcher, None)
        told = tree.told.pop(watcher, None)
        if told is not None:
            told.set()
        if not tree.users:
            self._fell(tree)

    def _plant(self, watch: Watch) -> Tree:
        tree = self._trees[watch] = Tree(watch)
        if watch.path is not None:
            self._at.setdefault(watch.path, []).append(tree)
        else:
            self._spaces.append(tree)
        if len(self._trees) == 1:
            for rule in self._rules():
                self._connection.rules.add(rule, self._refused)
        if self._name is not None and self._owner is None:
            tree.ready.set()
        else:
            self._set_up_later(tree)
        return tree

    def _fell(self, tree: Tree) -> None:
        watch = tree.watch
        del self._trees[watch]
        if tree.scope is not None:
            tree.scope.cancel()
        if not tree.ready.is_set():  # a smaller one may wait for it
            tree.error = BusError(FAILED, "it is not watched any more")
            tree.ready.set()
        if watch.path is not None:
            self._at[watch.path].remove(tree)
            if not self._at[watch.path]:
                del self._at[watch.path]
        else:
            self._spaces.remove(tree)
        if not self._trees:
            self._objects.clear()
            self._empty.clear()
            for rule in self._rules():
                self._connection.rules.remove(rule, self._refused)
            return
        reached = [watch.path] if watch.path is not None else [path for path in self._objects if tree.reaches(path)]
        for path in reached:
            if not self._is_reached(path):
                self._objects.pop(path, None)

    def _rules(self) -> list[str]:
        name = self._name
        return [
            signals_of(name, interface=_PROPERTIES, member="PropertiesChanged"),
            signals_of(name, interface=_MANAGER),
        ]

    def _refused(self, error: BusError) -> None:
        for watcher in {watcher: None for tree in self._trees.values() for watcher in tree.users}:
            watcher.refused(error)

    def _reaching(self, path: str) -> Iterator[Tree]:
        yield from self._at.get(path, ())
        for tree in self._spaces:
            if tree.reaches(path):
                yield tree

    def _fitting(self, path: str, interface: str) -> Iterator[Tree]:
        return (tree for tree in self._reaching(path) if tree.fits(path, interface))

    def _is_reached(self, path: str) -> bool:
        return next(self._reaching(path), None) is not None

    def _is_wanted(self, path: str, interface: str) -> bool:
        return next(self._fitting(path, interface), None) is not None

    # The owner

    @property
    def _owner(self) -> str | None:
        return None if self._name is None else self._connection.owners.owner(self._name)

    async def _start(self, name: str) -> None:
        """Have the service started. What is there then comes with its new owner."""
        if await self._connection.owners.known(name) is None:
            try:
                await self._connection.owners.start(name)
            except BusError as error:
                self._log.debug("dbus", "not-started", name=name, error=error.name)

    def owner_changed(self, owner: str | None) -> None:
        """All that was known is gone; if somebody else has the name, it is all asked for anew."""
        for watcher, gone in self._all_gone().items():
            for piece in _cut(gone):
                watcher.notify(self._name, piece)
        self._objects.clear()
        self._empty.clear()
        for tree in list(self._trees.values()):
            if tree.scope is not None:
                tree.scope.cancel()
            if tree.ready.is_set():
                tree.ready = anyio.Event()
            tree.managed, tree.error = False, None
            tree.visited.clear()
            if owner is None:
                self._nothing_there(tree)
            else:
                for watcher, told in tree.told.items():
                    if told.is_set():
                        tree.told[watcher] = anyio.Event()
                self._set_up_later(tree)

    def _all_gone(self) -> dict[Watcher, Told]:
        gone: dict[Watcher, Told] = {}
        for path, interfaces in self._objects.items():
            for interface in interfaces:
                for watcher in self._watchers(path, interface):
                    gone.setdefault(watcher, {}).setdefault(path, {})[interface] = None
        return gone

    def _nothing_there(self, tree: Tree) -> None:
        tree.ready.set()
        for told in tree.told.values():
            told.set()

    def end(self) -> None:
        """Nobody watches any more."""
        for tree in list(self._trees.values()):
            tree.users.clear()
            self._fell(tree)

    # Setting up

    def _set_up_later(self, tree: Tree) -> None:
        tree.scope = CancelScope()
        self._tasks.start_soon(self._set_up, tree, tree.scope)

    async def _set_up(self, tree: Tree, scope: CancelScope) -> None:
        with scope:
            try:
                await self._find(tree)
            except BusError as error:
                tree.error = error
            except Problem:
                return  # the connection is no more, and whoever watches is told so
            except Exception as error:  # noqa: BLE001 - a mistake of ours costs this connection alone
                self._connection.mistake(error)
                return
            tree.scope = None
            tree.ready.set()
            for watcher in list(tree.users):
                if watcher in tree.told and not tree.told[watcher].is_set():
                    self._tell_later(tree, watcher)

    async def _find(self, tree: Tree) -> None:
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
        elif top not in self._objects:
            await self._fetch(top, watch.interface)  # a manager does not tell of itself

    async def _is_found_by_another(self, tree: Tree) -> bool:
        """Whether a larger tree has it all."""
        top = tree.watch.path or tree.watch.path_namespace or "/"
        for larger in list(self._spaces):
            wants = larger.watch.interface
            if larger is not tree and larger.reaches(top) and wants in (None, tree.watch.interface):
                if wants is None and (tree.watch.interface or "").startswith(STANDARD):
                    continue
                await larger.ready.wait()
                tree.managed = larger.managed
                return larger.error is None and (tree.watch.path is None or tree.watch.path in self._objects)
        return False

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

        def take(message: Message) -> Awaitable[None] | None:
            if message.error is not None or message.signature != "a{oa{sa{sv}}}":
                return None
            found.append(True)
            return self._take_managed(tree, message, unknown)

        await self._ask_in_order(call(path, _MANAGER, "GetManagedObjects", destination=self._name), take)
        for begin in range(0, len(unknown), AT_ONCE):
            await self._each(self._descriptions.node, list(unknown.values())[begin : begin + AT_ONCE])
        return bool(found)

    async def _take_managed(self, tree: Tree, message: Message, unknown: dict[str, str]) -> None:
        until = self._time() + TURN_SECONDS
        count = 0
        for path, interfaces in entries(message):
            if not tree.reaches(path):
                continue
            count += 1
            if count > OBJECTS:
                tree.error = self._too_many(tree)
                return
            for interface, properties in interfaces.items():
                if tree.fits(path, interface):
                    self._update(path, interface, properties, whole=True)
                    if interface not in self._descriptions.metas:
                        unknown.setdefault(interface, path)
            if self._time() > until:
                await anyio.lowlevel.checkpoint()
                until = self._time() + TURN_SECONDS

    def _too_many(self, tree: Tree) -> BusError:
        self._log.limit("watched-objects", OBJECTS)
        return BusError(
            LIMITS_EXCEEDED,
            f"more than {OBJECTS} objects, or {DEEPEST} levels of them, below {tree.watch.path_namespace or '/'}",
        )

    async def _walk(self, tree: Tree, top: str) -> None:
        """Ask one object after another what is below it, level by level."""
        tree.visited = {top}
        level = [top]
        for _ in range(DEEPEST + 1):
            tree.waiting = []
            for begin in range(0, len(level), AT_ONCE):
                await self._each(lambda path: self._visit(tree, path), level[begin : begin + AT_ONCE])
            level = tree.waiting
            if not level:
                tree.visited = set()
                return
            if len(tree.visited) > OBJECTS:
                break
        raise self._too_many(tree)

    async def _visit(self, tree: Tree, path: str) -> None:
        node = await self._fetch(path, tree.watch.interface)
        for child in node.children if node is not None else ():
            self._go_to(tree, f"{path.rstrip('/')}/{child}")

    @staticmethod
    def _go_to(tree: Tree, path: str) -> None:
        if path not in tree.visited:
            tree.visited.add(path)
            tree.waiting.append(path)

    async def _each(self, visit: Callable[[str], Awaitable[object]], paths: list[str]) -> None:
        """Visit all of these at the same time. Raises Problem."""
        problems: list[Problem] = []

        async def one(path: str) -> None:
            try:
                await visit(path)
            except Problem as problem:
                problems.append(problem)

        async with anyio.create_task_group() as tasks:
            for path in paths:
                tasks.start_soon(one, path)
        if problems:
            raise problems[0]

    async def _fetch(self, path: str, interface: str | None) -> Node | None:
        """Have one object here, or one interface of it; what it says of itself."""
        node = await self._descriptions.node(path)
        if node is None:
            return None
        if interface is None:
            names = [name for name in node.interfaces if not name.startswith(STANDARD)]
        else:
            names = [name for name in (interface,) if name in node.interfaces]
        if not names and interface is None:
            self._empty.add(path)
        for name in names:
            if node.interfaces[name].readable:
                await self._fetch_properties(path, name)
            else:
                self._update(path, name, {}, whole=True)
        return node

    async def _fetch_properties(self, path: str, interface: str) -> None:
        def take(message: Message) -> None:
            if message.error is None and message.signature == "a{sv}":
                (properties,) = message.values(bare=True)
                self._update(path, interface, properties, whole=True)

        async with self._places:
            await self._ask_in_order(call(path, _PROPERTIES, "GetAll", "s", [interface], destination=self._name), take)

    async def _ask_in_order(self, message: Message, take: Answered) -> None:
        """Ask, and have `take` heed the answer in the order in which the service speaks."""
        done = anyio.Event()
        lost: list[Problem] = []

        def heed(answer: Message) -> Awaitable[None] | None:
            waiting = None
            try:
                waiting = take(answer)
            finally:
                if waiting is None:
                    done.set()
            return None if waiting is None else heed_on(waiting)

        async def heed_on(waiting: Awaitable[None]) -> None:
            try:
                await waiting
            finally:
                done.set()

        def gone(problem: Problem) -> None:
            lost.append(problem)
            done.set()

        serial = self._connection.call(message, heed, in_order=True, lost=gone)
        try:
            with anyio.move_on_after(ANSWER_SECONDS):
                await done.wait()
        finally:
            self._connection.forget(serial)
        if lost:
            raise lost[0]

    # What changes

    def heed(self, message: Message) -> Awaitable[None] | None:
        """A signal of the service. What it returns is to be awaited before anything else of it is heeded."""
        if not self._trees or message.path is None:
            return None
        match message.interface, message.member, message.signature:
            case "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as":
                return self._properties_changed(message.path, message)
            case "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", "oa{sa{sv}}":
                return self._interfaces_added(message)
            case "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas":
                path, interfaces = message.values()
                self._remove(path, interfaces)
                return None
        return self._came_up(message.path)

    def _properties_changed(self, path: str, message: Message) -> Awaitable[None] | None:
        if not self._is_reached(path):
            return None
        interface, changed, invalidated = message.values(bare=True)
        if not self._is_wanted(path, interface):
            return None
        if interface not in self._objects.get(path, ()):
            return self._ask_anew(path)
        meta = self._descriptions.metas.get(interface)
        known = meta.properties if meta is not None else {}
        self._update(
            path,
            interface,
            {name: value for name, value in changed.items() if name not in known or known[name].readable},
        )
        wanted = [name for name in invalidated if name not in known or known[name].readable]
        return self._get(path, interface, wanted) if wanted else None

    async def _get(self, path: str, interface: str, names: list[str]) -> None:
        """Fetch properties that a signal has only named; tell of all of them together."""
        values: dict[str, Any] = {}

        async def one(name: str) -> None:
            asked = call(path, _PROPERTIES, "Get", "ss", [interface, name], destination=self._name)
            try:
                (values[name],) = await self._connection.ask_for("v", asked, bare=True)
            except BusError as error:
                self._log.debug("dbus", "not-read", path=path, property=name, error=error.name)

        await self._each(one, names)
        if interface in self._objects.get(path, ()):
            self._update(path, interface, values)

    def _interfaces_added(self, message: Message) -> Awaitable[None] | None:
        path, interfaces = message.values(bare=True)
        wanted = {name: each for name, each in interfaces.items() if self._is_wanted(path, name)}
        if not wanted:
            return None
        if any(name not in self._descriptions.metas for name in wanted):
            return self._add_described(path, wanted)
        self._add(path, wanted)
        return None

    async def _add_described(self, path: str, interfaces: dict[str, dict[str, Any]]) -> None:
        await self._descriptions.node(path)
        self._add(path, interfaces)

    def _add(self, path: str, interfaces: dict[str, dict[str, Any]]) -> None:
        self._empty.discard(path)
        told: dict[Watcher, Told] = {}
        for name, properties in interfaces.items():
            changed = self._keep(path, name, properties, whole=True)
            if changed is not None:
                for watcher in self._watchers(path, name):
                    told.setdefault(watcher, {}).setdefault(path, {})[name] = _text(changed)
        self._tell(told)

    def _remove(self, path: str, interfaces: list[str]) -> None:
        known = self._objects.get(path, {})
        told: dict[Watcher, Told] = {}
        for interface in interfaces:
            if known.pop(interface, None) is not None:
                for watcher in self._watchers(path, interface):
                    told.setdefault(watcher, {}).setdefault(path, {})[interface] = None
        if not known:
            self._objects.pop(path, None)
        self._tell(told)

    def _came_up(self, path: str) -> Awaitable[None] | None:
        """An object has said something: it may be a new one."""
        return None if path in self._objects or path in self._empty else self._ask_anew(path)

    def _ask_anew(self, path: str) -> Awaitable[None] | None:
        """Ask an object what it has, where no manager tells of that."""
        ready = False
        for tree in self._reaching(path):
            if tree.managed:
                continue
            if tree.ready.is_set():
                ready = True
            else:
                self._go_to(tree, path)  # it is being walked through, and may have passed there
        return self._ask(path) if ready else None

    async def _ask(self, path: str) -> None:
        node = await self._descriptions.node(path)
        if node is None:
            return
        for name, meta in node.interfaces.items():
            if not self._is_wanted(path, name):
                continue
            properties: dict[str, Any] = {}
            if meta.readable:
                asked = call(path, _PROPERTIES, "GetAll", "s", [name], destination=self._name)
                try:
                    (properties,) = await self._connection.ask_for("a{sv}", asked, bare=True)
                except BusError:
                    continue
            self._update(path, name, properties, whole=True)
        if path not in self._objects and len(self._empty) < OBJECTS:
            self._empty.add(path)

    # Values

    def _keep(self, path: str, interface: str, values: dict[str, Any], *, whole: bool) -> dict[str, Any] | None:
        """Keep these values; those that are other than before. None: nothing is. `whole`: there are no others."""
        interfaces = self._objects.setdefault(path, {})
        before = interfaces.get(interface)
        if before is None:
            interfaces[interface] = _text(values)
            return values
        old = _decode(before)
        new = _decode(_text(values))
        changed = {name: value for name, value in new.items() if name not in old or not _same(old[name], value)}
        if not changed:
            return None
        interfaces[interface] = _text(new if whole else {**old, **changed})
        return changed

    def _update(self, path: str, interface: str, values: dict[str, Any], *, whole: bool = False) -> None:
        """Keep these values, and tell of what is other than before."""
        changed = self._keep(path, interface, values, whole=whole)
        if changed is not None:
            watchers = self._watchers(path, interface)
            if watchers:
                text = _text(changed)
                self._tell({watcher: {path: {interface: text}} for watcher in watchers})

    def _watchers(self, path: str, interface: str) -> dict[Watcher, None]:
        """Those who were told of all that they watch, and watch this."""
        return {watcher: None for tree in self._fitting(path, interface) for watcher in tree.known}

    def _tell(self, told: dict[Watcher, Told]) -> None:
        for watcher, objects in told.items():
            self._describe(watcher, objects)
            watcher.notify(self._name, objects)

    def _describe(self, watcher: Watcher, objects: Told) -> None:
        metas = self._descriptions.metas
        names = {name for interfaces in objects.values() for name, text in interfaces.items() if text is not None}
        watcher.describe(self._name, {name: metas[name] for name in names if name in metas})

    # Telling of a whole tree

    def _tell_later(self, tree: Tree, watcher: Watcher) -> None:
        """Once all was heeded that the service has said so far."""
        told = tree.told[watcher]
        self._connection.in_order(self._owner, lambda: self._tell_tree(tree, watcher, told))

    async def _tell_tree(self, tree: Tree, watcher: Watcher, told: anyio.Event) -> None:
        """Nothing of the service is heeded meanwhile: what is told fits together."""
        until = self._time() + TURN_SECONDS
        piece: Told = {}
        size = 0
        try:
            for path in [tree.watch.path] if tree.watch.path is not None else list(self._objects):
                interfaces = {name: text for name, text in self._objects.get(path, {}).items() if tree.fits(path, name)}
                if interfaces:
                    piece[path] = dict(interfaces)
                    size += len(path) + sum(len(name) + len(text) for name, text in interfaces.items())
                if size > NOTIFY_BYTES:
                    self._tell({watcher: piece})
                    piece, size = {}, 0
                    await watcher.turn()
                if self._time() > until:
                    await anyio.lowlevel.checkpoint()
                    until = self._time() + TURN_SECONDS
            if piece:
                self._tell({watcher: piece})
        finally:
            told.set()


def _same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and bool(old == new)


def _cut(told: Told) -> Iterator[Told]:
    """Pieces of what is told, between objects."""
    paths = list(told)
    for begin in range(0, len(paths), 5_000):
        yield {path: told[path] for path in paths[begin : begin + 5_000]}
