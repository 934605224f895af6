"""How many pipes may be enlarged."""

import fcntl
from typing import Final

PIPE_BYTES: Final = 65_536  # what a pipe holds at birth (pipe(7)); one that was full is worth enlarging


class PipeBudget:
    """How many pipes may still be enlarged: unprivileged users share 64 MiB of pipe buffers, past which new pipes
    shrink (pipe(7), pipe-user-pages-soft)."""

    __slots__ = ("_bytes", "_left")

    def __init__(self, count: int, size: int) -> None:
        self._left = count
        self._bytes = size

    def enlarge(self, fd: int) -> bool:
        """Make the pipe behind `fd` larger; False where that cannot be, or not be any more."""
        if self._left <= 0:
            return False
        try:
            if fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) >= self._bytes:
                return False
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, self._bytes)
        except OSError:  # no pipe, or no more for this user
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        self._left += 1
