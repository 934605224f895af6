"""Frames both ways between us and one other program: what is said to it waits here until it is taken."""

import select
from collections.abc import Iterator

from .follower import Follower, Garbage, Seen
from .stream import Stream


class Wire:
    """Writes to `out` and reads from `source`, never waiting, and owns both."""

    __slots__ = ("_follower", "_hang_up", "_out", "_source", "_waiting")

    def __init__(self, out: Stream, source: Stream) -> None:
        self._out: Stream | None = out
        self._source: Stream | None = source
        self._follower = Follower(None)
        self._waiting = memoryview(b"")
        self._hang_up = False

    def register(self, poll: select.poll, *, read: bool = True) -> None:
        """Ask `poll` for what `step` is to be told of."""
        if self._out is not None and self._waiting:
            poll.register(self._out.fd, select.POLLOUT)
        if read and self._source is not None:
            poll.register(self._source.fd, select.POLLIN)

    @property
    def waiting(self) -> bool:
        """Whether the other has not taken all that was sent."""
        return len(self._waiting) > 0

    @property
    def unfinished(self) -> int:
        """Bytes of a frame from the other that is not whole."""
        return self._follower.unfinished

    def send(self, frames: bytes) -> None:
        """Write whole frames, as far as there is room; the rest waits. Dropped once the other reads no more."""
        if self._out is None or self._hang_up:
            return
        self._waiting = memoryview(bytes(self._waiting) + frames) if self._waiting else memoryview(frames)
        self.flush()

    def hang_up(self, *, at_once: bool = False) -> None:
        """Close our end once what waits was taken; `at_once`: without that."""
        self._hang_up = True
        if at_once:
            self._waiting = memoryview(b"")
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as there is room."""
        if self._out is None:
            return
        try:
            while self._waiting:
                done = self._out.write(self._waiting, [])
                if not done:
                    return
                self._waiting = self._waiting[done:]
        except OSError:  # it reads no more: what it still says tells why
            self._waiting = memoryview(b"")
            self._hang_up = True
        if self._hang_up:
            self._out.close()
            self._out = None

    def step(self, events: dict[int, int]) -> Iterator[Seen | Garbage] | None:
        """Do what there is to be done after these events: the frames that came, if any; None once, at the end."""
        if self._out is not None and self._out.fd in events:
            self.flush()
        if self._source is None or self._source.fd not in events:
            return iter(())
        try:
            chunk = self._source.read()[0]
        except BlockingIOError:
            return iter(())
        except OSError:  # the other has gone, and not as it should
            chunk = b""
        if chunk:
            return self._follower.feed(chunk)
        self._source.close()
        self._source = None
        return None

    def close(self) -> None:
        """Close what is still open."""
        for stream in (self._out, self._source):
            if stream is not None:
                stream.close()
        self._out = self._source = None
