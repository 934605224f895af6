"""Whether the system has systemd to start a helper by, asked without an event loop: `sudo --help` is, too."""

import os
import socket
from collections.abc import Mapping
from typing import Any, Final

from spanbridge.protocol.problems import Problem

from ..payloads.bus.addresses import address_of, parse
from ..payloads.bus.authentication import LINE_BYTES, Authentication
from ..payloads.bus.match_rule import BUS_NAME, BUS_PATH
from ..payloads.bus.message import ERROR, REPLY, Message, call, read_head, read_message, write_message
from ..payloads.bus.unmarshal import Malformed

NAME: Final = "org.freedesktop.systemd1"
PATH: Final = "/org/freedesktop/systemd1"
MANAGER: Final = "org.freedesktop.systemd1.Manager"

_LEAST: Final = 16


def missing(environ: Mapping[str, str], seconds: float) -> str | None:
    """Why systemd cannot be asked on the system bus; None: it is there, or can be started. `seconds`: for each answer
    of the bus."""
    try:
        address = address_of("system", environ)
        with _connect(address, environ, seconds) as sock:
            bus = _Bus(sock)
            bus.join()
            if bus.ask("NameHasOwner", "s", NAME) == [True] or NAME in bus.ask("ListActivatableNames")[0]:
                return None
    except Problem as problem:
        return f"the system bus: {problem.message}"
    except (OSError, Malformed, LookupError) as error:
        return f"the system bus: {getattr(error, 'strerror', None) or error}"
    return f"{NAME} is not on the system bus"


def _connect(address: str, environ: Mapping[str, str], seconds: float) -> socket.socket:
    """Raises OSError, Problem."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(seconds)
        sock.connect(os.fsencode(parse(address, environ)[0].socket))
    except BaseException:
        sock.close()
        raise
    return sock


class _Bus:
    """One question at a time. Raises OSError, Problem, Malformed."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""
        self._serial = 0

    def join(self) -> None:
        authentication = Authentication(os.geteuid(), None)
        self._sock.sendall(authentication.begin)
        while not authentication.over:
            self._sock.sendall(authentication.feed(self._read(LINE_BYTES)))
        self._held = authentication.rest
        self.ask("Hello")

    def ask(self, member: str, signature: str = "", *values: Any) -> list[Any]:
        """The results of a method of the bus; none if it has failed."""
        self._serial += 1
        asked = call(BUS_PATH, BUS_NAME, member, signature, values, destination=BUS_NAME)
        self._sock.sendall(write_message(asked, self._serial))
        while True:
            message = self._next()
            if message.kind in (REPLY, ERROR) and message.answers == self._serial:
                return [] if message.error is not None else message.values()

    def _next(self) -> Message:
        while len(self._held) < _LEAST or len(self._held) < read_head(self._held, 0).length:
            self._held += self._read(1 << 16)
        head = read_head(self._held, 0)
        message, _ = read_message(self._held[: head.length], head)
        self._held = self._held[head.length :]
        return message

    def _read(self, size: int) -> bytes:
        data = self._sock.recv(size)
        if not data:
            raise OSError("it has closed the connection")
        return data
