"""Numbered sets, and which of them lie within another: found without a look at each."""

from collections.abc import Collection, Hashable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import count


class _Node:
    """The sets that begin with the elements on the way here."""

    __slots__ = ("children", "first", "numbers")

    def __init__(self, first: int) -> None:
        self.first = first
        """The lowest number here and below."""
        self.numbers: list[int] = []
        """Of the sets that end here, ascending."""
        self.children: dict[Hashable, _Node] = {}


class Subsets:
    """A tree of sets, an element a step. Where the rarest element comes first, a look into it goes astray least."""

    def __init__(self) -> None:
        self._root: _Node | None = None

    def add(self, number: int, elements: Iterable[Hashable]) -> None:
        """File a set, its elements in any order. Numbers come ascending."""
        node = self._root = self._root or _Node(number)
        for element in elements:
            node = node.children.setdefault(element, _Node(number))
        node.numbers.append(number)

    def within(self, elements: Collection[Hashable]) -> Iterator[int]:
        """The numbers of those sets that have no other elements than these, ascending; found as they are asked for."""
        if self._root is None:
            return
        wanted = frozenset(elements)
        ties = count()  # so that no two nodes are compared
        waiting = [(self._root.first, next(ties), self._root, -1)]
        while waiting:
            number, _, node, place = heappop(waiting)
            if place >= 0:
                yield number
            else:
                for element in node.children.keys() & wanted:
                    child = node.children[element]
                    heappush(waiting, (child.first, next(ties), child, -1))
            if place + 1 < len(node.numbers):
                heappush(waiting, (node.numbers[place + 1], next(ties), node, place + 1))
