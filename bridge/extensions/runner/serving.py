"""One request under way, and what is told to the host of it."""

import asyncio
import socket
import threading
from typing import Any

from ..inner.messages import WINDOW, encode
from ..inner.wire import framed
from .calls import HostGone


class Sender:
    """Writes messages to the host, from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def __call__(self, message: Any) -> None:
        """Raises HostGone."""
        data = framed(encode(message))
        try:
            with self._lock:
                self._sock.sendall(data)
        except OSError:
            raise HostGone from None


class Serving:
    """One request under way."""

    __slots__ = ("credit", "dropped", "number", "running", "task", "wake")

    def __init__(self, number: int) -> None:
        self.number = number
        self.credit = WINDOW
        self.dropped = False
        self.running = False  # in the lane, where nobody can cancel it
        self.task: asyncio.Task[None] | None = None
        self.wake: asyncio.Future[None] | None = None

    def go_on(self) -> None:
        """What waits for credit looks again. On the event loop."""
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)
