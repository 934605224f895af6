"""Where our askpass program brings ssh's questions: a socket in a directory that only the session's user may enter.

stdin is no way: in the ssh of a jump host that is the connection. The path stands in the environment of ssh, and is no
secret: whoever connects must run as our user and descend from an ssh of ours, which the kernel tells.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from ...askpass import ANSWER, SOCKET_VARIABLE
from ...log import Log
from ...wire.private_directory import remove_file
from .question import Question, read_question

_LONGEST: Final = 64 << 10  # bytes of a question
_WAITING: Final = 64  # programs that have connected and were not accepted yet
_CREDENTIALS: Final = struct.Struct("3i")
_REST_SECONDS: Final = 0.1
_DEEPEST: Final = 32  # processes between a peer and our ssh


class Asked(Protocol):
    """One run of ssh, as the socket sees it."""

    def asked(self, asking: "Asking") -> None:
        """ssh, or a program that it has started, asks. `asking.answer` or `asking.refuse` is due, now or later."""


class Asking:
    """A question that waits for its answer. `on_gone` is called when whoever asked has gone before it came."""

    __slots__ = ("_loop", "_sock", "on_gone", "question")

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, question: Question) -> None:
        self._loop = loop
        self._sock = sock
        self.question = question
        self.on_gone: Callable[[], None] | None = None
        loop.add_reader(sock.fileno(), self._gone)

    @property
    def open(self) -> bool:
        return self._sock.fileno() >= 0

    def answer(self, text: str) -> None:
        """Harmless a second time."""
        if self.open:
            data = ANSWER + text.encode("utf-8", "surrogatepass")
            with contextlib.suppress(OSError):
                self._sock.send(data)  # one that does not take so little has died
            self.refuse()

    def refuse(self) -> None:
        """ssh gets no answer; it takes that for an empty one."""
        if self.open:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _gone(self) -> None:
        self.refuse()
        if self.on_gone is not None:
            self.on_gone()


class AskpassSocket:
    """Listens in `directory`. `close` ends it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Log, directory: str) -> None:
        self._loop = loop
        self._log = log
        self._path = os.path.join(directory, "askpass")
        self._asked: dict[int, Asked] = {}  # pid of an ssh of ours -> its run
        self._readers: set[socket.socket] = set()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.setblocking(False)
        self._sock.bind(self._path)
        os.chmod(self._path, 0o600)  # a umask may have taken it from ourselves
        self._sock.listen(_WAITING)
        self._resting: asyncio.TimerHandle | None = None
        self._listen()

    @property
    def environ(self) -> Mapping[str, str]:
        """What tells our askpass program where to ask."""
        return {SOCKET_VARIABLE: self._path}

    @property
    def reachable(self) -> bool:
        """Whether nobody has removed it."""
        return os.path.exists(self._path)

    def expect(self, pid: int, asked: Asked) -> None:
        """An ssh of ours runs."""
        self._asked[pid] = asked

    def forget(self, pid: int) -> None:
        self._asked.pop(pid, None)

    def close(self) -> None:
        for sock in self._readers:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._readers.clear()
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        remove_file(self._path)

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError:  # gone again, or no descriptor is left
            self._rest()
            return
        pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        found = self._whose(pid) if uid == os.getuid() else None
        if found is None:
            self._log.warning("askpass-refused", pid=pid, uid=uid)
            sock.close()
            return
        sock.setblocking(False)
        self._readers.add(sock)
        asked, ours = found
        self._loop.add_reader(sock.fileno(), self._read, sock, bytearray(), asked, ours)

    def _rest(self) -> None:
        """Who waits is reported without end: look again in a while."""
        self._loop.remove_reader(self._sock.fileno())
        self._resting = self._loop.call_later(_REST_SECONDS, self._listen)

    def _listen(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _read(self, sock: socket.socket, buffer: bytearray, asked: Asked, ours: bool) -> None:
        try:
            data = sock.recv(_LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        buffer += data
        hint, _, rest = bytes(buffer).partition(b"\0")
        text, ended, _ = rest.partition(b"\0")
        if data and not ended and len(buffer) <= _LONGEST:
            return
        self._readers.discard(sock)
        self._loop.remove_reader(sock.fileno())
        if not ended:
            sock.close()
            return
        question = read_question(text.decode("utf-8", "replace"), hint.decode("utf-8", "replace"), ours=ours)
        asked.asked(Asking(self._loop, sock, question))

    def _whose(self, pid: int) -> tuple[Asked, bool] | None:
        """Whose question the process `pid` brings, and whether that ssh itself asks; None for a stranger's."""
        parent = pid
        for depth in range(_DEEPEST):
            parent = _parent(parent)
            if parent in self._asked:
                return self._asked[parent], depth == 0
            if parent <= 1:
                break
        return None


def _parent(pid: int) -> int:
    """0 for a process that has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0
