"""The watches of one service's objects, and who has them."""

from collections.abc import Iterator
from typing import Protocol

import anyio
from anyio import CancelScope

from .errors import BusError
from .matches import Watch
from .meta import STANDARD, Meta

Told = dict[str, dict[str, bytes | None]]
"""path -> interface -> text of properties; None: it is gone."""


class Watcher(Protocol):
    """A channel that watches. Texts are of the properties that are other than before."""

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
        self.scope: CancelScope | None = None  # while it is set up
        self.count: int | None = None  # of the objects that it reaches; None: they were not counted (kept.py)

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

    def stop(self) -> None:
        """Set it up no further."""
        scope, self.scope = self.scope, None
        if scope is not None:
            scope.cancel()

    def go_to(self, path: str, most: int) -> None:
        """Visit this one, too, unless it was, or more than `most` were."""
        if path not in self.visited and len(self.visited) <= most:
            self.visited.add(path)
            self.waiting.append(path)


class Trees:
    """All of one service's, to be found by path."""

    def __init__(self) -> None:
        self._trees: dict[Watch, Tree] = {}
        self._at: dict[str, list[Tree]] = {}  # trees of a path
        self.spaces: list[Tree] = []  # trees of a namespace

    def __len__(self) -> int:
        return len(self._trees)

    def __iter__(self) -> Iterator[Tree]:
        """Those that are there now, even if some are removed meanwhile."""
        return iter(list(self._trees.values()))

    def get(self, watch: Watch) -> Tree | None:
        return self._trees.get(watch)

    def add(self, watch: Watch) -> Tree:
        """A new one."""
        tree = self._trees[watch] = Tree(watch)
        if watch.path is not None:
            self._at.setdefault(watch.path, []).append(tree)
        else:
            self.spaces.append(tree)
        return tree

    def remove(self, tree: Tree) -> None:
        watch = tree.watch
        del self._trees[watch]
        if watch.path is not None:
            self._at[watch.path].remove(tree)
            if not self._at[watch.path]:
                del self._at[watch.path]
        else:
            self.spaces.remove(tree)

    def reaching(self, path: str) -> Iterator[Tree]:
        """Those that reach the object at `path`."""
        yield from self._at.get(path, ())
        for tree in self.spaces:
            if tree.reaches(path):
                yield tree

    def fitting(self, path: str, interface: str) -> Iterator[Tree]:
        """Those that want this interface of it."""
        return (tree for tree in self.reaching(path) if tree.fits(path, interface))

    def is_reached(self, path: str) -> bool:
        return next(self.reaching(path), None) is not None

    def is_wanted(self, path: str, interface: str) -> bool:
        return next(self.fitting(path, interface), None) is not None

    def watchers(self, path: str, interface: str) -> dict[Watcher, None]:
        """Those who were told of all that they watch, and watch this."""
        return {watcher: None for tree in self.fitting(path, interface) for watcher in tree.known}
