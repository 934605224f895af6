"""Descriptors that came over D-Bus, until a channel is opened for them (docs/dbus.md, "Descriptors").

A payload that opens them (`stream` with `internal`) needs this alone:

    fd = services.once(Descriptors).take(ident)   # None: unknown, or taken already
"""

import os
from asyncio import TimerHandle

from ..base import Services
from .stream import close_all


class Descriptors:
    """One for a session (Services.once). Ids are random, and mean nothing to any other session or helper."""

    def __init__(self, services: Services) -> None:
        self._loop = services.context.loop
        self._limits = services.context.limits
        self._log = services.context.log
        self._kept: dict[str, tuple[int, object, TimerHandle]] = {}
        self._of: dict[object, set[str]] = {}

    def offer(self, owner: object, fd: int) -> str | None:
        """Keep a duplicate of `fd`; its id. `owner` is the channel that it came on. None: it has too many, or there is
        none to be had."""
        idents = self._of.setdefault(owner, set())
        if len(idents) >= self._limits.dbus_descriptors:
            self._log.limit("dbus_descriptors", self._limits.dbus_descriptors)
            return None
        try:
            kept = os.dup(fd)
        except OSError as error:
            self._log.warning("descriptor-not-kept", why=error.strerror)
            return None
        ident = os.urandom(16).hex()
        timer = self._loop.call_later(self._limits.dbus_descriptors_seconds, self._over, ident)
        self._kept[ident] = (kept, owner, timer)
        idents.add(ident)
        return ident

    def take(self, ident: str) -> int | None:
        """The descriptor with this id, which is the caller's to close from now on. None if there is none: it was
        taken before, its time is over, or the channel that it came on has closed."""
        found = self._kept.pop(ident, None)
        if found is None:
            return None
        fd, owner, timer = found
        timer.cancel()
        idents = self._of[owner]
        idents.discard(ident)
        if not idents:
            del self._of[owner]
        return fd

    def close(self, owner: object) -> None:
        """The channel is over: what nobody has taken goes with it."""
        for ident in list(self._of.get(owner, ())):
            self._expire(ident)
        self._of.pop(owner, None)

    def _over(self, ident: str) -> None:
        self._log.limit("dbus_descriptors_seconds", self._limits.dbus_descriptors_seconds)
        self._expire(ident)

    def _expire(self, ident: str) -> None:
        fd = self.take(ident)
        if fd is not None:
            close_all((fd,))
