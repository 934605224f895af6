"""A pipe of our own, between a thread that fills it and the event loop."""

import os
from collections.abc import Callable

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ...wire.context import Context
from ...wire.source import Source
from ..served.channel import MESSAGE_BYTES, Channel

_PIPE_BYTES = 65_536  # what a pipe holds at birth (pipe(7))


class Pipe:
    """`on_readable` is called while there is something in it, unless it is paused. `size` is what it holds, in bytes.

    Whoever fills it owns `writing`, which does not block. Raises OSError.
    """

    __slots__ = ("_context", "_enlarged", "_on_readable", "_source", "_watched", "size", "writing")

    def __init__(self, context: Context, on_readable: Callable[[], None]) -> None:
        self._context = context
        self._on_readable = on_readable
        reading, self.writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._source = Source(reading)
        self._enlarged = context.budget.enlarge(reading)
        self.size = max(context.limits.pipe_bytes, _PIPE_BYTES) if self._enlarged else _PIPE_BYTES
        self._watched = False
        self.go_on()

    def go_on(self) -> None:
        """Watch it (again)."""
        if not self._watched and self._source.fd >= 0:
            self._watched = True
            self._context.poller.watch_read(self._source.fd, self._on_readable)

    def pause(self) -> None:
        if self._watched:
            self._watched = False
            self._context.poller.watch_read(self._source.fd, None)

    @property
    def readable(self) -> int:
        """Bytes in it."""
        return self._source.readable

    def move(self, channel: Channel, count: int) -> int:
        """One message of at most so many bytes, all of which are in it, moved by the kernel; how many they were."""
        count = min(count, channel.room)
        if channel.move(self._source, count):
            raise Problem(INTERNAL_ERROR, f"{channel.kind}: bytes were lost in a pipe of our own")
        return count

    def read(self, count: int) -> bytes:
        return os.read(self._source.fd, min(count, 4 * MESSAGE_BYTES))

    def close(self) -> None:
        """Whoever fills it finds that nobody reads it. Harmless a second time."""
        if self._source.fd >= 0:
            self.pause()
            os.close(self._source.fd)
            self._source.fd = -1
            if self._enlarged:
                self._context.budget.give_back()
