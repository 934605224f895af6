"""Watches that are being set up: who reads the same path waits for them.

A page opens a watch and a read of one file in one breath, and takes what it reads for the state from which the watch
goes on. Both work in threads of their own, so the read could come first, and a change between the two would be told
by neither. Other paths never wait: one on a dead mount harms nobody else.
"""

from collections.abc import Callable

from ..base import Services


class Beginnings:
    """One for a session (Services.once)."""

    __slots__ = ("_waiting",)

    def __init__(self, services: Services) -> None:
        self._waiting: dict[bytes, list[list[Callable[[], None]]]] = {}  # path -> one list for each watch

    def begin(self, path: bytes) -> Callable[[], None]:
        """A watch of `path` is being set up. To be called, once, when it is, or will not be."""
        waiting: list[Callable[[], None]] = []
        self._waiting.setdefault(path, []).append(waiting)

        def over() -> None:
            begun = self._waiting.get(path, [])
            left = [each for each in begun if each is not waiting]
            if len(left) == len(begun):
                return
            if left:
                self._waiting[path] = left
            else:
                del self._waiting[path]
            for call in waiting:
                call()

        return over

    def after(self, path: bytes, call: Callable[[], None]) -> None:
        """Call it once the watch of `path` that was begun last is there: now, where none is being set up."""
        begun = self._waiting.get(path)
        if begun:
            begun[-1].append(call)
        else:
            call()
