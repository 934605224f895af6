"""What one session asks for: its channels, each a request or a listener."""

import codecs
from collections.abc import AsyncIterator

from spanbridge.protocol.problems import NOT_FOUND, NOT_SUPPORTED, TERMINATED, Problem
from spanbridge.sdk import Channel

from ..inner.messages import PIECE
from ..process.process import Died
from .answers import Answer, has_body, reason
from .opening import HttpOpen, events_open, http_open
from .requests import Requests, Stream


class Front:
    """The channels of one relay. `user`: whose session it is."""

    def __init__(self, requests: Requests, user: tuple[str, int]) -> None:
        self._requests = requests
        self._user = user

    async def serve(self, channel: Channel) -> None:
        """A handler of channels, as the SDK has it."""
        payload = channel.options.get("payload")
        if payload == "http-stream2":
            await self._http(channel)
        elif payload == "extension-events":
            await self._events(channel)
        else:
            raise Problem(NOT_SUPPORTED, f"extensions serve no payload {payload!r}")

    async def _http(self, channel: Channel) -> None:
        opened = http_open(channel.options)
        # Whoever has sent all waits for nothing: `ready` then goes out with the answer, in one write.
        announced = not channel.complete
        if announced:
            await channel.ready()
        limits = self._requests.limits
        body: list[bytes] = []
        refused: Answer | None = None
        size = 0
        try:
            async for piece in channel:
                size += len(piece)
                if refused is None and size > limits.extension_body_bytes:
                    refused = self._requests.too_large()
                elif refused is None and not self._requests.take_in(len(piece)):
                    refused = self._requests.too_many()
                if refused is None:
                    body.append(piece)
                elif body:  # what comes is read on, and dropped
                    self._requests.let_go(sum(map(len, body)))
                    body.clear()
            answer = refused or await self._requests.answer(opened, b"".join(body), self._user)
        finally:
            self._requests.let_go(sum(map(len, body)))
        if not announced:
            await channel.ready()
        if isinstance(answer, Answer):
            await _send_whole(channel, opened, answer)
        else:
            try:
                await self._send(channel, opened, answer)
            finally:
                answer.leave()

    async def _send(self, channel: Channel, opened: HttpOpen, answer: Stream) -> None:
        await channel.control("response", status=answer.status, reason=reason(answer.status), headers=answer.headers)
        if has_body(opened.method, answer.status):
            try:
                async for piece in _text(answer.pieces()) if not opened.raw else answer.pieces():
                    await channel.send(piece)
            except Died as error:
                raise Problem(TERMINATED, f"the answer broke off: {error}") from None
        await channel.done()

    async def _events(self, channel: Channel) -> None:
        opened = events_open(channel.options)
        if not self._requests.knows(opened.extension):
            raise Problem(NOT_FOUND, f"there is no extension {opened.extension!r}")
        events = self._requests.events
        channel.discard()
        await channel.ready()
        subscription = events.subscribe(opened.extension, opened.topics, opened.after)
        try:
            while True:
                await channel.send(await subscription.take())
        finally:
            events.unsubscribe(opened.extension, subscription)


async def _send_whole(channel: Channel, opened: HttpOpen, answer: Answer) -> None:
    headers = dict(answer.headers)
    body = answer.body
    shown = has_body(opened.method, answer.status)
    if not opened.raw:
        body = body if body.isascii() else body.decode(errors="replace").encode()
    elif answer.status not in (204, 304):
        headers["Content-Length"] = str(len(body))
    await channel.control("response", status=answer.status, reason=reason(answer.status), headers=headers)
    if shown:
        for piece in cut(body, text=not opened.raw):
            await channel.send(piece)
    await channel.done()


def cut(body: bytes, *, text: bool) -> list[bytes]:
    """Pieces for frames; of text, which must be UTF-8, none ends within a character."""
    if len(body) <= PIECE:
        return [body] if body else []
    pieces = []
    start = 0
    while start < len(body):
        end = min(start + PIECE, len(body))
        while text and end < len(body) and body[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(body[start:end])
        start = end
    return pieces


async def _text(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    async for piece in pieces:
        if whole := decoder.decode(piece):
            for part in cut(whole.encode(), text=True):
                yield part
    if rest := decoder.decode(b"", final=True):
        yield rest.encode()
