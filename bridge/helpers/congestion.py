"""A helper that does not keep up: while too much waits for it the front end is not read, for a limited time."""

import asyncio
from collections.abc import Callable

from ..limits import Limits
from ..log import Log
from ..wire.deadline import Deadline
from ..wire.front import Front
from ..wire.link import Link


class Congestion:
    """What waits for one helper: in the outbox of its link, and with opens that it was not handed yet.

    `on_stuck` is told so when its outbox was full for `stuck_seconds` and nothing was taken of it.
    """

    __slots__ = (
        "_front",
        "_limits",
        "_link",
        "_log",
        "_loop",
        "_name",
        "_on_stuck",
        "_over",
        "_stuck",
        "_told",
        "_waiting",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        front: Front,
        limits: Limits,
        log: Log,
        name: str,
        *,
        on_stuck: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._front = front
        self._limits = limits
        self._log = log
        self._name = name
        self._on_stuck = on_stuck
        self._link: Link | None = None
        self._waiting = 0  # bytes with opens
        self._stuck = Deadline(loop, self._check)
        self._told = False
        self._over = False

    def watch(self, link: Link) -> None:
        """The helper's link, now that there is one."""
        self._link = link
        link.writer.on_full = self._full
        link.writer.on_room = self._room

    def waiting(self, count: int) -> None:
        """So many bytes wait with opens now."""
        self._waiting = count
        if count > self._limits.helper_queue_bytes:
            self._block()
        else:
            self._unblock()

    def end(self) -> None:
        """It takes nothing more."""
        self._over = True
        self._stuck.end()
        self._front.unblock(self)

    def _full(self) -> None:
        self._block()
        if not self._stuck.runs and not self._over:
            self._stuck.begin(self._limits.stuck_seconds)

    def _room(self) -> None:
        self._stuck.end()
        self._unblock()

    def _block(self) -> None:
        if self._over:
            return
        if not self._told:  # once a helper: a slow one would say so many times a second
            self._told = True
            self._log.limit("helper_queue_bytes", self._limits.helper_queue_bytes, helper=self._name)
        self._front.block(self)

    def _unblock(self) -> None:
        full = self._link is not None and self._link.full
        if self._waiting <= self._limits.helper_queue_bytes // 2 and not full:
            self._front.unblock(self)

    def _check(self) -> None:
        if self._link is None:
            return
        seconds, now = self._limits.stuck_seconds, self._loop.time()
        # One that waits for us to read what it says cannot be blamed for taking nothing meanwhile.
        since = now if self._link.paused else max(self._link.taken_at, self._link.resumed_at)
        if since + seconds <= now:
            self._log.limit("stuck_seconds", seconds, helper=self._name)
            self._on_stuck(f"took nothing for {seconds:g} s while its queue was full")
        else:
            self._stuck.begin(since + seconds - now)
