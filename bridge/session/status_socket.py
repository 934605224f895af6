"""A socket at which `spanbridge status` asks what this bridge does (docs/tools.md).

It lies in `$XDG_RUNTIME_DIR/spanbridge`, named after the process and a number of its own, for its user alone. Whoever
connects is told once, as one JSON object, and hung up on; nothing is read. What is told is put together only then.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import TaskGroup

from ..log import Log
from .status_directory import beside, open_directory

_BACKLOG: Final = 4
_REST_SECONDS: Final = 1.0  # without a descriptor for whoever asks


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
        self._name = ""
        self._directory: int | None = None
        self._socket: socket.socket | None = None
        self._resting: asyncio.TimerHandle | None = None
        if directory is not None:
            self._open(directory)

    def _open(self, path: str) -> None:
        # Two containers that share the directory have processes of the same number: the number alone is no name.
        name = f"{os.getpid()}-{os.urandom(4).hex()}.sock"
        try:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:  # a sandbox without such sockets
            self._log.debug("front", "no-status-socket", path=path, why=error.strerror or error)
            return
        try:
            self._directory = open_directory(path, make=True)
            os.fchmod(listening.fileno(), 0o600)  # what bind() makes has this mode from the beginning,
            listening.bind(beside(self._directory, name))
            os.chmod(beside(self._directory, name), 0o600)  # but for what the umask took of it
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            self._log.debug("front", "no-status-socket", path=path, why=error.strerror or error)
            return
        listening.setblocking(False)
        self._name, self._socket = name, listening
        self._loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Answer no more."""
        if self._socket is not None:
            self._stop_listening(self._socket)
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def _stop_listening(self, listening: socket.socket) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(listening)
        listening.close()
        self._socket = None
        try:
            os.unlink(self._name, dir_fd=self._directory)
        except OSError as error:
            self._log.debug("front", "status-socket-left", name=self._name, why=error.strerror)

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
