"""Frames that the kernel moves, put together in a pipe of our own: many of them go out with one call.

A header that is written by itself wakes up whoever reads the other end, for ten bytes, and the frame behind it wakes
it again. Here it costs a call more for each, and one wake for all.
"""

import os
import select
from collections.abc import Callable
from typing import Final

HEAD_BYTES: Final = select.PIPE_BUF
"""Most bytes in front of a frame: so many go into a pipe whole, or not at all."""

HALF_BYTES: Final = 512 << 10
"""What waits at most before whoever loads it should wait: then it has room for what comes meanwhile."""

_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Train:
    """Such a pipe. Raises OSError where there can be none, or none that is large: `enlarge` tells, and `give_back` is
    called for one that was, at its end."""

    __slots__ = ("_give_back", "_head", "_tail", "moved", "waiting")

    def __init__(self, enlarge: Callable[[int], bool], give_back: Callable[[], None]) -> None:
        self._head, self._tail = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        if not enlarge(self._tail):
            self._close_both()
            raise OSError("too small to be of use")
        self._give_back = give_back
        self.waiting = 0  # bytes in it
        self.moved = 0  # bytes that have left it

    def load(self, held: bytes, fd: int, count: int) -> int | None:
        """Take `held`, at most HEAD_BYTES, and then so many bytes of `fd`; how many of those could be moved. None:
        there was no room for `held`."""
        if held:
            try:
                os.write(self._tail, held)
            except BlockingIOError:
                return None
            self.waiting += len(held)
        left = count
        try:
            while left:
                done = os.splice(fd, self._tail, left, flags=_FLAGS)
                if not done:
                    break
                self.waiting += done
                left -= done
        except OSError:
            pass  # it is full, or nothing can be moved from there: the rest is there to be read
        return count - left

    def leave(self, fd: int) -> int:
        """Move what is in it to `fd`; how many bytes that took. Raises OSError."""
        done = os.splice(self._head, fd, self.waiting, flags=_FLAGS)
        self.waiting -= done
        self.moved += done
        return done

    def unload(self) -> list[bytes]:
        """What is in it, read."""
        pieces: list[bytes] = []
        left = self.waiting
        while left:
            pieces.append(os.read(self._head, left))
            left -= len(pieces[-1])
        self.waiting = 0
        return pieces

    def close(self) -> None:
        """What is in it is dropped."""
        self._close_both()
        self._give_back()

    def _close_both(self) -> None:
        os.close(self._head)
        os.close(self._tail)
