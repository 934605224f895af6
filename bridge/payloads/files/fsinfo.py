"""Payload `fsinfo`: what there is at a path, and how it changes (docs/files.md, "fsinfo").

The channel is one JSON value; each message is a JSON Merge Patch for it.
"""

from collections.abc import Generator
from typing import Any, Final

import anyio

from spanbridge.inotify import COMING_AND_GOING
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ..base import Port, Services
from ..served.channel import Channel
from ..served.options import Options
from .asked import Asked
from .attributes import KNOWN
from .look import Look, Wanted
from .paths import system_path, written
from .patterns import EVERY, matcher
from .shared import end_later
from .steps import Steps
from .watching import LOOK_SECONDS, Watching

GATHER_SECONDS: Final = 0.1
"""How long changes are gathered, from the first one on."""

_MOST_NAMES: Final = 10_000
"""Changed entries that are remembered; with more of them, the directory is read anew."""


def fsinfo(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    wanted = _read(options, services.context.limits.info_entries)

    async def answer(asked: Asked) -> None:
        asked.channel.ready()
        if wanted.watch:
            await _Watch(asked, wanted).run()
        else:
            await _send(asked, Look(wanted).changes(None))
            asked.channel.done()
            asked.channel.close()

    return channel.serve(Asked(channel, services, wanted.path, answer))


def _read(options: Options, most: int) -> Wanted:
    path = options.system("path", expected="an absolute path")
    if not path.startswith("/"):
        raise options.wrong("path", "an absolute path")
    attrs = options.texts("attrs")
    pattern = options.text("fnmatch", EVERY if "entries" in attrs else "")
    follow, watch, targets = options.boolean("follow", True), options.boolean("watch"), "targets" in attrs
    if not follow and (watch or targets):
        other = "watch: true" if watch else 'attrs with "targets"'
        raise Problem(PROTOCOL_ERROR, f'"follow" of fsinfo: expected true with {other}, found false')
    return Wanted(
        path=system_path(path),
        attributes=tuple(name for name in KNOWN if name in attrs),
        entries=matcher(pattern) if pattern else None,
        targets=targets,
        follow=follow,
        watch=watch,
        most=most,
    )


async def _send(asked: Asked, changes: Generator[bytes, None, None]) -> None:
    """Each message when the front end takes it, and no more of them made before."""
    steps = Steps(changes)
    try:
        while (message := await asked.jobs.run(steps.next)) is not None:
            await asked.turn()
            asked.channel.send_unit(message)
    except BaseException:
        end_later(asked.services, steps.shared)
        raise


class _Watch:
    """A channel that goes on after the first state."""

    def __init__(self, asked: Asked, wanted: Wanted) -> None:
        self._asked = asked
        self._look = Look(wanted)
        self._matches = wanted.entries
        self._news = anyio.Event()
        self._names: set[str] = set()  # of entries that changed
        self._everything = True  # whether to look at all that there is
        self._follower = asked.services.once(Watching).follow(wanted.path, self._heard)

    async def run(self) -> None:
        try:
            while True:
                await self._asked.turn()
                everything, names = self._everything, frozenset(self._names)
                self._everything, self._names, self._news = False, set(), anyio.Event()
                if everything:
                    await self._asked.jobs.run(self._follower.walk)
                await _send(self._asked, self._look.changes(None if everything else names))
                await self._changed()
        finally:
            self._follower.close()

    async def _changed(self) -> None:
        """Wait for a change, and gather those that follow."""
        if self._follower.untold:
            with anyio.move_on_after(LOOK_SECONDS):
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
        if len(self._names) > _MOST_NAMES:
            self._everything = True
            self._names.clear()
        return True
