"""A request on its way: to an extension, or to what the host answers itself."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Final

from ...limits import Limits
from ..inner.messages import Request
from ..life.extension import Extension, Unavailable
from ..life.life import Life
from ..life.parts import Parts
from ..process.process import Died, Exchange, Process
from ..services.events import Events
from .answers import Answer, Unsendable, error, sent_headers
from .management import Management
from .opening import HttpOpen

_MOUNT: Final = "/api/ext/"
_MANAGEMENT: Final = "/api/extensions"
_BODIES_BYTES: Final = 64 << 20


class Stream:
    """An answer whose body comes bit by bit. `leave` must follow."""

    def __init__(self, process: Process, number: int, exchange: Exchange, status: int, headers: dict[str, str]) -> None:
        self._process = process
        self._number = number
        self._exchange = exchange
        self.status = status
        self.headers = headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises Died."""
        while (piece := await self._process.piece(self._number, self._exchange)) is not None:
            yield piece

    def leave(self) -> None:
        self._process.leave(self._number)


class Requests:
    """Of all sessions."""

    def __init__(self, parts: Parts, life: Life, management: Management) -> None:
        self.limits: Limits = parts.limits
        self.events: Events = parts.events
        self._parts = parts
        self._life = life
        self._management = management
        self._bodies = 0
        self._waiting: dict[str, int] = {}

    def knows(self, name: str) -> bool:
        return name in self._life.extensions

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
        self._parts.log.limit("extension_body_bytes", most)
        return _with_ours(error(413, "too-large", f"the body has over {most} bytes (extension_body_bytes)"))

    def too_many(self) -> Answer:
        return _with_ours(error(503, "busy", f"the bodies of all requests together have over {_BODIES_BYTES} bytes"))

    async def answer(self, opened: HttpOpen, body: bytes, user: tuple[str, int]) -> Answer | Stream:
        """Never raises; but it is cancelled when nobody waits any more."""
        path, _, query = opened.path.partition("?")
        if path.startswith(_MOUNT):
            return await self._of_extension(opened, path, query, body, user)
        if path == _MANAGEMENT or path.startswith(f"{_MANAGEMENT}/"):
            answer = await self._management.answer(opened.method, path[len(_MANAGEMENT) :], query, body, user)
            return answer._replace(headers=sent_headers(answer.headers.items()))
        return _with_ours(error(404, "not-found", "there is no such path"))

    async def _of_extension(
        self, opened: HttpOpen, path: str, query: str, body: bytes, user: tuple[str, int]
    ) -> Answer | Stream:
        name, _, below = path[len(_MOUNT) :].partition("/")
        extension = self._life.extensions.get(name)
        if extension is None:
            return _with_ours(error(404, "no-such-extension", f"there is no extension {name[:64]!r}"))
        most = self.limits.extension_waiting
        if self._waiting.get(name, 0) >= most:
            self._parts.log.limit("extension_waiting", most, extension=name)
            return _with_ours(error(503, "busy", f"{most} requests wait for it already", Retry_After="1"))
        self._waiting[name] = self._waiting.get(name, 0) + 1
        try:
            return await self._handed_over(extension, opened, f"/{below}", query, body, user)
        except Unavailable as why:
            retry = {} if why.retry is None else {"Retry-After": str(why.retry)}
            answer = error(why.status, why.code, why.message)
            return _with_ours(answer._replace(headers={**answer.headers, **retry}))
        finally:
            self._waiting[name] -= 1

    async def _handed_over(
        self, extension: Extension, opened: HttpOpen, path: str, query: str, body: bytes, user: tuple[str, int]
    ) -> Answer | Stream:
        process = await extension.running()

        def make(number: int) -> Request:
            return Request(number, opened.method, path, query, opened.headers, body, user)

        number, exchange = process.request(make, user)
        late = False
        streaming = False
        try:
            async with asyncio.timeout(self.limits.extension_request_seconds):
                head = await exchange.head
            try:
                status, headers = _checked(head.status), sent_headers(head.headers)
            except Unsendable as why:
                self._parts.log.error("answer-not-sent", extension=extension.name, why=str(why))
                return _with_ours(error(500, "internal-error", "its answer cannot be sent, see the log"))
            if exchange.over:
                return Answer(status, head.body, headers)
            streaming = True
            return Stream(process, number, exchange, status, headers)
        except TimeoutError:
            late = True
            seconds = self.limits.extension_request_seconds
            self._parts.log.limit("extension_request_seconds", seconds, extension=extension.name)
            return _with_ours(error(504, "timeout", f"no answer after {seconds:g} s (extension_request_seconds)"))
        except Died as why:
            return _with_ours(error(502, "extension-died", str(why)))
        finally:
            if not streaming or sys.exc_info()[0] is not None:
                process.leave(number, late=late)


def _checked(status: int) -> int:
    if not 200 <= status <= 599:
        raise Unsendable(f"the status {status}, expected 200 to 599")
    return status


def _with_ours(answer: Answer) -> Answer:
    return answer._replace(headers=sent_headers(answer.headers.items()))
