"""Reading one stream: as soon as bytes are there, `read_bytes` at most in one turn."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from .flusher import Flusher
from .pipe_budget import PIPE_BYTES, PipeBudget
from .poller import Poller
from .source import Source

_HEAD_BYTES: Final = 1_024  # read of a frame that is likely to be moved
_MOVES: Final = 8  # frames moved in one turn, before the others have theirs


class Reader:
    """Owns the descriptor: `close` closes it.

    `on_chunk(bytes)` gets what was read, `on_end(reason)` is called once when nothing more can be read (reason None:
    end of file). `may_read`, where it is set, is asked before each read: when it says no nothing is read until
    `resume`.

    Whoever has the kernel move the end of a frame instead of having it read says so with `moved`.
    """

    __slots__ = (
        "_aim",
        "_budget",
        "_enlarged",
        "_file",
        "_flusher",
        "_head",
        "_loop",
        "_may_enlarge",
        "_moved",
        "_on_chunk",
        "_on_end",
        "_poller",
        "_read_bytes",
        "_size",
        "_watching",
        "may_read",
        "paused",
        "resumed_at",
        "source",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        flusher: Flusher,
        budget: PipeBudget,
        fd: int,
        *,
        read_bytes: int,
        on_chunk: Callable[[bytes], None],
        on_end: Callable[[str | None], None],
    ) -> None:
        self._loop = loop
        self._poller = poller
        self._flusher = flusher
        self._budget = budget
        self.source = Source(fd)
        self._read_bytes = read_bytes
        self._size = min(PIPE_BYTES, read_bytes)  # bytes asked for in one read
        self._on_chunk = on_chunk
        self._on_end = on_end
        self.may_read: Callable[[], bool] = _always
        self.resumed_at = 0.0  # loop time when reading went on last
        self.paused = True
        self._watching = False  # whether the event loop watches the descriptor
        self._may_enlarge = True
        self._enlarged = False
        self._aim = 0  # bytes to be read next, where that is known to serve best
        self._moved = False  # whether the end of the last chunk was moved on: then the next frame begins here
        self._head = _HEAD_BYTES
        self._file = False  # whether epoll will not have it: then each turn asks for the next one itself

    @property
    def ended(self) -> bool:
        """Whether nothing more is read, for good."""
        return self.source.fd < 0

    def resume(self) -> None:
        """Read on. Harmless where it is being read already or has ended."""
        if self.paused and self.source.fd >= 0:
            self.paused = False
            self.resumed_at = self._loop.time()
            if not self._watching:
                self._watching = True
                self._watch()

    def _watch(self) -> None:
        if not self._file:
            try:
                self._poller.watch_read(self.source.fd, self._readable)
                return
            except PermissionError:  # epoll refuses what is always ready, such as files and /dev/null
                self._file = True
        self._loop.call_soon(self._readable)

    def pause(self) -> None:
        """Read no more until `resume`. The descriptor stays watched until it next has something to say: most
        pauses are over by then, and watching anew costs two system calls."""
        self.paused = True

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            if not self._file:
                self._poller.watch_read(self.source.fd, None)

    def _readable(self) -> None:
        if self.source.fd < 0:
            return
        self._flusher.begin()
        try:
            for _ in range(_MOVES):
                if self.paused or not self.may_read():
                    self.paused = True
                    self._unwatch()
                    break
                if not self._read() or not self._moved:
                    break
        finally:
            self._flusher.flush()
        if self._file and self._watching:
            self._loop.call_soon(self._readable)

    def _read(self) -> bool:
        """Read once and have it dealt with; False where there is nothing (more)."""
        source = self.source
        size = self._aim or (self._head if self._moved else self._size)
        self._aim = 0
        try:
            chunk = os.read(source.fd, size)
        except BlockingIOError:
            return False
        except OSError as error:
            self.close()
            self._on_end(error.strerror)
            return False
        if not chunk:
            self.close()
            self._on_end(None)
            return False
        found = len(chunk)
        source.there -= found
        if not self._moved and (found == size or size > PIPE_BYTES):
            self._adapt(found)
        self._moved = False
        self._on_chunk(chunk)
        return source.fd >= 0

    def _adapt(self, found: int) -> None:
        """Read more at once, from a larger pipe, where so much comes; memory that is not filled costs time too."""
        if found == self._size:
            self._size = min(2 * found, self._read_bytes)
            if self._may_enlarge:
                self._may_enlarge = False
                self._enlarged = self._budget.enlarge(self.source.fd)
        elif found < self._size // 8:
            self._size = min(PIPE_BYTES, self._read_bytes)

    def drain(self) -> bool:
        """Read once what is there now, whatever the pauses; False when there is nothing (more)."""
        source = self.source
        if source.fd < 0:
            return False
        try:
            chunk = os.read(source.fd, self._read_bytes)
        except OSError:
            return False
        if chunk:
            source.there -= len(chunk)
            self._on_chunk(chunk)
            self._flusher.flush()
        return bool(chunk)

    def aim(self, missing: int) -> None:
        """A large frame is not whole, of which so many bytes are missing: read these and the header of what follows,
        which is likely to be as large, and can then be moved on."""
        self._aim = missing + _HEAD_BYTES

    def moved(self, head: int = _HEAD_BYTES) -> None:
        """The rest of the frame that the last chunk ended with was moved on, or read past us. `head`: how much of the
        next one is to be read, if it is likely to be as large."""
        self._moved = True
        self._head = head

    def close(self) -> None:
        """Read no more, for good."""
        if self.source.fd >= 0:
            self.paused = True
            self._unwatch()
            if self._enlarged:
                self._enlarged = False
                self._budget.give_back()
            os.close(self.source.fd)
            self.source.fd = -1


def _always() -> bool:
    return True
