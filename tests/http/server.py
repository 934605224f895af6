"""Servers that do just what a test says, byte by byte: each step is one call, and nothing happens by itself."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from spanbridge.testing.deadline import SECONDS


class Peer:
    """One connection, the server's end of it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(SECONDS)
        self.sock = sock
        self._rest = b""

    def read_until(self, end: bytes) -> bytes:
        """What comes up to and with `end`."""
        while end not in self._rest:
            data = self.sock.recv(65_536)
            if not data:
                raise EOFError(f"the connection ended after {self._rest[-200:]!r}")
            self._rest += data
        found, _, self._rest = self._rest.partition(end)
        return found + end

    def read(self, nbytes: int) -> bytes:
        """Just so many bytes."""
        while len(self._rest) < nbytes:
            data = self.sock.recv(65_536)
            if not data:
                raise EOFError(f"the connection ended after {self._rest[-200:]!r}")
            self._rest += data
        found, self._rest = self._rest[:nbytes], self._rest[nbytes:]
        return found

    def head(self) -> str:
        """The head of the next request."""
        return self.read_until(b"\r\n\r\n").decode()

    def send(self, *pieces: bytes) -> None:
        """Send pieces, each by itself."""
        for piece in pieces:
            self.sock.sendall(piece)

    def answer(self, body: bytes = b"", status: str = "200 OK", *headers: str) -> None:
        """An answer with its length."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def rest(self) -> bytes:
        """All that comes up to the end of the connection."""
        with suppress(ConnectionResetError):
            while data := self.sock.recv(65_536):
                self._rest += data
        found, self._rest = self._rest, b""
        return found

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """End the connection at once, with a reset where there are such things."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Server:
    """Listens. `where` are the options of an open that goes to it."""

    def __init__(self, sock: socket.socket, **where: Any) -> None:
        sock.settimeout(SECONDS)
        self.sock = sock
        self.where = where

    def accept(self) -> Peer:
        """The next connection, once it is there."""
        return Peer(self.sock.accept()[0])

    @property
    def called(self) -> bool:
        """Whether somebody waits to be accepted."""
        self.sock.settimeout(0)
        try:
            self.sock.accept()[0].close()
        except BlockingIOError:
            return False
        finally:
            self.sock.settimeout(SECONDS)
        return True


@contextmanager
def unix_server(path: Path) -> Iterator[Server]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen(1024)
        yield Server(sock, unix=str(path))


@contextmanager
def tcp_server() -> Iterator[Server]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1024)
        yield Server(sock, port=sock.getsockname()[1])


def fields_of(head: str) -> dict[str, str]:
    """The headers of a request, by name as they were sent."""
    return dict(re.findall(r"^([^:\r\n]+): ?([^\r\n]*)\r$", head, re.MULTILINE))
