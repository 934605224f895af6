"""What a channel has asked to be told of."""

from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from .signature import is_below


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Objects whose properties are to be told of: all that is given must fit, what is None does not matter.

    `name`: whose objects, where it is not the channel's own. `path_namespace`: the path is this one or below it.
    """

    path: str | None = None
    path_namespace: str | None = None
    interface: str | None = None
    name: str | None = None

    def reaches(self, path: str) -> bool:
        return _reaches(self, path)

    def fits(self, path: str, interface: str) -> bool:
        return self.interface in (None, interface) and _reaches(self, path)


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Signals that are to be passed on, alike. `arg0`: the first argument is this string."""

    path: str | None = None
    path_namespace: str | None = None
    interface: str | None = None
    member: str | None = None
    arg0: str | None = None
    name: str | None = None

    def reaches(self, path: str) -> bool:
        return _reaches(self, path)

    def fits(self, path: str, interface: str, member: str, arg0: str | None) -> bool:
        return self.reaches_signal(path, interface, member) and self.arg0 in (None, arg0)

    def reaches_signal(self, path: str, interface: str, member: str) -> bool:
        """Whether it fits for some first argument."""
        return self.interface in (None, interface) and self.member in (None, member) and _reaches(self, path)


def _reaches(asked: Watch | Match, path: str) -> bool:
    return asked.path in (None, path) and (asked.path_namespace is None or is_below(path, asked.path_namespace))


Asked = TypeVar("Asked", Match, Watch)


class Full(Exception):
    """As many different ones as there may be."""


class Counted(Generic[Asked]):
    """What was asked for and not taken back as often. At most `limit` different ones."""

    __slots__ = ("_counts", "_limit")

    def __init__(self, limit: int) -> None:
        self._counts: Counter[Asked] = Counter()
        self._limit = limit

    def add(self, asked: Asked) -> bool:
        """Whether it is new. Raises Full."""
        new = asked not in self._counts
        if new and len(self._counts) >= self._limit:
            raise Full
        self._counts[asked] += 1
        return new

    def remove(self, asked: Asked) -> bool:
        """Whether it is gone now. Harmless where it was not asked for."""
        if self._counts[asked] > 1:
            self._counts[asked] -= 1
            return False
        return self._counts.pop(asked, 0) > 0

    def __contains__(self, asked: Asked) -> bool:
        return asked in self._counts

    def __iter__(self) -> Iterator[Asked]:
        return iter(self._counts)
