"""An event loop that is run one turn at a time, and the descriptors for it."""

import asyncio
import contextvars
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Coroutine
from typing import Any, Final

from spanbridge.wire.flusher import Flusher
from spanbridge.wire.poller import Poller

try:
    import sniffio
except ModuleNotFoundError:
    sniffio = None  # type: ignore[assignment]

SMALLEST_PIPE: Final = 4_096


class Turns:
    """The bridge's event loop. Nothing happens but in `turn`; what escapes from a callback fails the test."""

    def __init__(self) -> None:
        self.poller = Poller()
        self.loop = asyncio.SelectorEventLoop(self.poller)
        self.flusher = Flusher(self.loop)
        self.errors: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, details: self.errors.append(details))
        self._skipped = 0.0
        now = self.loop.time
        self.loop.time = lambda: now() + self._skipped  # type: ignore[method-assign]
        self._context = contextvars.copy_context()
        if sniffio is not None:  # where it is installed, it is by this that anyio knows its event loop
            self._context.run(sniffio.current_async_library_cvar.set, "asyncio")

    def turn(self, count: int = 1) -> None:
        """Let the loop look at its descriptors, and run what is due, so many times. It never waits."""
        for _ in range(count):
            self.loop.call_soon(self.loop.stop)
            self._context.run(self.loop.run_forever)
        self.check()

    def skip(self, seconds: float) -> None:
        """Let so much time pass at once: timers that are due by then go off."""
        self._skipped += seconds
        self.turn(3)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of the loop."""
        return self.loop.create_task(coroutine, context=self._context.copy())

    def check(self) -> None:
        for details in self.errors:
            raise AssertionError(details.get("message")) from details.get("exception")

    def close(self) -> None:
        self.loop.close()
        self.check()


def pipe(size: int = SMALLEST_PIPE) -> tuple[int, int]:
    """A pipe of `size` bytes, neither end of which waits: (to read, to write)."""
    ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, size)
    return ends


def pair() -> tuple[int, int]:
    """A socket pair with small buffers, the same on both sides."""
    one, other = socket.socketpair()
    for end in (one, other):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALLEST_PIPE)
    return one.detach(), other.detach()


def unread(fd: int) -> int:
    """Bytes that wait to be read from `fd`."""
    found: int = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]
    return found


def take(fd: int, count: int) -> bytes | None:
    """At most `count` bytes of what is there; empty: the other side has ended; None: nothing is there."""
    try:
        return os.read(fd, count)
    except BlockingIOError:
        return None


def give(fd: int, data: bytes | bytearray) -> int:
    """Write what `fd` takes; how many bytes."""
    done = 0
    try:
        while done < len(data):
            done += os.write(fd, data[done:])
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    return done


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
