"""Requests in the process of an extension: read, handed to handlers, answered."""

import asyncio
import contextlib
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from ..errors import HttpError
from ..inner.messages import PIECE, Cancel, Credit, Ended, Ping, Pong, Request, Response, Stop, Stuck, decode_from_host
from ..inner.wire import Frames, arrivals
from .body import Bodies, is_cancelled
from .calling import answered_or_failed, called, is_async, is_awaitable, next_of, nobody, raise_answer, whole
from .calls import HostGone, current_call
from .http import Answer, Req, Res, error_answer
from .lane import Lane
from .router import BadEncoding, Router, Step
from .serving import Sender, Serving


class Begun(NamedTuple):
    """A handler that is no coroutine function, and has returned something to wait for: the first of `steps`."""

    steps: list[Step]
    value: Awaitable[Any]
    go_on: list[BaseException | None]


class Server:
    """Made once `init` has returned, or before: requests come only after `ready`.

    One of two threads reads the socket: the lane while it waits for the next handler that is no coroutine, so that a
    request is answered by the thread that has read it; the event loop while the lane runs a handler, or coroutines are
    under way.
    """

    def __init__(self, sock: socket.socket, send: Sender, router: Router, most: int) -> None:
        self._sock = sock
        self._send = send
        self._router = router
        self._frames = Frames(most)
        self._lane = Lane(self._read_in_lane)
        self._bodies = Bodies(send, self._lane)
        self._under_way: dict[int, Serving] = {}
        self._refusals: dict[frozenset[str], Step] = {}
        self._on_loop: set[int] = set()
        """Requests that the event loop has to do with."""
        self._turn = threading.Lock()
        self._lane_reads = False
        self._wait = arrivals(sock)
        # Watched by the event loop, and itself watching the socket while it is the loop's turn to read.
        self._watch = select.epoll()
        self._watch.register(sock, select.EPOLLIN)
        self._stopping = False
        self._ended = False
        # Until there is an event loop: what the main thread is to do, and what waits for the loop.
        self._woken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watch.register(self._woken, select.EPOLLIN)
        self._later: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._parked: list[tuple[Serving, Coroutine[Any, Any, None]]] = []
        self._handing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Future[None] | None = None

    def run_alone(self) -> bool:
        """Until the host ends, or says stop and all is answered, or a coroutine is to be run: whether that is so, and
        `run` must follow. Most extensions have none."""
        while not self._ended and not self._parked:
            for fd, _ in self._watch.poll():
                if fd == self._woken:
                    self._do_later()
                else:
                    self._readable()
        return not self._ended

    def _do_later(self) -> None:
        os.eventfd_read(self._woken)
        while self._later:
            call, arguments = self._later.popleft()
            call(*arguments)

    async def run(self) -> None:
        """As run_alone, with an event loop, to the end."""
        self._over = asyncio.get_running_loop().create_future()
        self._watch.unregister(self._woken)
        with self._handing:
            self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._watch.fileno(), self._readable)
        while self._later:
            call, arguments = self._later.popleft()
            self._loop.call_soon(call, *arguments)
        for serving, work in self._parked:
            self._begin_task(serving, work)
        if not self._ended:
            await self._over

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        """Have the main thread call it. From any thread."""
        with self._handing:
            if self._loop is None:
                self._later.append((call, arguments))
                os.eventfd_write(self._woken, 1)
                return
        with contextlib.suppress(RuntimeError):  # all is over
            self._loop.call_soon_threadsafe(call, *arguments)

    def _end(self) -> None:
        self._ended = True
        if self._loop is not None and self._over is not None and not self._over.done():
            self._loop.remove_reader(self._watch.fileno())
            self._over.set_result(None)

    def _readable(self) -> None:
        with self._turn:
            if self._lane_reads:
                return
            came = self._frames.read(self._sock)
            if came == 0:
                self._end()
            elif came is not None:
                for body in self._frames.messages():
                    self._take(decode_from_host(body))

    def _read_in_lane(self) -> None:
        """In the lane, which has nothing to do: wait for requests, unless that is for the event loop."""
        with self._turn:
            if self._stopping or self._on_loop or not self._lane.is_empty:
                return
            self._lane_reads = True
            self._watch.modify(self._sock, 0)
        mine = True
        while mine and self._lane.is_empty:
            self._wait()
            if not self._frames.read(self._sock, 0):
                self._soon(self._end)
                return
            for body in self._frames.messages():
                mine = self._take_in_lane(decode_from_host(body)) and mine
        with self._turn:
            self._lane_reads = False
            self._watch.modify(self._sock, select.EPOLLIN)

    def _take_in_lane(self, message: Any) -> bool:
        """Put it into the lane if it belongs there, else hand it to the event loop; whether to go on reading."""
        if isinstance(message, Request):
            begun = self._looked_at(message)
            if begun is None:
                return not self._stopping
            serving, steps, req, res = begun
            if _is_for_lane(steps):
                self._put_in_lane(serving, steps, req, res)
                return True
            self._on_loop.add(message.id)
            self._soon(self._drive_on_loop, serving, steps, req, res)
            return False
        self._soon(self._take, message)
        return not isinstance(message, Stop)

    def _take(self, message: Any) -> None:
        if isinstance(message, Request):
            self._begin(message)
        elif isinstance(message, Credit):
            serving = self._under_way.get(message.id)
            if serving is not None:
                serving.credit += message.nbytes
                serving.go_on()
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
        serving.go_on()
        if serving.task is not None:
            serving.task.cancel()
        elif serving.running and message.late:
            self._send(Stuck(message.id))

    # One request

    def _begin(self, request: Request) -> None:
        begun = self._looked_at(request)
        if begun is None:
            return
        serving, steps, req, res = begun
        if _is_for_lane(steps):
            self._put_in_lane(serving, steps, req, res)
        else:
            self._on_loop.add(request.id)
            self._drive_on_loop(serving, steps, req, res)

    def _looked_at(self, request: Request) -> tuple[Serving, list[Step], Req, Res] | None:
        """What is to be done for a request; None: it was answered."""
        serving = self._under_way[request.id] = Serving(request.id)
        try:
            req = Req(request.method, request.path, request.query, request.headers, request.body, request.user)
            steps, methods = self._router.find(request.method, request.path)
        except HttpError as error:
            self._answer_now(request.id, error_answer(error.status, error.code, error.message))
            return None
        except BadEncoding:
            self._answer_now(request.id, error_answer(400, "bad-request", "bad percent-encoding in the path"))
            return None
        if not any(not step.middleware for step in steps):
            answer = nobody(methods)
            if not steps:
                self._answer_now(request.id, answer)
                return None
            steps = [*steps, self._refusal(frozenset(methods), answer)]
        return serving, steps, req, Res()

    def _refusal(self, methods: frozenset[str], answer: Answer) -> Step:
        """A handler that answers so. One for each set of methods: what is known of handlers is kept."""
        return self._refusals.setdefault(methods, Step(lambda req, res: raise_answer(answer), {}, False))

    def _put_in_lane(self, serving: Serving, steps: list[Step], req: Req, res: Res) -> None:
        self._lane.put(lambda: self._in_lane(serving, steps, req, res))

    def _drive_on_loop(
        self, serving: Serving, steps: list[Step], req: Req, res: Res, begun: Begun | None = None
    ) -> None:
        self._begin_task(serving, self._drive(serving, steps, req, res, begun))

    def _answer_now(self, number: int, answer: Answer) -> None:
        self._try(Response(number, answer.status, answer.headers, answer.body, True))
        self._under_way.pop(number, None)  # when it is out: without any the process ends when it is told to stop
        if self._stopping:
            self._soon(self._stop_if_idle)

    def _stop_if_idle(self) -> None:
        if self._stopping and not self._under_way:
            self._end()

    def _in_lane(self, serving: Serving, steps: list[Step], req: Req, res: Res) -> None:
        """The short way: no coroutine among the handlers. The thread that ran them sends the answer."""
        if serving.dropped:
            self._leave(serving.number)
            return
        serving.running = True
        token = current_call.set(serving.number)
        try:
            answer: Answer | Begun = _straight_through(steps, req, res)
        except BaseException as error:  # noqa: BLE001 - it is theirs; sys.exit() must not end the thread
            answer = answered_or_failed(res, error)
        finally:
            current_call.reset(token)
            serving.running = False
        if isinstance(answer, Begun):
            self._on_loop.add(serving.number)
            self._soon(self._drive_on_loop, serving, answer.steps, req, res, answer)
        elif isinstance(answer.body, bytes) and len(answer.body) <= PIECE:
            self._answer_now(serving.number, answer)
        else:
            self._on_loop.add(serving.number)
            self._soon(self._stream, serving, answer)

    def _leave(self, number: int) -> None:
        self._on_loop.discard(number)
        self._try(Ended(number))
        self._under_way.pop(number, None)
        if self._stopping:
            self._soon(self._stop_if_idle)

    def _try(self, message: Any) -> None:
        try:
            self._send(message)
        except HostGone:
            self._soon(self._end)

    def _stream(self, serving: Serving, answer: Answer) -> None:
        self._begin_task(serving, self._streamed(serving, answer))

    def _begin_task(self, serving: Serving, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            self._parked.append((serving, work))
            return
        serving.task = self._loop.create_task(work)
        # One that is cancelled before its first step never gets to an end of its own.
        serving.task.add_done_callback(lambda _: self._leave(serving.number))
        if serving.dropped:
            serving.task.cancel()

    async def _streamed(self, serving: Serving, answer: Answer) -> None:
        current_call.set(serving.number)
        await self._bodies.put(serving, answer)

    async def _drive(self, serving: Serving, steps: list[Step], req: Req, res: Res, begun: Begun | None) -> None:
        """Handlers one after another, each where it belongs, until one answers."""
        current_call.set(serving.number)
        early: list[asyncio.Task[None]] = []

        def answer_early(answer: Answer) -> None:
            early.append(asyncio.get_running_loop().create_task(self._bodies.put(serving, answer)))

        try:
            try:
                answer = await self._through(serving, steps, req, res, answer_early, begun)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and is_cancelled():
                    raise
                answer = answered_or_failed(res, error)
            if early:
                await early[0]
            else:
                await self._bodies.put(serving, answer)
        finally:
            for task in early:
                task.cancel()

    async def _through(
        self,
        serving: Serving,
        steps: list[Step],
        req: Req,
        res: Res,
        early: Callable[[Answer], None],
        begun: Begun | None,
    ) -> Answer:
        for step in steps:
            go_on: list[BaseException | None] = []
            after = next_of(go_on) if step.middleware else None
            value: Any
            if begun is not None:
                value, go_on, begun = begun.value, begun.go_on, None
            elif is_async(step.handler):
                value = called(step, req, res, after)
            else:
                value = await self._lane.run(serving, lambda: called(step, req, res, after))  # noqa: B023
            if is_awaitable(value):
                res.on_answer = early
                value = await value
            res.on_answer = None
            if res.answer is not None or not step.middleware or value is not None:
                if hasattr(value, "__next__"):
                    answer: Answer = await self._lane.run(serving, lambda: whole(value, res))  # noqa: B023
                    return answer
                return whole(value, res)
            _go_on(go_on)
        raise RuntimeError("next() was called by the last handler")


def _is_for_lane(steps: list[Step]) -> bool:
    return not any(is_async(step.handler) for step in steps)


def _straight_through(steps: list[Step], req: Req, res: Res) -> Answer | Begun:
    """Handlers one after another until one answers, or is to be waited for. Raises what they raise."""
    for number, step in enumerate(steps):
        go_on: list[BaseException | None] = []
        value = called(step, req, res, next_of(go_on) if step.middleware else None)
        if is_awaitable(value):
            return Begun(steps[number:], value, go_on)
        if res.answer is not None or not step.middleware or value is not None:
            return whole(value, res)
        _go_on(go_on)
    raise RuntimeError("next() was called by the last handler")


def _go_on(said: list[BaseException | None]) -> None:
    """What a function given to use() has said: raise it, unless it is to go on."""
    if not said:
        raise RuntimeError("the function given to use() has neither answered nor called next()")
    if said[0] is not None:
        raise said[0]
