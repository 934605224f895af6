"""Whether the system has systemd to start a helper by, asked without an event loop: `sudo --help` is, too."""

import os
import socket
import time
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
    """Why systemd cannot be asked on the system bus; None: it is there, or can be started. `seconds`: for the bus."""
    until = time.monotonic() + seconds
    try:
        addresses = parse(address_of("system", environ), environ)
    except Problem as problem:
        return f"the system bus: {problem.message}"
    why = ""
    for address in addresses:
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                bus = _Bus(sock, until)
                bus.join(os.fsencode(address.socket))
                if bus.ask("NameHasOwner", "b", "s", NAME) or NAME in bus.ask("ListActivatableNames", "as"):
                    return None
            return f"{NAME} is not on the system bus"
        except Problem as problem:
            why = problem.message
        except TimeoutError:
            why = f"no answer within {seconds:g} s (sudo_seconds)"
        except (OSError, Malformed) as error:
            why = getattr(error, "strerror", None) or str(error)
    return f"the system bus: {why}"


class _Bus:
    """One question at a time, all of them until then. Raises OSError, Problem, Malformed."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until
        self._held = b""
        self._serial = 0

    def join(self, address: bytes) -> None:
        self._in_time().connect(address)
        authentication = Authentication(os.geteuid(), None)
        self._in_time().sendall(authentication.begin)
        while not authentication.over:
            answer = authentication.feed(self._read(LINE_BYTES))
            self._in_time().sendall(answer)
        self._held = authentication.rest
        self.ask("Hello", "s")

    def ask(self, member: str, result: str, signature: str = "", *values: Any) -> Any:
        """The one result of a method of the bus, of this signature."""
        self._serial += 1
        asked = call(BUS_PATH, BUS_NAME, member, signature, values, destination=BUS_NAME)
        self._in_time().sendall(write_message(asked, self._serial))
        while True:
            message = self._next()
            if message.kind in (REPLY, ERROR) and message.answers == self._serial:
                break
        if message.error is not None:
            raise OSError(f"{member} has failed: {message.error}")
        if message.signature != result:
            raise OSError(f"{member} has answered with {message.signature!r}, expected {result!r}")
        (value,) = message.values()
        return value

    def _next(self) -> Message:
        while len(self._held) < _LEAST or len(self._held) < read_head(self._held, 0).length:
            self._held += self._read(1 << 16)
        head = read_head(self._held, 0)
        message, _ = read_message(self._held[: head.length], head)
        self._held = self._held[head.length :]
        return message

    def _read(self, size: int) -> bytes:
        data = self._in_time().recv(size)
        if not data:
            raise OSError("it has closed the connection")
        return data

    def _in_time(self) -> socket.socket:
        """The socket, which from now on waits as long as there is time. Raises TimeoutError."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock
