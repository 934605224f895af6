"""A text file that others append to, and waiting for what they write, without looking again and again (inotify(7))."""

import ctypes
import os
import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .deadline import Deadline, Hang
from .tracebacks import HIDE

__tracebackhide__ = HIDE

_IN_MODIFY: Final = 2
_EVENTS_BYTES: Final = 65_536
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Tail:
    """The file at `path`, which is made empty if it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    @property
    def text(self) -> str:
        """All of it as it is now."""
        return self.path.read_text(errors="replace")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def matches(self, pattern: str) -> list[str]:
        """The lines in which the regular expression `pattern` is found."""
        return [line for line in self.lines if re.search(pattern, line)]

    def wait(self, pattern: str, count: int = 1, deadline: Deadline | None = None) -> list[str]:
        """Wait until `count` lines match. The lines. Raises Hang."""
        deadline = deadline or Deadline()
        with self.changes() as fd:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            while len(found := self.matches(pattern)) < count:
                if not poll.poll(deadline.left_ms):
                    raise Hang(f"waited for {count} lines with {pattern!r}, found {len(found)} in:\n{self.text}")
                os.read(fd, _EVENTS_BYTES)
        return found

    @contextmanager
    def changes(self) -> Iterator[int]:
        """A descriptor, non-blocking, that can be read whenever something was written since it was read last."""
        fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if fd < 0 or _libc.inotify_add_watch(fd, os.fsencode(self.path), _IN_MODIFY) < 0:
                raise OSError(ctypes.get_errno(), "inotify", str(self.path))
            yield fd
        finally:
            if fd >= 0:
                os.close(fd)
