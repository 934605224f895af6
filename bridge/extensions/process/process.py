"""One process of an extension, as the host sees it: requests handed to it, answers taken from it."""

import asyncio
import functools
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ...limits import Limits
from ...wire.flusher import Flusher
from ...wire.poller import Poller
from ..host_log import HostLog
from ..inner.messages import (
    WINDOW,
    Broken,
    Cancel,
    Credit,
    Data,
    Done,
    Ended,
    Failed,
    Ping,
    Pong,
    Ready,
    Request,
    Response,
    Stop,
    Stuck,
    decode_from_extension,
    encode,
)
from ..inner.wire import Frames, WireError, framed
from ..runner.task import Task
from .exchange import Exchange, nobody_waits
from .launcher import Launcher, open_output
from .output import Output
from .pulse import Pulse

_NO_MEMORY: Final = "heap out of memory"  # as node has it


class Died(Exception):
    """The process has ended; the text says how."""


class Process:
    """Made by `start`. `ready` is settled once, `exited` when it is gone."""

    def __init__(
        self,
        task: Task,
        launcher: Launcher,
        poller: Poller,
        flusher: Flusher,
        limits: Limits,
        log: HostLog,
        calls_waiting: Callable[["Process"], bool],
        call_ended: Callable[["Process", int], None],
        stirred: Callable[[], None],
    ) -> None:
        """`calls_waiting`: whether it waits for the host. `call_ended`: the handler of that request has returned.
        `stirred`: it has begun, or has something to do after a rest."""
        self.task = task
        self.name = task.name
        self.pid = 0
        self.calls: socket.socket
        """The host's end of the socket on which it calls."""
        self._launcher = launcher
        self._poller = poller
        # What it says is passed on at the end of the turn that has read it.
        self._turn = functools.partial(flusher.turn, self._readable)
        self._limits = limits
        self._log = log
        self._calls_waiting = calls_waiting
        self._call_ended = call_ended
        self._stirred = stirred
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[Ready] = self._loop.create_future()
        self.exited: asyncio.Future[str] = self._loop.create_future()
        self.exchanges: dict[int, Exchange] = {}
        """Requests whose answer is awaited."""
        self._calling: set[int] = set()
        """Requests whose handler has not returned."""
        self._number = 0
        self._pulse = Pulse(self, limits, lambda number: self._send(Ping(number)), self._waits_for_us, self._silent)
        self._why = ""
        self._output: Output
        self._sock: socket.socket
        self._frames = Frames(limits.extension_message_bytes + 65_536)
        self._unsent: deque[bytes] = deque()
        self._writing = False
        self._closed = False
        self._ending = False

    async def start(self) -> None:
        """Raises CannotStart."""
        ours, theirs = socket.socketpair()
        self.calls, their_calls = socket.socketpair()
        output, their_output = open_output()
        ours.setblocking(False)
        self._sock = ours
        self._output = Output(self.name, output, self._log, self._limits.extension_log_lines)
        try:
            fds = [theirs.fileno(), their_calls.fileno(), their_output]
            self.pid = await self._launcher.start(self.task, fds, self._gone)
        except BaseException:
            self._close()
            self.calls.close()
            raise
        finally:
            theirs.close()
            their_calls.close()
            socket.close(their_output)
        if not self._closed:
            self._poller.watch_read(ours.fileno(), self._turn)
        self._stirred()

    @property
    def why(self) -> str:
        """How it has ended."""
        return self._why

    @property
    def is_ending(self) -> bool:
        """Whether nothing is to be asked of it any more: it was killed, has closed a socket, or has ended."""
        return self._ending or self.exited.done()

    @property
    def idle(self) -> bool:
        return not self._calling and not self.exchanges

    @property
    def asked(self) -> int:
        """How many requests it was handed."""
        return self._number

    def user_of(self, call: int) -> tuple[str, int] | None:
        """Whose request it is. From any thread."""
        exchange = self.exchanges.get(call)
        return None if exchange is None else exchange.user

    def kill(self, why: str) -> None:
        """It ends; `why` is what is told of it. Harmless a second time, and when it has ended."""
        if self._closed:  # its number may be another one's
            return
        self._ending = True
        if not self._why:
            self._why = why
        self._launcher.kill(self.pid)

    def expect_end(self) -> None:
        """It has closed a socket: it has ended, and its exit will tell how; or it has not, and is of no use."""
        self._ending = True
        self._loop.call_later(self._limits.extension_pong_seconds, self.kill, "it has closed its socket")

    def stop(self) -> None:
        """No more requests: it ends when those under way are answered."""
        self._send(Stop())

    # Requests

    def request(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        user: tuple[str, int],
        tell: Callable[[], None],
    ) -> Exchange:
        """Hand it a request. `leave` must follow."""
        self._number += 1
        number = self._number
        exchange = Exchange(number, user, tell)
        if self._closed:  # it has ended since it was found
            exchange.broken = True
            self._loop.call_soon(lambda: exchange.tell())
            return exchange
        self.exchanges[number] = exchange
        # Early, so that it begins: only the thread that serves its calls asks for what is in `exchanges` meanwhile.
        self._send(Request(number, method, path, query, headers, body, user))
        self._output.forget()
        self._calling.add(number)
        if not self._pulse.beats:
            self._pulse.soon()
            self._stirred()
        return exchange

    def take(self, exchange: Exchange) -> bytes:
        """The next bytes of the body, of which there are some."""
        piece = exchange.pieces.popleft()
        exchange.taken += len(piece)
        if exchange.taken >= WINDOW // 2 and not exchange.over and not self._closed:
            self._send(Credit(exchange.number, exchange.taken))
            exchange.received -= exchange.taken
            exchange.taken = 0
        return piece

    def leave(self, exchange: Exchange, *, late: bool = False) -> None:
        """Nobody waits for the answer any more, or it is there."""
        exchange.tell = nobody_waits
        if self.exchanges.pop(exchange.number, None) is None or self._closed:
            return
        if not exchange.over and not exchange.broken:
            self._send(Cancel(exchange.number, late))
            if late and self.ready.done():
                self._pulse.now()

    # What it sends

    def _readable(self) -> None:
        came = self._frames.read(self._sock)
        if came is None:
            return
        if not came:
            self._poller.watch_read(self._sock.fileno(), None)
            self.expect_end()
            return
        try:
            for body in self._frames.messages():
                self._take(decode_from_extension(body))
                if self._closed:
                    return
        except (WireError, msgspec.MsgspecError, _Wrong) as error:
            self._poller.watch_read(self._sock.fileno(), None)
            self._log.error("inner-protocol", extension=self.name, what=str(error))
            self.kill(f"against the inner protocol: {error}")

    def _take(self, message: Any) -> None:
        if isinstance(message, Response):
            self._response(message)
        elif isinstance(message, Data):
            self._data(message)
        elif isinstance(message, (Done, Broken)):
            exchange = self.exchanges.get(message.id)
            if exchange is not None:
                if exchange.head is None:
                    raise _Wrong("the end of an answer without its head")
                exchange.over = isinstance(message, Done)
                exchange.broken = not exchange.over
                exchange.tell()
        elif isinstance(message, Ended):
            self._ended(message.id)
        elif isinstance(message, Pong):
            self._pulse.answered(message.number)
        elif isinstance(message, Ready):
            self._settle(message)
        elif isinstance(message, Failed):
            self._why = message.why[:2_000]
            if not self.ready.done():
                self.ready.set_exception(Died(self._why))
            self.kill(self._why)
        elif isinstance(message, Stuck):
            self.kill("a handler that is not async did not answer in time (extension_request_seconds)")

    def _settle(self, message: Ready) -> None:
        if self.ready.done():
            raise _Wrong("ready a second time")
        self.ready.set_result(message)
        self._pulse.soon()

    def _response(self, message: Response) -> None:
        exchange = self.exchanges.get(message.id)
        if message.over:
            self._ended(message.id)
        if exchange is None:
            return
        if exchange.head is not None:
            raise _Wrong("a second answer to one request")
        if message.body:
            exchange.pieces.append(message.body)
            exchange.received = len(message.body)
        exchange.over = message.over
        exchange.head = message
        exchange.tell()

    def _data(self, message: Data) -> None:
        exchange = self.exchanges.get(message.id)
        if exchange is None:
            return
        if exchange.over or exchange.head is None:
            raise _Wrong("data that belongs to no answer")
        exchange.received += len(message.data)
        if exchange.received > 2 * WINDOW:
            raise _Wrong("more data than was asked for")
        exchange.pieces.append(message.data)
        exchange.tell()

    def _ended(self, number: int) -> None:
        if number not in self._calling:
            raise _Wrong("the end of what was not asked for")
        self._calling.discard(number)
        self._call_ended(self, number)

    # Whether it lives

    def _waits_for_us(self) -> bool:
        return self._calls_waiting(self)

    def _silent(self) -> None:
        seconds = self._limits.extension_pong_seconds
        self._log.limit("extension_pong_seconds", seconds, extension=self.name)
        told = f"it did not answer a ping within {seconds:g} s (extension_pong_seconds)"
        self.kill(f"{told}: something keeps its event loop")

    # Writing, and the end

    def _send(self, message: Any) -> None:
        if self._closed:
            return
        data = framed(encode(message))
        if not self._writing:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:  # it is ending, and its exit will tell
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._writing = True
            self._poller.watch_write(self._sock.fileno(), self._writable)
        self._unsent.append(data)

    def _writable(self) -> None:
        while self._unsent:
            data = self._unsent.popleft()
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                self._unsent.appendleft(data)
                return
            except OSError:
                self._unsent.clear()
                break
            if sent < len(data):
                self._unsent.appendleft(data[sent:])
                return
        self._writing = False
        self._poller.watch_write(self._sock.fileno(), None)

    def _gone(self, code: int) -> None:
        """The process has ended."""
        self._output.drain()
        self._drain()
        if not self._why:
            self._why = self._told_by(code)
        self._close()
        for exchange in list(self.exchanges.values()):
            exchange.broken = not exchange.over
            exchange.tell()
        if not self.ready.done():
            self.ready.set_exception(Died(self._why))
            self.ready.exception()
        self.exited.set_result(self._why)

    def _told_by(self, code: int) -> str:
        """How it has ended, by its exit code and what it has printed."""
        output = self._output
        if _NO_MEMORY in output.fatal:
            most = self._limits.extension_memory_bytes
            self._log.limit("extension_memory_bytes", most, extension=self.name)
            return f"over {most} bytes of memory (extension_memory_bytes): {output.fatal}"
        how = f"signal {-code}" if code < 0 else f"status {code}"
        last = output.fatal or output.last
        return f"it has ended with {how}: {last}" if last else f"it has ended with {how}"

    def _drain(self) -> None:
        """Read what it had said before its end."""
        while not self._closed:
            try:
                if not self._frames.read(self._sock):
                    return
                for body in self._frames.messages():
                    self._take(decode_from_extension(body))
            except (WireError, msgspec.MsgspecError, _Wrong):
                return

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._pulse.end()
        self._poller.watch_read(self._sock.fileno(), None)
        self._poller.watch_write(self._sock.fileno(), None)
        self._sock.close()
        self._output.close()


class _Wrong(Exception):
    """What it says does not fit with what went before."""
