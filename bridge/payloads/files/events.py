"""Events of `fswatch1`: what the kernel tells, and what of that waits to be told to the front end."""

from collections.abc import Iterator
from typing import Final

from spanbridge.inotify import ATTRIB, CLOSE_WRITE, CREATE, DELETE, ISDIR, MODIFY, MOVED_FROM, MOVED_TO

CREATED: Final = "created"
CHANGED: Final = "changed"
DONE_HINT: Final = "done-hint"
ATTRIBUTES: Final = "attribute-changed"
DELETED: Final = "deleted"

_EVENTS: Final = (
    (CREATE | MOVED_TO, CREATED),
    (MODIFY, CHANGED),
    (CLOSE_WRITE, DONE_HINT),
    (ATTRIB, ATTRIBUTES),
    (DELETE | MOVED_FROM, DELETED),
)


def events_of(mask: int) -> Iterator[str]:
    """What inotify's `mask` tells of a name."""
    return (event for bits, event in _EVENTS if mask & bits)


class Pending:
    """Events that wait, in order, one of each kind and name; an empty name: the watched path itself.

    What comes again takes its place at the end: the last event of a name says how it is now. With too many names, all
    is one change of the path.
    """

    __slots__ = ("_most", "_names", "_waiting")

    def __init__(self, most: int) -> None:
        """`most`: names."""
        self._most = most
        self._waiting: dict[tuple[str, bytes], bool] = {}  # event and name: whether it is about a directory
        self._names: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def waits(self, event: str, name: bytes) -> bool:
        return (event, name) in self._waiting

    def add(self, event: str, name: bytes, mask: int = 0) -> None:
        if name not in self._names and len(self._names) >= self._most:
            self._waiting = {(CHANGED, b""): True}
            self._names = {b""}
            return
        self._names.add(name)
        self._waiting.pop((event, name), None)
        self._waiting[event, name] = bool(mask & ISDIR)

    def take(self) -> list[tuple[str, bytes, bool]]:
        """All of them, which do not wait any more: event, name, and whether it is about a directory."""
        taken = [(event, name, directory) for (event, name), directory in self._waiting.items()]
        self._waiting.clear()
        self._names.clear()
        return taken
