"""Requests in the process of an extension: read, handed to handlers, answered."""

import asyncio
import inspect
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Final

from ..errors import HttpError
from ..messages import (
    PIECE,
    WINDOW,
    Broken,
    Cancel,
    Credit,
    Data,
    Done,
    Ended,
    Ping,
    Pong,
    Request,
    Response,
    Stop,
    Stuck,
    decode_from_host,
    encode,
)
from ..wire import Frames, framed
from .calls import HostGone, current_call
from .http import Answer, Req, Res, error_answer
from .lane import Lane
from .router import BadEncoding, Router, Step

_READ_BYTES: Final = 256 << 10


class Sender:
    """Writes messages to the host, from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def __call__(self, *messages: Any) -> None:
        """Raises HostGone."""
        data = b"".join([framed(encode(message)) for message in messages])
        try:
            with self._lock:
                self._sock.sendall(data)
        except OSError:
            raise HostGone from None


class Serving:
    """One request under way."""

    __slots__ = ("credit", "dropped", "running", "task", "wake")

    def __init__(self) -> None:
        self.credit = WINDOW
        self.dropped = False
        self.running = False  # in the lane, where nobody can cancel it
        self.task: asyncio.Task[None] | None = None
        self.wake: asyncio.Future[None] | None = None


class Server:
    """Made once `init` has returned, or before: requests come only after `ready`."""

    def __init__(self, sock: socket.socket, send: Sender, router: Router, most: int) -> None:
        self._sock = sock
        self._send = send
        self._router = router
        self._frames = Frames(most)
        self._lane = Lane()
        self._under_way: dict[int, Serving] = {}
        self._stopping = False
        self._over: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop

    async def run(self) -> None:
        """Until the host ends, or says stop and all is answered."""
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self._loop.add_reader(self._sock.fileno(), self._readable)
        await self._over

    def _end(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _readable(self) -> None:
        try:
            chunk = self._sock.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._loop.remove_reader(self._sock.fileno())
            self._end()
            return
        for body in self._frames.feed(chunk):
            self._take(decode_from_host(body))

    def _take(self, message: Any) -> None:
        if isinstance(message, Request):
            self._begin(message)
        elif isinstance(message, Credit):
            serving = self._under_way.get(message.id)
            if serving is not None:
                serving.credit += message.nbytes
                if serving.wake is not None and not serving.wake.done():
                    serving.wake.set_result(None)
        elif isinstance(message, Cancel):
            self._cancel(message)
        elif isinstance(message, Ping):
            self._send(Pong(message.number))
        elif isinstance(message, Stop):
            self._stopping = True
            if not self._under_way:
                self._end()

    def _cancel(self, message: Cancel) -> None:
        serving = self._under_way.get(message.id)
        if serving is None:
            return
        serving.dropped = True
        if serving.task is not None:
            serving.task.cancel()
        elif serving.running and message.late:
            self._send(Stuck(message.id))

    # One request

    def _begin(self, request: Request) -> None:
        serving = self._under_way[request.id] = Serving()
        try:
            req = Req(request.method, request.path, request.query, request.headers, request.body, request.user)
            steps, methods = self._router.find(request.method, request.path)
        except HttpError as error:
            self._answer_now(request.id, error_answer(error.status, error.code, error.message))
            return
        except BadEncoding:
            self._answer_now(request.id, error_answer(400, "bad-request", "bad percent-encoding in the path"))
            return
        if not any(not step.middleware for step in steps):
            answer = _nobody(methods)
            if not steps:
                self._answer_now(request.id, answer)
                return
            steps = [*steps, Step(lambda req, res: _raise_answer(answer), {}, False)]
        res = Res()
        if len(steps) == 1 and not _is_async(steps[0].handler):
            self._lane.put(lambda: self._in_lane(request.id, serving, steps[0], req, res))
        else:
            serving.task = self._loop.create_task(self._drive(request.id, serving, steps, req, res))

    def _answer_now(self, number: int, answer: Answer) -> None:
        self._under_way.pop(number, None)
        self._send(Response(number, answer.status, answer.headers, answer.body, True))
        self._stop_if_idle()

    def _stop_if_idle(self) -> None:
        if self._stopping and not self._under_way:
            self._end()

    def _in_lane(self, number: int, serving: Serving, step: Step, req: Req, res: Res) -> None:
        """The short way: one handler, no coroutine. The thread that ran it sends the answer."""
        if serving.dropped:
            self._leave(number)
            return
        serving.running = True
        token = current_call.set(number)
        try:
            answer = _whole(_called(step, req, res), res)
        except Exception as error:  # noqa: BLE001 - it is theirs
            answer = _failure(error)
        finally:
            current_call.reset(token)
            serving.running = False
        if isinstance(answer.body, bytes) and len(answer.body) <= PIECE:
            self._under_way.pop(number, None)
            self._try(Response(number, answer.status, answer.headers, answer.body, True))
            if self._stopping:
                self._loop.call_soon_threadsafe(self._stop_if_idle)
        else:
            self._loop.call_soon_threadsafe(self._stream, number, serving, answer)

    def _leave(self, number: int) -> None:
        self._under_way.pop(number, None)
        self._try(Ended(number))
        if self._stopping:
            self._loop.call_soon_threadsafe(self._stop_if_idle)

    def _try(self, *messages: Any) -> None:
        try:
            self._send(*messages)
        except HostGone:
            self._loop.call_soon_threadsafe(self._end)

    def _stream(self, number: int, serving: Serving, answer: Answer) -> None:
        serving.task = self._loop.create_task(self._streamed(number, serving, answer))

    async def _streamed(self, number: int, serving: Serving, answer: Answer) -> None:
        current_call.set(number)
        try:
            await self._put(number, serving, answer)
        finally:
            self._leave(number)

    async def _drive(self, number: int, serving: Serving, steps: list[Step], req: Req, res: Res) -> None:
        """Handlers one after another, each where it belongs, until one answers."""
        current_call.set(number)
        early: list[asyncio.Task[None]] = []

        def answer_early(answer: Answer) -> None:
            early.append(self._loop.create_task(self._put(number, serving, answer)))

        try:
            try:
                answer = await self._through(number, serving, steps, req, res, answer_early)
            except Exception as error:  # noqa: BLE001 - it is theirs
                answer = _failure(error) if not early else None
            if early:
                await early[0]
            elif answer is not None:
                await self._put(number, serving, answer)
        finally:
            for task in early:
                task.cancel()
            self._leave(number)

    async def _through(
        self, number: int, serving: Serving, steps: list[Step], req: Req, res: Res, early: Callable[[Answer], None]
    ) -> Answer | None:
        for step in steps:
            go_on: list[BaseException | None] = []
            after = _next(go_on) if step.middleware else None
            if _is_async(step.handler):
                res.on_answer = early
                value = _called(step, req, res, after)
                if inspect.isawaitable(value):
                    value = await value
                res.on_answer = None
            else:
                value = await self._run_in_lane(number, serving, lambda: _called(step, req, res, after))  # noqa: B023
            if res.answer is not None or not step.middleware or value is not None:
                return None if res.answer is not None and _is_async(step.handler) else _whole(value, res)
            if not go_on:
                raise RuntimeError("the function given to use() has neither answered nor called next()")
            if go_on[0] is not None:
                raise go_on[0]
        raise RuntimeError("next() was called by the last handler")

    async def _run_in_lane(self, number: int, serving: Serving, function: Callable[[], Any]) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(result)

        def job() -> None:
            token = current_call.set(number)
            result: Any = None
            error: BaseException | None = None
            serving.running = True
            try:
                result = function()
            except StopIteration:
                error = _Exhausted()
            except Exception as raised:  # noqa: BLE001 - it is theirs
                error = raised
            finally:
                serving.running = False
                current_call.reset(token)
            self._loop.call_soon_threadsafe(settle, result, error)

        self._lane.put(job)
        return await future

    async def _put(self, number: int, serving: Serving, answer: Answer) -> None:
        """Send an answer, as fast as it is taken."""
        body = answer.body
        if isinstance(body, bytes):
            self._send(Response(number, answer.status, answer.headers, body[:PIECE], False))
            serving.credit -= min(len(body), PIECE)
            await self._put_piece(number, serving, body[PIECE:])
            self._send(Done(number))
            return
        self._send(Response(number, answer.status, answer.headers, b"", False))
        try:
            async for piece in self._pieces(number, serving, body):
                await self._put_piece(number, serving, piece)
        except Exception as error:  # noqa: BLE001 - it is theirs
            _tell(error)
            self._send(Broken(number))
        else:
            self._send(Done(number))
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()
            elif hasattr(body, "close"):
                self._lane.put(lambda: _closed(body))

    async def _pieces(self, number: int, serving: Serving, body: Any) -> Any:
        if hasattr(body, "__anext__"):
            async for piece in body:
                yield _bytes(piece)
            return
        while True:
            try:
                piece = await self._run_in_lane(number, serving, body.__next__)
            except _Exhausted:
                return
            yield _bytes(piece)

    async def _put_piece(self, number: int, serving: Serving, data: bytes) -> None:
        view = memoryview(data)
        while view:
            while serving.credit <= 0:
                serving.wake = self._loop.create_future()
                await serving.wake
            piece = view[: min(PIECE, serving.credit)]
            serving.credit -= len(piece)
            self._send(Data(number, bytes(piece)))
            view = view[len(piece) :]


def _next(go_on: list[BaseException | None]) -> Callable[..., None]:
    def go(error: BaseException | None = None) -> None:
        go_on.append(error)

    return go


class _Exhausted(Exception):
    """A generator has no more to give."""


class _Answered(Exception):
    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def _raise_answer(answer: Answer) -> None:
    raise _Answered(answer)


def _nobody(methods: set[str]) -> Answer:
    if not methods:
        return error_answer(404, "not-found", "there is no such path")
    allow = ", ".join(sorted(methods))
    return error_answer(405, "method-not-allowed", f"the path has {allow}", [("Allow", allow)])


def _is_async(handler: Callable[..., Any]) -> bool:
    call = getattr(handler, "__call__", None)  # noqa: B004 - an object may have a coroutine for it
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def _takes(handler: Callable[..., Any]) -> int:
    """How many arguments it takes by position, three at most."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return 2
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return 3
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)


_arity: dict[Any, int] = {}


def _called(step: Step, req: Req, res: Res, after: Any = None) -> Any:
    handler = step.handler
    count = _arity.get(handler)
    if count is None:
        count = _arity[handler] = _takes(handler)
    req.params = step.params
    if step.middleware:
        return handler(req, res, after)
    return handler(req) if count == 1 else handler(req, res)


def _whole(value: Any, res: Res) -> Answer:
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("the handler is not async, and returned a coroutine")
    return res.answer if res.answer is not None else res.returned(value)


def _failure(error: BaseException) -> Answer:
    if isinstance(error, _Answered):
        return error.answer
    if isinstance(error, HttpError):
        return error_answer(error.status, error.code, error.message)
    _tell(error)
    return error_answer(500, "internal-error", "the handler failed, see the log of the extension")


def _tell(error: BaseException) -> None:
    """The exception, for the log alone."""
    traceback.print_exception(error, file=sys.stderr)


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
        _tell(error)
