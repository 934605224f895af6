"""A file that is open for reading, and the threads that use it one after another."""

import os
import stat

from spanbridge.protocol.problems import CHANGE_CONFLICT, Problem

from .opening import open_to_read
from .paths import shown
from .shared import Shared


class OpenFile:
    """A descriptor, and what the file was when it was opened.

    Whoever uses it does so within `shared.using`; `shared.end` closes it. Made in a thread: raises as `open_to_read`.
    """

    __slots__ = ("_pipes", "fd", "found", "head", "path", "shared")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.head = b""  # what was read of it already
        self._pipes: list[int] = []
        self.shared = Shared(self._close)
        self.fd, self.found = open_to_read(path)

    @property
    def known_size(self) -> int | None:
        """None for devices and what /proc makes up as it is read."""
        return self.found.st_size or None if stat.S_ISREG(self.found.st_mode) else None

    def owns(self, fd: int) -> None:
        """Close this descriptor with the file."""
        self._pipes.append(fd)

    def _close(self) -> None:
        for fd in (*self._pipes, self.fd):
            os.close(fd)

    def check_unchanged(self) -> None:
        """Raises Problem (`change-conflict`) if a regular file is not what it was when it was opened."""
        if not stat.S_ISREG(self.found.st_mode):
            return
        now = os.fstat(self.fd)
        if (now.st_size, now.st_mtime_ns) != (self.found.st_size, self.found.st_mtime_ns):
            raise Problem(CHANGE_CONFLICT, f"{shown(self.path)}: it was changed while it was read")
