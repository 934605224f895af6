"""The front end's two pipes: what is to be written waits in a queue, and nothing waits for anything."""

import os
import select
from collections import deque
from itertools import islice
from typing import Final

from spanbridge.testing.frames import Decoder, Frame

_READ_BYTES: Final = 1 << 18


class Wire:
    """Owns both descriptors."""

    def __init__(self, to_bridge: int, from_bridge: int) -> None:
        self.queued = 0  # bytes that wait to be written
        self.ended = False  # the bridge has closed its stdout
        self._to = to_bridge
        self._from = from_bridge
        self._queue: deque[memoryview] = deque()
        self._decoder = Decoder()
        os.set_blocking(to_bridge, False)
        os.set_blocking(from_bridge, False)

    def put(self, frame: bytes) -> None:
        self._queue.append(memoryview(frame))
        self.queued += len(frame)

    def turn(self, seconds: float, *, read: bool = True) -> list[Frame]:
        """Write what goes, and read what is there, waiting up to so many seconds for either; the whole frames."""
        poll = select.poll()
        if read:
            poll.register(self._from, select.POLLIN)
        if self._queue:
            poll.register(self._to, select.POLLOUT)
        frames: list[Frame] = []
        for fd, _ in poll.poll(seconds * 1000):
            if fd == self._to:
                self._write()
            else:
                frames = self._read()
        return frames

    def _write(self) -> None:
        try:
            done = os.writev(self._to, list(islice(self._queue, 64)))
        except BlockingIOError:
            return
        self.queued -= done
        while done:
            first = self._queue.popleft()
            if len(first) > done:
                self._queue.appendleft(first[done:])
                return
            done -= len(first)

    def _read(self) -> list[Frame]:
        chunk = os.read(self._from, _READ_BYTES)
        self.ended = not chunk
        return self._decoder.feed(chunk)

    @property
    def rest(self) -> int:
        """Bytes of a frame that is not whole."""
        return len(self._decoder.rest)

    def hang_up(self) -> None:
        if self._to >= 0:
            os.close(self._to)
            self._to = -1
            self._queue.clear()

    def close(self) -> None:
        self.hang_up()
        if self._from >= 0:
            os.close(self._from)
            self._from = -1
