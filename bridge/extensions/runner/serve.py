"""Requests in the process of an extension: read, handed to handlers, answered."""

import asyncio
import inspect
import socket
from collections.abc import Callable
from typing import Any, Final

from ..errors import HttpError
from ..inner.messages import PIECE, Cancel, Credit, Ended, Ping, Pong, Request, Response, Stop, Stuck, decode_from_host
from ..inner.wire import Frames, come
from .body import Bodies
from .calling import answered_or_failed, called, is_async, next_of, nobody, raise_answer, whole
from .calls import HostGone, current_call
from .http import Answer, Req, Res, error_answer
from .lane import Lane
from .router import BadEncoding, Router, Step
from .serving import Sender, Serving

_READ_BYTES: Final = 256 << 10


class Server:
    """Made once `init` has returned, or before: requests come only after `ready`."""

    def __init__(self, sock: socket.socket, send: Sender, router: Router, most: int) -> None:
        self._sock = sock
        self._send = send
        self._router = router
        self._frames = Frames(most)
        self._lane = Lane()
        self._bodies = Bodies(send, self._lane)
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
        chunk = come(self._sock, _READ_BYTES)
        if chunk is None:
            return
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
        serving = self._under_way[request.id] = Serving(request.id)
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
            answer = nobody(methods)
            if not steps:
                self._answer_now(request.id, answer)
                return
            steps = [*steps, Step(lambda req, res: raise_answer(answer), {}, False)]
        res = Res()
        if len(steps) == 1 and not is_async(steps[0].handler):
            self._lane.put(lambda: self._in_lane(serving, steps[0], req, res))
        else:
            serving.task = self._loop.create_task(self._drive(serving, steps, req, res))

    def _answer_now(self, number: int, answer: Answer) -> None:
        self._under_way.pop(number, None)
        self._send(Response(number, answer.status, answer.headers, answer.body, True))
        self._stop_if_idle()

    def _stop_if_idle(self) -> None:
        if self._stopping and not self._under_way:
            self._end()

    def _in_lane(self, serving: Serving, step: Step, req: Req, res: Res) -> None:
        """The short way: one handler, no coroutine. The thread that ran it sends the answer."""
        if serving.dropped:
            self._leave(serving.number)
            return
        serving.running = True
        token = current_call.set(serving.number)
        try:
            answer = whole(called(step, req, res), res)
        except BaseException as error:  # noqa: BLE001 - it is theirs; sys.exit() must not end the thread
            answer = answered_or_failed(res, error)
        finally:
            current_call.reset(token)
            serving.running = False
        if isinstance(answer.body, bytes) and len(answer.body) <= PIECE:
            self._under_way.pop(serving.number, None)
            self._try(Response(serving.number, answer.status, answer.headers, answer.body, True))
            if self._stopping:
                self._loop.call_soon_threadsafe(self._stop_if_idle)
        else:
            self._loop.call_soon_threadsafe(self._stream, serving, answer)

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

    def _stream(self, serving: Serving, answer: Answer) -> None:
        serving.task = self._loop.create_task(self._streamed(serving, answer))

    async def _streamed(self, serving: Serving, answer: Answer) -> None:
        current_call.set(serving.number)
        try:
            await self._bodies.put(serving, answer)
        finally:
            self._leave(serving.number)

    async def _drive(self, serving: Serving, steps: list[Step], req: Req, res: Res) -> None:
        """Handlers one after another, each where it belongs, until one answers."""
        current_call.set(serving.number)
        early: list[asyncio.Task[None]] = []

        def answer_early(answer: Answer) -> None:
            early.append(self._loop.create_task(self._bodies.put(serving, answer)))

        try:
            try:
                answer = await self._through(serving, steps, req, res, answer_early)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise
                answer = answered_or_failed(res, error)
            if early:
                await early[0]
            elif answer is not None:
                await self._bodies.put(serving, answer)
        finally:
            for task in early:
                task.cancel()
            self._leave(serving.number)

    async def _through(
        self, serving: Serving, steps: list[Step], req: Req, res: Res, early: Callable[[Answer], None]
    ) -> Answer | None:
        for step in steps:
            go_on: list[BaseException | None] = []
            after = next_of(go_on) if step.middleware else None
            if is_async(step.handler):
                res.on_answer = early
                value = called(step, req, res, after)
                if inspect.isawaitable(value):
                    value = await value
                res.on_answer = None
            else:
                value = await self._lane.run(serving, lambda: called(step, req, res, after))  # noqa: B023
            if res.answer is not None or not step.middleware or value is not None:
                return None if res.answer is not None and is_async(step.handler) else whole(value, res)
            if not go_on:
                raise RuntimeError("the function given to use() has neither answered nor called next()")
            if go_on[0] is not None:
                raise go_on[0]
        raise RuntimeError("next() was called by the last handler")


def _is_cancelled() -> bool:
    """Whether somebody wants this task to end: the handler itself may have raised the same."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
