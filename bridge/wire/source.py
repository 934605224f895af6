"""A descriptor whose bytes can be read, or moved on by the kernel without having been read (splice(2))."""

import fcntl
import os
import stat
import sys
import termios
from typing import Final

READ_AHEAD: Final = termios.FIONREAD


class Source:
    """The reading end of a pipe or a stream socket. It belongs to whoever made this; `fd` is -1 once it is closed."""

    __slots__ = ("_is_pipe", "fd", "there")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.there = 0  # bytes that are there to be read at least, as far as was asked
        # What lies in a pipe stays there when its writer ends, and can be moved on.
        self._is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)

    @property
    def readable(self) -> int:
        """Bytes that are there to be read."""
        if self.fd < 0:
            return 0
        return int.from_bytes(fcntl.ioctl(self.fd, READ_AHEAD, bytes(4)), sys.byteorder)

    def holds(self, count: int) -> bool:
        """Whether so many bytes are there to be read, in a pipe."""
        if self.fd < 0:
            return False
        if self.there < count and self._is_pipe:
            self.there = self.readable
        return self.there >= count

    def take_in(self, count: int) -> tuple[list[bytes], int]:
        """Read the next `count` bytes, all of which were there; and how many of them are not there any more."""
        pieces: list[bytes] = []
        while count:
            try:
                piece = os.read(self.fd, count)
            except OSError:  # nothing, or a connection that was lost since
                break
            if not piece:
                break
            pieces.append(piece)
            count -= len(piece)
        self.there = 0
        return pieces, count
