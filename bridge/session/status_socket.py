"""A socket at which `spanbridge status` asks what this bridge does (docs/tools.md).

It lies in `$XDG_RUNTIME_DIR/spanbridge`, named after the process, for its user alone. Whoever connects is told once, as
one JSON object, and hung up on; nothing is read. What is told is put together only then.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

import anyio
from anyio.abc import TaskGroup

from ..log import Log

_BACKLOG: Final = 4
_REST_SECONDS: Final = 1.0  # without a descriptor for whoever asks


def directory_of(environ: Mapping[str, str]) -> str | None:
    """Where the sockets of this user's bridges are; None where the user has no place for such things."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    return os.path.join(runtime, "spanbridge") if os.path.isabs(runtime) else None


class StatusSocket:
    """Answers with what `tell` gives, for `seconds` at most, at a socket in `directory`; None: nobody is to ask.

    `close` removes the socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: TaskGroup,
        directory: str | None,
        log: Log,
        seconds: float,
        tell: Callable[[], bytes],
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._log = log
        self._seconds = seconds
        self._tell = tell
        self._path = ""
        self._socket: socket.socket | None = None
        self._resting: asyncio.TimerHandle | None = None
        if directory is not None:
            self._open(directory)

    def _open(self, directory: str) -> None:
        path = os.path.join(directory, f"{os.getpid()}.sock")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # of an earlier process of this number, which was killed
                os.unlink(path)
            listening.bind(path)
            os.chmod(path, 0o600)
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            self._log.debug("front", "no-status-socket", path=path, why=error.strerror or error)
            return
        listening.setblocking(False)
        self._path, self._socket = path, listening
        self._loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Answer no more."""
        if self._socket is None:
            return
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        try:
            os.unlink(self._path)
        except OSError as error:
            self._log.debug("front", "status-socket-left", path=self._path, why=error.strerror)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError as error:  # it has gone again, or no descriptor is left
            self._log.debug("front", "status-not-told", why=error.strerror)
            self._rest(listening)
            return
        connection.setblocking(False)
        self._tasks.start_soon(self._answer, connection)

    def _rest(self, listening: socket.socket) -> None:
        """Who waits is reported without end: look again in a while."""
        self._loop.remove_reader(listening)
        self._resting = self._loop.call_later(_REST_SECONDS, self._loop.add_reader, listening, self._accept, listening)

    async def _answer(self, connection: socket.socket) -> None:
        with connection, anyio.move_on_after(self._seconds):
            try:
                await self._loop.sock_sendall(connection, self._tell())
            except OSError as error:
                self._log.debug("front", "status-not-told", why=error.strerror)
            except Exception as error:  # noqa: BLE001 - a mistake of ours: it costs an answer, not the session
                self._log.unforeseen("status", error)
