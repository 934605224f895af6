"""One request to a process of an extension, and its answer, as far as it has come."""

from collections import deque
from collections.abc import Callable

from ..inner.messages import Response


class Exchange:
    """One request and its answer. `tell` is called when something new has come: the head, bytes, the end."""

    __slots__ = ("broken", "head", "number", "over", "pieces", "received", "taken", "tell", "user")

    def __init__(self, number: int, user: tuple[str, int], tell: Callable[[], None]) -> None:
        self.number = number
        self.head: Response | None = None
        self.pieces: deque[bytes] = deque()
        self.received = 0
        self.taken = 0
        self.over = False
        self.broken = False
        self.user = user
        self.tell = tell


def nobody_waits() -> None:
    """Nobody waits any more."""
