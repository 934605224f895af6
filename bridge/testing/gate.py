"""Something that a fake helper waits for, released by the test."""

import os
from pathlib import Path

from .tracebacks import HIDE

__tracebackhide__ = HIDE


class Gate:
    """A FIFO. Each `release` lets one wait of one helper pass, whether it has begun or not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # both ends: no open, and no release, ever waits

    def release(self, times: int = 1) -> None:
        """Let so many waits pass."""
        os.write(self._fd, b"." * times)

    def close(self) -> None:
        """Give up the FIFO; who still waits is released."""
        os.close(self._fd)
