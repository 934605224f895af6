"""The properties of one service's objects that are kept, and telling of those that are other than before."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import anyio

from ..base import Services
from .descriptions import Descriptions
from .properties import Properties, change, keep, text_of
from .slices import without_descriptors
from .trees import Told, Tree, Trees, Watcher
from .turns import Turn

NOTIFY_BYTES: Final = 1 << 20
"""A longer `notify` is cut between objects."""

_text: Final = without_descriptors  # one in a property has no place here


class _Telling:
    """A watcher that is being told of a tree. `paths`: the objects that it was told of so far."""

    def __init__(self, tree: Tree, watcher: Watcher) -> None:
        self.tree = tree
        self.watcher = watcher
        self.paths: list[str] = []


class Kept:
    """`name`: whose objects; `trees`: who is told of them.

    `era`: how often all was forgotten. What was said in an earlier one is not kept in this."""

    def __init__(self, name: str | None, trees: Trees, descriptions: Descriptions, services: Services) -> None:
        self._name = name
        self._trees = trees
        self._descriptions = descriptions
        self._time = services.context.loop.time
        self._session = services.tasks
        self._most = services.context.limits.dbus_objects
        self._log = services.context.log
        self._told = False  # that there is no room
        self._objects: dict[str, dict[str, Properties]] = {}
        self._telling: list[_Telling] = []
        self._empty: set[str] = set()  # objects that said that they have nothing
        self.era = 0

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    def has(self, path: str, interface: str) -> bool:
        return interface in self._objects.get(path, ())

    def is_empty(self, path: str) -> bool:
        """Whether the object has said that it has nothing."""
        return path in self._empty

    def add_empty(self, path: str) -> None:
        """It has said so. Where there are too many of them, it is asked again when it comes up again."""
        if path not in self._objects and len(self._empty) < self._most:
            self._empty.add(path)

    # Room

    def has_room(self, path: str) -> bool:
        """Whether a tree that reaches the object has room for it."""
        if path in self._objects or len(self._objects) < self._most:
            return True
        return any(tree.watch.path is not None or self._count(tree) < self._most for tree in self._trees.reaching(path))

    def takes(self, path: str) -> bool:
        """The same; that there is none is logged, once."""
        if self.has_room(path):
            return True
        if not self._told:
            self._told = True
            self._log.limit("dbus_objects", self._most, of=self._name)
        return False

    def _count(self, tree: Tree) -> int:
        if tree.count is None:
            tree.count = sum(map(tree.reaches, self._objects))
        return tree.count

    def _recount(self, path: str, more: int) -> None:
        """There is one more object, or one less."""
        for tree in self._trees.reaching(path):
            if tree.count is not None:
                tree.count += more

    # Changes

    def update(self, path: str, interface: str, values: dict[str, Any], *, whole: bool = False) -> None:
        """Keep these values, and tell of what is other than before."""
        changed = self._keep(path, interface, values, whole=whole)
        if changed is not None:
            self._tell({watcher: {path: {interface: changed}} for watcher in self._trees.watchers(path, interface)})

    def add(self, path: str, interfaces: dict[str, dict[str, Any]]) -> None:
        """Interfaces have come, each with these properties: keep them, and tell of them together."""
        self._empty.discard(path)
        told: dict[Watcher, Told] = {}
        for name, properties in interfaces.items():
            changed = self._keep(path, name, properties, whole=True)
            if changed is not None:
                for watcher in self._trees.watchers(path, name):
                    told.setdefault(watcher, {}).setdefault(path, {})[name] = changed
        self._tell(told)

    def remove(self, path: str, interfaces: list[str]) -> None:
        """Interfaces are gone: keep them no more, and tell of it."""
        known = self._objects.get(path, {})
        told: dict[Watcher, Told] = {}
        for interface in interfaces:
            if known.pop(interface, None) is not None:
                for watcher in self._trees.watchers(path, interface):
                    told.setdefault(watcher, {}).setdefault(path, {})[interface] = None
        if not known and self._objects.pop(path, None) is not None:
            self._recount(path, -1)
        self._tell(told)

    def _keep(self, path: str, interface: str, values: dict[str, Any], *, whole: bool) -> bytes | None:
        """Keep these values; the text of those that are other than before. None: nothing is. `whole`: there are no
        others."""
        interfaces = self._objects.get(path)
        if interfaces is None:
            if not self._trees.is_reached(path) or not self.takes(path):  # its watch was taken back meanwhile
                return None
            interfaces = self._objects[path] = {}
            self._recount(path, 1)
        text = _text(values)
        before = interfaces.get(interface)
        if before is None:
            interfaces[interface] = keep(text)
            return text
        changed = change(before, text, whole=whole)
        if changed is None:
            return None
        interfaces[interface] = changed.kept
        return changed.text

    # Forgetting

    def clear(self) -> None:
        """Keep nothing, and tell nobody."""
        self.era += 1
        self._objects.clear()
        self._empty.clear()
        self._told = False
        for tree in self._trees:
            tree.count = None

    def drop(self, tree: Tree) -> None:
        """Keep no more what only this tree, which was removed, has reached."""
        watch = tree.watch
        reached = [watch.path] if watch.path is not None else [path for path in self._objects if tree.reaches(path)]
        for path in reached:
            if not self._trees.is_reached(path):
                self._objects.pop(path, None)

    def all_gone(self) -> None:
        """Nothing of it is there any more, and whoever knows of it is told so."""
        for watcher, gone in self._all_gone().items():
            for piece in _cut(gone):
                watcher.notify(self._name, piece)
        self.clear()

    def _all_gone(self) -> dict[Watcher, Told]:
        gone: dict[Watcher, Told] = {}
        for path, interfaces in self._objects.items():
            for interface in interfaces:
                for watcher in self._trees.watchers(path, interface):
                    gone.setdefault(watcher, {}).setdefault(path, {})[interface] = None
        for telling in self._telling:
            for path in telling.paths:
                for interface in filter(partial(telling.tree.fits, path), self._objects.get(path, ())):
                    gone.setdefault(telling.watcher, {}).setdefault(path, {})[interface] = None
        return gone

    # Telling

    async def tell_tree(self, tree: Tree, watcher: Watcher, told: anyio.Event, era: int) -> None:
        """Nothing of the service is heeded meanwhile: what is told fits together. Once all of that era is gone, nothing
        more is told, and `told` is for those who tell of what comes then."""
        turn = Turn(self._time, self._session)
        steps = self._steps(tree)
        telling = _Telling(tree, watcher)
        self._telling.append(telling)
        try:
            while self.era == era and (piece := next(steps, None)) is not None:
                if piece:
                    self._tell_piece(telling, piece)
                    await watcher.turn()
                await turn.pause()
        except anyio.get_cancelled_exc_class():
            # Too much waits behind this (lanes.py), or all is over. It counts as told: so the rest is told at once.
            if not self._session.cancel_scope.cancel_called and self.era == era:
                for piece in filter(None, steps):
                    self._tell_piece(telling, piece)
            raise
        finally:
            self._telling.remove(telling)
            if self.era == era:
                told.set()

    def _tell_piece(self, telling: _Telling, piece: Told) -> None:
        telling.paths += piece
        self._tell({telling.watcher: piece})

    def _steps(self, tree: Tree) -> Iterator[Told]:
        """All that the tree holds, in pieces of about NOTIFY_BYTES; most steps on the way give nothing yet."""
        piece: Told = {}
        size = 0
        for path in [tree.watch.path] if tree.watch.path is not None else list(self._objects):
            kept = self._objects.get(path, {})
            interfaces: dict[str, bytes | None] = {
                name: text_of(each) for name, each in kept.items() if tree.fits(path, name)
            }
            if interfaces:
                piece[path] = interfaces
                size += len(path) + sum(len(name) + len(text or b"") for name, text in interfaces.items())
            if size > NOTIFY_BYTES:
                yield piece
                piece, size = {}, 0
            else:
                yield {}
        yield piece

    def _tell(self, told: dict[Watcher, Told]) -> None:
        for watcher, objects in told.items():
            self._describe(watcher, objects)
            watcher.notify(self._name, objects)

    def _describe(self, watcher: Watcher, objects: Told) -> None:
        metas = self._descriptions.metas
        names = {name for interfaces in objects.values() for name, text in interfaces.items() if text is not None}
        watcher.describe(self._name, {name: metas[name] for name in names if name in metas})


def _cut(told: Told) -> Iterator[Told]:
    """Pieces of what is told, between objects."""
    paths = list(told)
    for begin in range(0, len(paths), 5_000):
        yield {path: told[path] for path in paths[begin : begin + 5_000]}
