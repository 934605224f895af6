"""Bytes from one stream to another, as they come: a chunk is read when the one before it is gone."""

import contextlib
import os
import select
from collections.abc import Callable
from typing import TypeAlias

from .stream import Stream

Observe: TypeAlias = Callable[[bytes, int], None]
"""Is told of each chunk and how many descriptors came with it; of the end with b""."""

_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Pump:
    """One direction. It ends when the source does, or when nobody takes any more from the sink; the other is told."""

    __slots__ = ("_descriptors", "_observe", "_sink", "_source", "_waiting", "over")

    def __init__(self, source: Stream, sink: Stream, observe: Observe) -> None:
        self._source = source
        self._sink = sink
        self._observe = observe
        self._waiting = memoryview(b"")
        self._descriptors: list[int] = []
        self.over = False

    @property
    def waiting(self) -> bool:
        """Whether a chunk has not gone on yet."""
        return len(self._waiting) > 0

    def register(self, poll: select.poll) -> None:
        """Ask `poll` for what `step` is to be told of."""
        if self.over:
            return
        poll.register(self._sink.fd, select.POLLOUT if self.waiting else 0)
        if not self.waiting:
            poll.register(self._source.fd, select.POLLIN)

    def step(self, events: dict[int, int]) -> None:
        """Do what there is to be done after these events, by descriptor."""
        if self.over:
            return
        sink = events.get(self._sink.fd, 0)
        if self.waiting:
            if sink:
                self._write()
        elif sink & _GONE:
            self.end()
        elif events.get(self._source.fd):
            self._read()

    def _read(self) -> None:
        try:
            data, self._descriptors = self._source.read()
        except BlockingIOError:
            return
        except OSError:  # the other side has gone, and not as it should
            data = b""
        if not data:
            self.end()
            return
        count = len(self._descriptors)
        self._waiting = memoryview(data)
        self._write()
        self._observe(data, count)  # before anything is read that may be the answer to it

    def _write(self) -> None:
        try:
            done = self._sink.write(self._waiting, self._descriptors)
        except OSError:
            self.end()
            return
        self._waiting = self._waiting[done:]
        if done:
            self._drop_descriptors()

    def _drop_descriptors(self) -> None:
        for fd in self._descriptors:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._descriptors = []

    def end(self) -> None:
        """Close both streams. Harmless a second time."""
        if self.over:
            return
        self.over = True
        self._waiting = memoryview(b"")
        self._drop_descriptors()
        self._source.close()
        self._sink.close()
        self._observe(b"", 0)
