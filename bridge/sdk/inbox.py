"""What waits for the handler of one channel: payloads and control messages, in the order in which they came."""

from collections import deque
from typing import Any

import anyio

from .intake import ITEM_BYTES, Intake

Message = dict[str, Any]
Item = bytes | Message
"""A payload, or a control message."""


class Inbox:
    """`put` never waits: its bound is that the intake stops reading."""

    __slots__ = ("_full", "_intake", "_items", "_limit", "_news", "ended", "size")

    def __init__(self, intake: Intake, limit: int) -> None:
        self._intake = intake
        self._limit = limit
        self._items: deque[tuple[Item, int]] = deque()
        self._news: anyio.Event | None = None  # somebody waits for it
        self._full = False
        self.size = 0
        self.ended = False  # nothing more will come

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item, nbytes: int) -> None:
        """An item of so many bytes."""
        counted = nbytes + ITEM_BYTES
        self._items.append((item, counted))
        self.size += counted
        self._intake.put(counted)
        if self.size >= self._limit and not self._full:
            self._full = True
            self._intake.filled()
        if self._news is not None:
            self._news.set()

    def end(self) -> None:
        """Nothing more will come. What waits can still be taken."""
        self.ended = True
        if self._news is not None:
            self._news.set()

    def drop(self) -> None:
        """The same, and what waits is of no interest to anybody."""
        self.drain()
        self.end()

    async def take(self) -> Item | None:
        """The next item, when there is one; None at the end. For one task at a time."""
        while not self._items:
            if self.ended:
                return None
            if self._news is not None:
                raise anyio.BusyResourceError("reading from a channel")
            self._news = anyio.Event()
            try:
                await self._news.wait()
            finally:
                self._news = None
        item, counted = self._items.popleft()
        self._took(counted)
        return item

    def drain(self) -> list[Item]:
        """All that waits."""
        items = [item for item, _ in self._items]
        self._items.clear()
        self._took(self.size)
        return items

    def _took(self, counted: int) -> None:
        self.size -= counted
        if self._full and self.size <= self._limit // 2:
            self._full = False
            self._intake.emptied()
        self._intake.taken(counted)
