"""Asks the host from the command line: one request after another, over a session of its own."""

import json
import os
import socket
from types import TracebackType
from typing import Any, NamedTuple

from spanbridge.protocol.control import VERSION, control, frame_of
from spanbridge.protocol.frames import encode

from ..places import places_of
from .relay import Unreachable, handed_over


class Told(NamedTuple):
    """An answer."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class Client:
    """A session with the host, which is started if there is none. A context manager. Raises Unreachable."""

    def __init__(self) -> None:
        self._sock, theirs = socket.socketpair()
        with theirs:
            self._connection = handed_over(places_of(os.environ), [theirs.fileno(), theirs.fileno(), 2])
        self._input = self._sock.makefile("rb")
        self._number = 0
        self._sock.sendall(control("init", version=VERSION, host="localhost"))

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._input.close()
        self._sock.close()
        self._connection.close()

    def request(self, method: str, path: str, body: Any = None) -> Told:
        """Raises Unreachable if the host ends meanwhile."""
        self._number += 1
        channel = str(self._number)
        opened = {
            "command": "open",
            "channel": channel,
            "payload": "http-stream2",
            "internal": "extensions",
            "method": method,
            "path": path,
            "headers": {"Content-Type": "application/json"},
            "binary": "raw",
        }
        data = b"" if body is None else json.dumps(body).encode()
        frames = [frame_of(opened), encode(channel.encode(), data) if data else b"", control("done", channel=channel)]
        self._sock.sendall(b"".join(frames))
        status, pieces = 0, []
        while True:
            ident, payload = self._frame()
            if ident:
                pieces.append(payload)
                continue
            message = json.loads(payload)
            if message["command"] == "response":
                status = message["status"]
            elif message["command"] == "close":
                if message.get("problem"):
                    raise Unreachable(message.get("message") or message["problem"])
                return Told(status, b"".join(pieces))

    def _frame(self) -> tuple[bytes, bytes]:
        """The channel and the payload of the next frame."""
        length = self._input.readline()
        if not length:
            raise Unreachable("the host has ended, see host.log")
        ident, _, payload = self._input.read(int(length)).partition(b"\n")
        return ident, payload
