"""What the requests of all sessions share: where they go, and how many there may be."""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from ...limits import Limits
from ..host_log import HostLog
from ..life.extension import Extension
from ..life.parts import Parts
from ..services.events import Events
from .answers import Answer, error, with_ours
from .deadlines import Deadlines

MOUNT: Final = "/api/ext/"
MANAGEMENT: Final = "/api/extensions"


class Management(Protocol):
    """What the host answers itself: management.Management."""

    async def answer(self, method: str, path: str, query: str, body: bytes, user: tuple[str, int], /) -> Answer: ...

    async def look_for(self, name: str, /) -> None: ...


class Requests:
    """Of all sessions, to `extensions`, which come and go."""

    def __init__(self, parts: Parts, extensions: Mapping[str, Extension], management: Management) -> None:
        self.limits: Limits = parts.limits
        self.events: Events = parts.events
        self.log: HostLog = parts.log
        self.loop = asyncio.get_running_loop()
        self.management = management
        self.deadlines = Deadlines(self.loop, parts.limits.extension_request_seconds)
        self._extensions = extensions
        self._bodies = 0
        self._waiting: dict[str, int] = {}

    def knows(self, name: str) -> bool:
        return name in self._extensions

    def extension(self, name: str) -> Extension | None:
        return self._extensions.get(name)

    # Bodies that are held, of all requests together

    def take_in(self, nbytes: int) -> bool:
        """Whether so many more bytes may be held; they are then."""
        if self._bodies + nbytes > self.limits.extension_bodies_bytes:
            return False
        self._bodies += nbytes
        return True

    def let_go(self, nbytes: int) -> None:
        self._bodies -= nbytes

    def too_large(self) -> Answer:
        most = self.limits.extension_body_bytes
        self.log.limit("extension_body_bytes", most)
        return with_ours(error(413, "too-large", f"the body has over {most} bytes (extension_body_bytes)"))

    def too_many(self) -> Answer:
        most = self.limits.extension_bodies_bytes
        self.log.limit("extension_bodies_bytes", most)
        told = f"the bodies of all requests together have over {most} bytes (extension_bodies_bytes)"
        return with_ours(error(503, "busy", told))

    # Requests that wait for one extension

    def count_in(self, name: str) -> bool:
        """Whether one more may wait; it does then."""
        waiting, most = self._waiting.get(name, 0), self.limits.extension_waiting
        if waiting >= most:
            self.log.limit("extension_waiting", most, extension=name)
            return False
        self._waiting[name] = waiting + 1
        return True

    def count_out(self, name: str) -> None:
        self._waiting[name] -= 1
