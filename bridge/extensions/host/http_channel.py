"""A channel that is one request of a page: its body collected, the answer passed on as fast as it is taken."""

import asyncio
from collections import deque
from typing import Any, Final

from spanbridge.protocol.frames import Buffer, Span, join
from spanbridge.protocol.problems import TERMINATED, Problem

from ...payloads.base import Port, Services
from ...payloads.served.channel import MESSAGE_BYTES, Channel
from .answers import Answer, has_body, reason
from .asked import Asked, Stream
from .opening import HttpOpen
from .requests import Requests

_NO_LENGTH: Final = (204, 304)
_READY_SECONDS: Final = 0.001


class HttpChannel:
    """The payload of its channel."""

    __slots__ = (
        "_asked",
        "_body",
        "_held",
        "_is_ready",
        "_opened",
        "_pieces",
        "_refused",
        "_requests",
        "_size",
        "_soon",
        "_stream",
        "_user",
        "_waits",
        "channel",
    )

    def __init__(self, channel: Channel, opened: HttpOpen, requests: Requests, user: tuple[str, int]) -> None:
        self.channel = channel
        self._opened = opened
        self._requests = requests
        self._user = user
        self._body: list[Buffer] = []
        self._size = 0
        self._held = 0  # bytes of it that are held
        self._refused: Answer | None = None
        self._is_ready = False
        self._soon: asyncio.TimerHandle | None = None  # when `ready` is said
        self._asked: Asked | None = None
        self._pieces: deque[Buffer] = deque()  # of an answer that is whole
        self._stream: Stream | None = None
        self._waits = False  # until more may be sent

    # From the page

    def settle(self) -> None:
        """Whoever has sent all waits for nothing: `ready` then goes out with the answer, in one write. What is missing
        may be on its way."""
        if self._asked is None and not self._is_ready:
            self._soon = self._requests.loop.call_later(_READY_SECONDS, self.announce)

    def _cancel_ready(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def announce(self) -> None:
        """The channel is served. Harmless a second time."""
        self._cancel_ready()
        if not self._is_ready:
            self._is_ready = True
            self.channel.ready()

    def data(self, data: Span, nbytes: int) -> None:
        self._size += nbytes
        if self._refused is None and self._size > self._requests.limits.extension_body_bytes:
            self._refused = self._requests.too_large()
        elif self._refused is None and not self._requests.take_in(nbytes):
            self._refused = self._requests.too_many()
        elif self._refused is None:
            self._held += nbytes
            self._body.append(bytes(join(data)))
        if self._refused is not None:  # what comes is read on, and dropped
            self._let_go()
        self.channel.taken(nbytes)

    def _let_go(self) -> None:
        self._requests.let_go(self._held)
        self._held = 0
        self._body.clear()

    def done(self) -> None:
        self._cancel_ready()
        self._asked = Asked(self._requests, self._opened, b"".join(self._body), self._user, self._answered)
        if self._refused is not None:
            self._answered(self._refused)
        else:
            self._asked.begin()

    def command(self, command: str, message: dict[str, Any]) -> None:
        """It knows no other."""

    def end(self) -> None:
        self._cancel_ready()
        self._let_go()
        self._pieces.clear()
        self._stream = None
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.leave()

    # From the extension

    def _answered(self, answer: Answer | Stream) -> None:
        self.channel.guard(self._send, answer)

    def _send(self, answer: Answer | Stream) -> None:
        self._let_go()
        opened, channel = self._opened, self.channel
        headers = answer.headers
        shown = has_body(opened.method, answer.status)
        if isinstance(answer, Answer) and opened.terms.raw and answer.status not in _NO_LENGTH:
            headers = {**headers, "Content-Length": str(len(answer.body))}
        head = {"status": answer.status, "reason": reason(answer.status), "headers": headers}
        if isinstance(answer, Answer) and channel.conclude("response", answer.body if shown else b"", **head):
            return
        self.announce()
        channel.control("response", **head)
        if isinstance(answer, Answer):
            if shown and answer.body:
                self._pieces.extend(_cut(answer.body))
            self._put_pieces()
        elif shown:
            self._stream = answer
            answer.on_news = self._news
            self._put_stream()
        else:
            self._over()

    def _put_pieces(self) -> None:
        while self._pieces:
            if not self.channel.may_send(self._put_pieces):
                return
            self.channel.send(self._pieces.popleft())
        self._over()

    def _news(self) -> None:
        if not self._waits:
            self.channel.guard(self._put_stream)

    def _go_on(self) -> None:
        self._waits = False
        self.channel.guard(self._put_stream)

    def _put_stream(self) -> None:
        stream = self._stream
        if stream is None or not self.channel.open:
            return
        while stream.has_more:
            if not self.channel.may_send(self._go_on):
                self._waits = True
                return
            self.channel.send(stream.take())
        if stream.broken is not None:
            raise Problem(TERMINATED, f"the answer broke off: {stream.broken}")
        if stream.over:
            self._over()

    def _over(self) -> None:
        self.channel.done()
        self.channel.close()


def http_channel(
    port: Port, opened: HttpOpen, services: Services, requests: Requests, user: tuple[str, int]
) -> HttpChannel:
    """For an open that was read."""
    channel = Channel(port, opened.terms, services)
    payload = HttpChannel(channel, opened, requests, user)
    channel.serve(payload)
    if opened.terms.acks:  # which must not come before `ready`
        payload.announce()
    return payload


def _cut(body: bytes) -> list[Buffer]:
    if len(body) <= MESSAGE_BYTES:
        return [body]
    view = memoryview(body)
    return [view[begin : begin + MESSAGE_BYTES] for begin in range(0, len(body), MESSAGE_BYTES)]
