"""An `fsinfo` channel that goes on after the first state."""

from typing import Final

import anyio

from spanbridge.inotify import COMING_AND_GOING

from .asked import Asked
from .look import Look, Wanted
from .paths import written
from .telling import tell
from .watching import Watching

GATHER_SECONDS: Final = 0.1
"""How long changes are gathered, from the first one on."""


class InfoWatch:
    """Of one channel. `run` goes on until it is cancelled."""

    def __init__(self, asked: Asked, wanted: Wanted) -> None:
        self._asked = asked
        self._look = Look(wanted)
        self._matches = wanted.entries
        self._news = anyio.Event()
        self._names: set[str] = set()  # of entries that changed; with too many, the directory is read anew
        self._most_names = asked.services.context.limits.watch_names
        self._everything = True  # whether to look at all that there is
        watching = asked.services.once(Watching)
        self._look_seconds = watching.look_seconds
        self._follower = watching.follow(wanted.path, self._heard)

    async def run(self) -> None:
        try:
            while True:
                await self._asked.turn()
                everything, names = self._everything, frozenset(self._names)
                self._everything, self._names, self._news = False, set(), anyio.Event()
                if everything:
                    await self._asked.jobs.run(self._follower.walk)
                await tell(self._asked, self._look.changes(None if everything else names))
                await self._changed()
        finally:
            self._follower.close()

    async def _changed(self) -> None:
        """Wait for a change, and gather those that follow."""
        if self._follower.untold:
            with anyio.move_on_after(self._look_seconds):
                await self._news.wait()
            self._everything = True
        else:
            await self._news.wait()
        await anyio.sleep(GATHER_SECONDS)

    def _heard(self, mask: int, name: bytes | None) -> None:
        """Something has changed: `name` in the directory; the path itself, be it that an entry came or went."""
        if name is None:
            self._everything = True
        elif name:
            fits = self._heard_of(written(name))
            if not fits and not mask & COMING_AND_GOING:
                return
        self._news.set()

    def _heard_of(self, name: str) -> bool:
        if self._matches is None or not self._matches(name):
            return False
        self._names.add(name)
        if len(self._names) > self._most_names:
            self._everything = True
            self._names.clear()
        return True
