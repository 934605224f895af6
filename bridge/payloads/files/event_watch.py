"""Telling of events at a path, for `fswatch1` and `fslist1`."""

import os
from typing import Any, Final

import anyio

from spanbridge.inotify import OVERFLOW

from .asked import Asked
from .events import CHANGED, CREATED, DELETED, Pending, events_of
from .json_text import json_bytes
from .kinds import DIRECTORY, FILE, kind_at
from .paths import written
from .tag import NO_FILE, tag_at
from .watching import Watching

_GATHER_SECONDS: Final = 0.02
_BATCH: Final = 200  # messages in one turn

_Identity = tuple[int, int, int, int] | None


class EventWatch:
    """Of one channel. `begin`, then `run`, then `close`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._pending = Pending(asked.services.context.limits.watch_names)
        self._lost = False  # whether the path may lead elsewhere now
        self._missed = False  # whether events may have been lost
        self._identity: _Identity = None
        self._tag = NO_FILE
        self._said = b""  # the last message: equal ones in a row are one
        self._news = anyio.Event()
        watching = asked.services.once(Watching)
        self._look_seconds = watching.look_seconds
        self._follower = watching.follow(asked.path, self._heard)

    async def begin(self) -> None:
        """What happens from here on is told."""
        self._identity, self._tag = await self._asked.jobs.run(self._walk)

    def close(self) -> None:
        self._follower.close()

    async def run(self) -> None:
        """Tell of events, until it is cancelled."""
        while True:
            await self._wait()
            await self._asked.turn()
            if self._lost:
                missed, self._lost, self._missed = self._missed, False, False
                await self._find(missed)
            taken = self._pending.take()
            for begin in range(0, len(taken), _BATCH):
                messages = await self._asked.jobs.run(self._messages, taken[begin : begin + _BATCH])
                await self._asked.send_units(messages)

    async def _wait(self) -> None:
        if not self._pending and not self._lost:
            self._news = anyio.Event()
            if self._follower.untold:
                with anyio.move_on_after(self._look_seconds):
                    await self._news.wait()
                self._lost = True
            else:
                await self._news.wait()
        await anyio.sleep(_GATHER_SECONDS)

    def _heard(self, mask: int, name: bytes | None) -> None:
        if name is None:
            self._lost = True
            self._missed = self._missed or bool(mask & OVERFLOW)
        else:
            for event in events_of(mask):
                self._pending.add(event, name, mask)
        if self._pending or self._lost:
            self._news.set()

    async def _find(self, missed: bool) -> None:
        """Look where the path leads now, and what that means; `missed`: whatever happened there may not be known."""
        before, tag, end = self._identity, self._tag, self._follower.end
        self._identity, self._tag = await self._asked.jobs.run(self._walk)
        replaced = -1 not in (end, self._follower.end) and end != self._follower.end
        if self._identity == before and not replaced:
            if (self._follower.untold and self._tag != tag) or (missed and before is not None):
                self._pending.add(CHANGED, b"")
        elif self._identity is None:
            self._pending.add(DELETED, b"")
        elif not self._pending.waits(CREATED, b""):
            self._pending.add(CREATED, b"")

    # In a thread

    def _walk(self) -> tuple[_Identity, str]:
        self._follower.walk()
        return _identity(self._asked.path), tag_at(self._asked.path)

    def _messages(self, events: list[tuple[str, bytes, bool]]) -> list[bytes]:
        messages = []
        for each in events:
            message = json_bytes(self._told(*each))
            if message != self._said:
                messages.append(message)
                self._said = message
        return messages

    def _told(self, event: str, name: bytes, directory: bool) -> dict[str, Any]:
        path = self._asked.path
        if name:
            path = path.rstrip(b"/") + b"/" + name
        told = {"event": event, "path": written(path), "tag": NO_FILE if event == DELETED else tag_at(path)}
        if event == CREATED:
            told["type"] = kind_at(path) or (DIRECTORY if directory else FILE)
        return told


def _identity(path: bytes) -> _Identity:
    """What has the name, and what that leads to; None: nothing has it."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    try:
        end = os.stat(path)
    except OSError:
        return found.st_dev, found.st_ino, 0, 0
    return found.st_dev, found.st_ino, end.st_dev, end.st_ino
