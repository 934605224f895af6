"""The properties of one service's objects, as far as somebody watches them.

Each interface of an object is kept as the JSON text of its properties (properties.py): that is what is told, and it
takes a fraction of the memory of the values. All channels of the connection share what is here.

    tree        one watch, whoever has it: an object, or a namespace
    set up      its objects are here, and the bus tells of changes
    told        a watcher knows all that the tree holds, and is told of changes

trees.py has the watches, kept.py what is told and to whom; finding.py sets up, changes.py heeds signals.

What the service says, answers included, is heeded in its order (lanes.py). A signal that came before an answer is older
than it.
"""

from collections.abc import Awaitable

import anyio
from anyio import CancelScope

from spanbridge.protocol.problems import Problem

from .changes import Changes
from .connection import Connection
from .descriptions import Descriptions
from .errors import FAILED, BusError
from .finding import Finder
from .kept import Kept
from .match_rule import signals_of
from .matches import Watch
from .message import Message
from .meta import OBJECT_MANAGER, PROPERTIES
from .trees import Tree, Trees, Watcher


class Cache:
    """`name`: whose objects; None: those of a peer without a bus."""

    def __init__(self, connection: Connection, name: str | None, descriptions: Descriptions) -> None:
        self._connection = connection
        self._name = name
        self._log = connection.services.context.log
        self._tasks = connection.services.tasks
        self._trees = Trees()
        self._kept = Kept(name, self._trees, descriptions, connection.services)
        self._finder = Finder(connection, name, self._trees, self._kept, descriptions)
        self._changes = Changes(connection, name, self._trees, self._kept, descriptions)

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
                if watcher not in tree.users:
                    return  # it was taken back meanwhile
                tree.told[watcher] = anyio.Event()
            self._tell_later(tree, watcher)
        if self._trees.get(watch) is not tree:
            return  # it was taken back meanwhile, whether it was then asked for again or not
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
        tree = self._trees.add(watch)
        if len(self._trees) == 1:
            for rule in self._rules():
                self._connection.rules.add(rule, self._refused)
        if self._name is not None and self._owner is None:
            tree.ready.set()
        else:
            self._set_up_later(tree)
        return tree

    def _fell(self, tree: Tree) -> None:
        self._trees.remove(tree)
        tree.stop()
        if not tree.ready.is_set():  # a smaller one may wait for it
            tree.error = BusError(FAILED, "it is not watched any more")
            tree.ready.set()
        if self._trees:
            self._kept.drop(tree)
            return
        self._kept.clear()
        for rule in self._rules():
            self._connection.rules.remove(rule, self._refused)

    def _rules(self) -> list[str]:
        name = self._name
        return [
            signals_of(name, interface=PROPERTIES, member="PropertiesChanged"),
            signals_of(name, interface=OBJECT_MANAGER),
        ]

    def _refused(self, error: BusError) -> None:
        for watcher in {watcher: None for tree in self._trees for watcher in tree.users}:
            watcher.refused(error)

    def heed(self, message: Message) -> Awaitable[None] | None:
        """A signal of the service. What it returns is to be awaited before anything else of it is heeded."""
        if not self._trees:
            return None
        if self._name is not None and message.sender != self._owner:  # who said it had the name before
            return None
        return self._changes.heed(message)

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
        self._kept.all_gone()
        for tree in self._trees:
            tree.stop()
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

    def _nothing_there(self, tree: Tree) -> None:
        tree.ready.set()
        for told in tree.told.values():
            told.set()

    def end(self) -> None:
        """Nobody watches any more."""
        for tree in self._trees:
            tree.users.clear()
            self._fell(tree)

    # Setting up

    def _set_up_later(self, tree: Tree) -> None:
        tree.scope = CancelScope()
        self._tasks.start_soon(self._set_up, tree, tree.scope)

    async def _set_up(self, tree: Tree, scope: CancelScope) -> None:
        if scope.cancel_called:  # nobody wants it any more
            return
        with scope:
            try:
                failed = await self._find(tree)
            except Problem:
                return  # the connection is no more, and whoever watches is told so
            except Exception as error:  # noqa: BLE001 - a mistake of ours costs this connection alone
                self._connection.mistake(error)
                return
            if tree.scope is not scope:  # it was stopped in the very turn in which the last answer came
                return
            tree.error = failed or tree.error
            tree.scope = None
            tree.ready.set()
            for watcher in list(tree.users):
                if watcher in tree.told and not tree.told[watcher].is_set():
                    self._tell_later(tree, watcher)

    async def _find(self, tree: Tree) -> BusError | None:
        """Have all that it reaches here; what there is against that. Raises Problem."""
        try:
            await self._finder.find(tree)
        except BusError as error:
            return error
        return None

    def _tell_later(self, tree: Tree, watcher: Watcher) -> None:
        """Once all was heeded that the service has said so far."""
        told, era = tree.told[watcher], self._kept.era
        self._connection.in_order(self._owner, lambda: self._kept.tell_tree(tree, watcher, told, era))
