"""One request on its way: to an extension, or to what the host answers itself.

By callbacks; there is a task only where one must wait, for a start or for the host's own answer.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from ..life.extension import Extension, Unavailable
from ..process.exchange import Exchange
from ..process.process import Process
from .answers import Answer, Unsendable, error, sent_headers, with_ours
from .deadlines import Deadline
from .opening import HttpOpen
from .requests import MANAGEMENT, MOUNT, Requests

_UNFORESEEN: Final = "a mistake within the host, see host.log"


class Stream:
    """An answer whose body comes bit by bit."""

    __slots__ = ("_exchange", "_process", "headers", "status")

    def __init__(self, process: Process, exchange: Exchange, status: int, headers: dict[str, str]) -> None:
        self._process = process
        self._exchange = exchange
        self.status = status
        self.headers = headers

    @property
    def has_more(self) -> bool:
        """Whether there is something to take."""
        return bool(self._exchange.pieces)

    @property
    def over(self) -> bool:
        """Whether nothing will come but what is there."""
        return self._exchange.over

    @property
    def broken(self) -> str | None:
        """Why it broke off; None: it has not."""
        return (self._process.why or "its end is missing") if self._exchange.broken else None

    def take(self) -> bytes:
        """The next bytes."""
        return self._process.take(self._exchange)

    def _tell(self, on_news: Callable[[], None]) -> None:
        self._exchange.tell = on_news

    on_news = property(None, _tell, doc="What is to be called when there is more, or the end.")


class Asked:
    """`on_answer` is called once, unless `leave` is called before. `leave` must follow in any case."""

    __slots__ = (
        "_body",
        "_deadline",
        "_exchange",
        "_extension",
        "_left",
        "_on_answer",
        "_opened",
        "_process",
        "_requests",
        "_task",
        "_user",
    )

    def __init__(
        self,
        requests: Requests,
        opened: HttpOpen,
        body: bytes,
        user: tuple[str, int],
        on_answer: Callable[[Answer | Stream], None],
    ) -> None:
        self._requests = requests
        self._opened = opened
        self._body = body
        self._user = user
        self._on_answer = on_answer
        self._extension: Extension | None = None  # for which it is counted
        self._process: Process | None = None
        self._exchange: Exchange | None = None
        self._deadline: Deadline | None = None
        self._task: asyncio.Task[None] | None = None
        self._left = False

    def begin(self) -> None:
        """Hand it over."""
        path, _, query = self._opened.path.partition("?")
        if path.startswith(MOUNT):
            self._to_extension(path, query)
        elif path == MANAGEMENT or path.startswith(f"{MANAGEMENT}/"):
            self._task = self._requests.loop.create_task(self._to_management(path, query))
        else:
            self._tell(error(404, "not-found", "there is no such path"))

    def leave(self) -> None:
        """Nobody waits for the answer any more, or it is there."""
        self._left = True
        self._on_answer = _nobody_waits
        if self._task is not None:
            self._task.cancel()
        self._let_go()

    def _let_go(self, *, late: bool = False) -> None:
        if self._deadline is not None:
            self._in_time()
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._process is not None:
            self._process.leave(exchange, late=late)
        if self._extension is not None:
            self._count_out()

    def _count_out(self) -> None:
        extension, self._extension = self._extension, None
        if extension is not None:
            self._requests.count_out(extension.name)

    def _tell(self, answer: Answer) -> None:
        """An answer of the host's own."""
        self._let_go()
        if not self._left:
            self._on_answer(with_ours(answer))

    async def _to_management(self, path: str, query: str) -> None:
        requests = self._requests
        try:
            answer = await requests.management.answer(
                self._opened.method, path[len(MANAGEMENT) :], query, self._body, self._user
            )
        except Exception as why:  # noqa: BLE001 - it costs this request alone
            requests.log.unforeseen("management", why)
            answer = error(500, "internal-error", _UNFORESEEN)
        self._task = None
        self._tell(answer)

    def _to_extension(self, path: str, query: str, *, looked: bool = False) -> None:
        name, _, below = path[len(MOUNT) :].partition("/")
        requests = self._requests
        extension = requests.extension(name)
        if extension is None and not looked:
            self._task = requests.loop.create_task(self._once_looked(name, path, query))
            return
        if extension is None:
            self._tell(error(404, "no-such-extension", f"there is no extension {name[:64]!r}"))
            return
        if not requests.count_in(name):
            most = requests.limits.extension_waiting
            self._tell(error(503, "busy", f"{most} requests wait for it already", Retry_After="1"))
            return
        self._extension = extension
        try:
            process = extension.running_now()
        except Unavailable as why:
            self._unavailable(why)
            return
        if process is not None:
            self._hand_over(process, f"/{below}", query)
        else:
            self._task = requests.loop.create_task(self._once_running(extension, f"/{below}", query))

    async def _once_looked(self, name: str, path: str, query: str) -> None:
        try:
            await self._requests.management.look_for(name)
        except Exception as why:  # noqa: BLE001 - it costs this request alone
            self._requests.log.unforeseen("look", why)
        self._task = None
        self._to_extension(path, query, looked=True)

    async def _once_running(self, extension: Extension, path: str, query: str) -> None:
        try:
            process = await extension.running()
        except Unavailable as why:
            self._task = None
            self._unavailable(why)
            return
        except Exception as why:  # noqa: BLE001 - it costs this request alone
            self._task = None
            self._requests.log.unforeseen("start", why)
            self._tell(error(500, "internal-error", _UNFORESEEN))
            return
        self._task = None
        self._hand_over(process, path, query)

    def _unavailable(self, why: Unavailable) -> None:
        retry = {} if why.retry is None else {"Retry_After": str(why.retry)}
        self._tell(error(why.status, why.code, why.message, **retry))

    def _hand_over(self, process: Process, path: str, query: str) -> None:
        opened = self._opened
        self._process = process
        self._exchange = process.request(opened.method, path, query, opened.headers, self._body, self._user, self._head)
        self._body = b""  # it is counted no more once the answer begins
        self._deadline = self._requests.deadlines.begin(self._late)

    def _head(self) -> None:
        """The head of the answer is there, or will never be."""
        exchange, process, extension = self._exchange, self._process, self._extension
        if exchange is None or process is None or extension is None:
            return
        head = exchange.head
        if head is None:
            if exchange.broken:
                self._tell(error(502, "extension-died", process.why))
            return
        self._in_time()
        try:
            if not 200 <= head.status <= 599:
                raise Unsendable(f"the status {head.status}, expected 200 to 599")
            headers = sent_headers(head.headers)
        except Unsendable as why:
            self._requests.log.error("answer-not-sent", extension=extension.name, why=str(why))
            self._tell(error(500, "internal-error", "its answer cannot be sent, see the log"))
            return
        if exchange.over:
            self._on_answer(Answer(head.status, head.body, headers))
            self._let_go()
            return
        exchange.tell = _nobody
        self._count_out()
        self._on_answer(Stream(process, exchange, head.status, headers))

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._requests.deadlines.cancel(self._deadline)
            self._deadline = None

    def _late(self) -> None:
        if self._deadline is None:  # it was answered in the same turn
            return
        self._deadline = None
        seconds = self._requests.limits.extension_request_seconds
        name = "" if self._extension is None else self._extension.name
        self._requests.log.limit("extension_request_seconds", seconds, extension=name)
        self._let_go(late=True)
        self._on_answer(with_ours(error(504, "timeout", f"no answer after {seconds:g} s (extension_request_seconds)")))


def _nobody() -> None:
    """Nobody listens yet."""


def _nobody_waits(answer: Answer | Stream) -> None:
    """Whoever waited has left."""
