"""Starts processes of extensions through the fork server, which is started with the first, and anew if it dies."""

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from ..host_log import HostLog
from ..inner.wire import come
from ..runner.task import Exited, FromHost, Kill, Start, Started, Task, ToHost

_MESSAGE_BYTES: Final = 64 << 10
_CODE_OF_A_KILL: Final = -9


class CannotStart(Exception):
    """No process could be started; the text says why."""


class Launcher:
    """One fork server at a time."""

    def __init__(self, log: HostLog) -> None:
        self._log = log
        self._server: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._tokens = itertools.count(1)
        self._starting: dict[int, asyncio.Future[Started]] = {}
        self._running: dict[int, Callable[[int], None]] = {}
        self._decode = msgspec.msgpack.Decoder(ToHost).decode
        self._ended: dict[int, int] = {}

    async def start(self, task: Task, fds: list[int], on_exit: Callable[[int], None]) -> int:
        """A process with these three descriptors; its number. `on_exit` is called with its exit code.

        Raises CannotStart.
        """
        token = next(self._tokens)
        future: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self._starting[token] = future
        try:
            self._send(Start(token, task), fds)
            started = await future
        finally:
            self._starting.pop(token, None)
        if not started.pid:
            raise CannotStart(started.why)
        if started.pid in self._ended:
            code = self._ended.pop(started.pid)
            asyncio.get_running_loop().call_soon(on_exit, code)
        else:
            self._running[started.pid] = on_exit
        return started.pid

    def kill(self, pid: int) -> None:
        """Kill a process and its group. Harmless if it has ended."""
        if pid in self._running:
            with contextlib.suppress(CannotStart):  # the fork server has died, and with it the process
                self._send(Kill(pid), [])

    def close(self) -> None:
        """All processes end with the fork server."""
        self._running.clear()
        self._let_go()

    def _let_go(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._server is not None:
            self._server.wait()
            self._server = None

    def _send(self, message: FromHost, fds: list[int]) -> None:
        if self._socket is None:
            self._begin()
        assert self._socket is not None  # noqa: S101 - for the type checker
        try:
            socket.send_fds(self._socket, [msgspec.msgpack.encode(message)], fds)
        except OSError as error:
            raise CannotStart(f"the fork server: {error.strerror}") from None

    def _begin(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._server = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise CannotStart(f"the fork server: {error.strerror}") from None
        finally:
            theirs.close()
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours, self._readable)

    def _readable(self) -> None:
        if self._socket is None:
            return
        data = come(self._socket, _MESSAGE_BYTES)
        if data is None:
            return
        if not data:
            self._lost()
            return
        message = self._decode(data)
        if isinstance(message, Exited):
            on_exit = self._running.pop(message.pid, None)
            if on_exit is None:
                self._ended[message.pid] = message.status
            else:
                on_exit(message.status)
        elif isinstance(message, Started):
            future = self._starting.get(message.token)
            if future is not None and not future.done():
                future.set_result(message)
            elif message.pid:  # whoever wanted it has given up
                self._running[message.pid] = _nothing
                self.kill(message.pid)

    def _lost(self) -> None:
        """The fork server has died, and with it all that it has started."""
        self._log.error("fork-server-died")
        self._let_go()
        for future in self._starting.values():
            if not future.done():
                future.set_result(Started(0, 0, "the fork server has died"))
        running, self._running = self._running, {}
        for on_exit in running.values():
            on_exit(_CODE_OF_A_KILL)


_PROGRAM: Final = """\
import os, sys
fd = int(sys.argv[1])
if fd != 3:
    os.dup2(fd, 3)
    os.close(fd)
from spanbridge.extensions.process.fork_server import main
sys.exit(main())
"""


def _nothing(code: int) -> None:
    """Nobody waits for it."""


def open_output() -> tuple[int, int]:
    """A pipe for what a process prints: our end, which does not block, and its end."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(ours, False)
    return ours, theirs
