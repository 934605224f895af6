"""The body of an answer, sent as fast as it is taken."""

import asyncio
from typing import Any

from ..inner.messages import PIECE, Broken, Data, Done, Response
from .calling import tell
from .http import Answer
from .lane import Exhausted, Lane
from .serving import Sender, Serving


class Bodies:
    """Of all requests of one process."""

    def __init__(self, send: Sender, lane: Lane) -> None:
        self._send = send
        self._lane = lane

    async def put(self, serving: Serving, answer: Answer) -> None:
        """Send an answer, as fast as it is taken."""
        body = answer.body
        if isinstance(body, bytes):
            self._send(Response(serving.number, answer.status, answer.headers, body[:PIECE], False))
            serving.credit -= min(len(body), PIECE)
            await self._put_piece(serving, body[PIECE:])
            self._send(Done(serving.number))
            return
        self._send(Response(serving.number, answer.status, answer.headers, b"", False))
        try:
            async for piece in self._pieces(serving, body):
                await self._put_piece(serving, piece)
        except Exception as error:  # noqa: BLE001 - it is theirs
            tell(error)
            self._send(Broken(serving.number))
        else:
            self._send(Done(serving.number))
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()
            elif hasattr(body, "close"):
                self._lane.put(lambda: _closed(body))

    async def _pieces(self, serving: Serving, body: Any) -> Any:
        if hasattr(body, "__anext__"):
            async for piece in body:
                yield _bytes(piece)
            return
        while True:
            try:
                piece = await self._lane.run(serving, body.__next__)
            except Exhausted:
                return
            yield _bytes(piece)

    async def _put_piece(self, serving: Serving, data: bytes) -> None:
        view = memoryview(data)
        while view:
            while serving.credit <= 0:
                serving.wake = asyncio.get_running_loop().create_future()
                await serving.wake
            piece = view[: min(PIECE, serving.credit)]
            serving.credit -= len(piece)
            self._send(Data(serving.number, bytes(piece)))
            view = view[len(piece) :]


def _bytes(piece: Any) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(f"the generator gave a {type(piece).__name__}, expected str or bytes")


def _closed(body: Any) -> None:
    try:
        body.close()
    except Exception as error:  # noqa: BLE001 - it is theirs
        tell(error)
