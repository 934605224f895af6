"""The body of an answer, sent as fast as it is taken."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from ..inner.messages import PIECE, Broken, Data, Done, Response
from .calling import failure, tell
from .http import Answer
from .lane import Exhausted, Lane
from .serving import Sender, Serving


class _Left(Exception):
    """Nobody waits for the answer any more."""


class Bodies:
    """Of all requests of one process."""

    def __init__(self, send: Sender, lane: Lane) -> None:
        self._send = send
        self._lane = lane

    async def put(self, serving: Serving, answer: Answer) -> None:
        """Send an answer, as fast as it is taken, to its end or until nobody waits for it."""
        with contextlib.suppress(_Left):
            await self._put(serving, answer)

    async def _put(self, serving: Serving, answer: Answer) -> None:
        """Raises _Left."""
        body = answer.body
        if isinstance(body, bytes):
            self._send(Response(serving.number, answer.status, answer.headers, body[:PIECE], False))
            serving.credit -= min(len(body), PIECE)
            await self._put_piece(serving, body[PIECE:])
            self._send(Done(serving.number))
            return
        if inspect.isasyncgen(body):
            try:
                body = _FirstStep(body)
            except StopAsyncIteration:
                pass
            except BaseException as error:  # noqa: BLE001 - it is theirs, and there is no answer yet
                await self.put(serving, failure(error))
                return
        self._send(Response(serving.number, answer.status, answer.headers, b"", False))
        try:
            async for piece in self._pieces(serving, body):
                await self._put_piece(serving, piece)
        except _Left:
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
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
        """Raises _Left: the handler may answer, or go on, though it was cancelled."""
        view = memoryview(data)
        while view:
            while serving.credit <= 0 or serving.dropped:
                if serving.dropped:
                    raise _Left
                serving.wake = asyncio.get_running_loop().create_future()
                await serving.wake
            piece = view[: min(PIECE, serving.credit)]
            serving.credit -= len(piece)
            self._send(Data(serving.number, bytes(piece)))
            view = view[len(piece) :]


def is_cancelled() -> bool:
    """Whether somebody wants this task to end: the handler itself may have raised the same."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _FirstStep:
    """An async generator that has run up to its first piece, or to where it first waits: what it raises before is the
    handler's. It goes on in the same task."""

    def __init__(self, rest: AsyncGenerator[Any, Any]) -> None:
        """Raises what the generator raises; StopAsyncIteration: it is at its end."""
        self._rest = rest
        self._step: Generator[Any, Any, Any] | None = rest.__anext__().__await__()
        self._made: list[Any] = []
        self._waits_for: Any = None
        try:
            self._waits_for = next(self._step)
        except StopIteration as done:
            self._made.append(done.value)

    def __aiter__(self) -> "_FirstStep":
        return self

    async def __anext__(self) -> Any:
        step, self._step = self._step, None
        if self._made:
            return self._made.pop()
        return await (self._rest.__anext__() if step is None else _Resumed(step, self._waits_for))

    async def aclose(self) -> None:
        await self._rest.aclose()


class _Resumed:
    """Waits for what a step waits for, and takes it to its end."""

    def __init__(self, step: Generator[Any, Any, Any], waits_for: Any) -> None:
        self._step = step
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        while True:
            try:
                given = yield waits_for
            except BaseException as error:  # noqa: BLE001 - the step's, who may be cancelled
                go_on: Callable[[Any], Any] = self._step.throw
                given = error
            else:
                go_on = self._step.send
            try:
                waits_for = go_on(given)
            except StopIteration as done:
                return done.value


def _bytes(piece: Any) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(f"the generator gave a {type(piece).__name__}, expected str or bytes")


def _closed(body: Any) -> None:
    try:
        body.close()
    except BaseException as error:  # noqa: BLE001 - it is theirs; sys.exit() must not end the thread
        tell(error)
