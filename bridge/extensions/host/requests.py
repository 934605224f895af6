"""What the requests of all sessions share: where they go, and how many there may be."""

import asyncio
from typing import Final

from ...limits import Limits
from ..host_log import HostLog
from ..life.extension import Extension
from ..life.life import Life
from ..life.parts import Parts
from ..services.events import Events
from .answers import Answer, error, sent_headers
from .management import Management

MOUNT: Final = "/api/ext/"
MANAGEMENT: Final = "/api/extensions"
_BODIES_BYTES: Final = 64 << 20


class Requests:
    """Of all sessions."""

    def __init__(self, parts: Parts, life: Life, management: Management) -> None:
        self.limits: Limits = parts.limits
        self.events: Events = parts.events
        self.log: HostLog = parts.log
        self.loop = asyncio.get_running_loop()
        self.management = management
        self._life = life
        self._bodies = 0
        self._waiting: dict[str, int] = {}

    def knows(self, name: str) -> bool:
        return name in self._life.extensions

    def extension(self, name: str) -> Extension | None:
        return self._life.extensions.get(name)

    # Bodies that are held, of all requests together

    def take_in(self, nbytes: int) -> bool:
        """Whether so many more bytes may be held; they are then."""
        if self._bodies + nbytes > _BODIES_BYTES:
            return False
        self._bodies += nbytes
        return True

    def let_go(self, nbytes: int) -> None:
        self._bodies -= nbytes

    def too_large(self) -> Answer:
        most = self.limits.extension_body_bytes
        self.log.limit("extension_body_bytes", most)
        return _with_ours(error(413, "too-large", f"the body has over {most} bytes (extension_body_bytes)"))

    def too_many(self) -> Answer:
        return _with_ours(error(503, "busy", f"the bodies of all requests together have over {_BODIES_BYTES} bytes"))

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


def _with_ours(answer: Answer) -> Answer:
    return answer._replace(headers=sent_headers(answer.headers.items()))
