"""From a file into a pipe, in a thread: the kernel moves what it can, the event loop takes it from there.

A thread fills the pipe for as long as its other end is emptied. It waits for that only for a moment, and then gives
itself back: the next one goes on where it has stopped.
"""

import errno
import os
import threading
from typing import Final

from spanbridge.protocol.problems import INTERNAL_ERROR, TOO_LARGE, Problem

from .open_file import OpenFile
from .paths import shown

LINGER_SECONDS: Final = 0.02
"""How long a thread waits for room in the pipe."""

TURN_BYTES: Final = 64 << 20
"""What one thread moves before other files have their turn."""

_STEP: Final = 1 << 20
_COPY: Final = 64 << 10


class Pump:
    """Moves `file` to `pipe`, a descriptor that does not block. Used by one thread at a time.

    What is moved by the kernel stays part of the file until the front end reads it: a change of the file would change
    it there. So the last `copied` bytes of a file whose size is known are copied: once they fit into what lies between
    us and the front end, all before them has been read, and a look at the file tells whether it was whole. -1: all.

    `limit`: most bytes, None for as many as there are.
    """

    __slots__ = ("_copied", "_file", "_left", "_pending", "_pipe", "_room", "ended", "moved")

    def __init__(self, file: OpenFile, pipe: int, *, limit: int | None, copied: int) -> None:
        self._file = file
        self._pipe = pipe
        self.moved = 0  # bytes, into the pipe
        self.ended = False  # nothing more comes
        size = file.known_size
        self._left = limit if size is None else size  # None: no end is known
        self._copied = -1 if size is None else copied
        self._pending = file.head  # read, and not in the pipe yet
        # Released when there is much room again. Asked of the kernel, a thread would wake up for each page.
        self._room = threading.Lock()
        self._room.acquire()

    def run(self) -> int:
        """Fill the pipe; bytes moved in all so far. Raises OSError, BrokenPipeError if nobody wants it any more, and
        Problem (`too-large`)."""
        with self._file.shared.using():
            stop = self.moved + TURN_BYTES
            while not self.ended and not self._file.shared.over and self.moved < stop:
                if not self._step() and not self._room.acquire(timeout=LINGER_SECONDS):
                    break
        return self.moved

    def go_on(self) -> None:
        """There is room in the pipe: for the thread that waits for that, if one does."""
        if self._room.locked():
            self._room.release()

    def _step(self) -> bool:
        """Move some; False where the pipe is full."""
        if self._pending or self._copied < 0 or (self._left or 0) <= self._copied:
            return self._copy()
        try:
            most = min(_STEP, (self._left or 0) - self._copied)
            done = os.splice(self._file.fd, self._pipe, most, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._copied = -1  # a file system that cannot do it
            return True
        self._count(done)
        self.ended = not done or self._left == 0
        return self.ended or done == most  # less: it is full, which need not be asked for

    def _copy(self) -> bool:
        if not self._pending:
            self._pending = self._read()
            if not self._pending:
                self.ended = True
                return True
        try:
            done = os.write(self._pipe, self._pending)
        except BlockingIOError:
            return False
        self._pending = self._pending[done:]
        self._count(done)
        self.ended = self._left == 0 and not self._pending and self._file.known_size is not None
        return True

    def _read(self) -> bytes:
        """What comes next. One byte more than the limit is too large."""
        most = _COPY if self._left is None else min(_COPY, self._left + (self._file.known_size is None))
        try:
            data = os.read(self._file.fd, most)
        except BlockingIOError:
            raise Problem(INTERNAL_ERROR, f"{shown(self._file.path)}: a device that has nothing more to read") from None
        if self._left is not None and len(data) > self._left:
            raise too_large(self._file.path)
        return data

    def _count(self, done: int) -> None:
        self.moved += done
        if self._left is not None:
            self._left -= done


def too_large(path: bytes) -> Problem:
    return Problem(TOO_LARGE, f"{shown(path)}: it is larger than max_read_size allows")
