"""What a helper writes on stderr: logged line by line, and its last line kept to be quoted."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

from ..log import Log

# Small, so that a helper that floods its stderr with empty lines takes a few milliseconds a turn at most.
_READ_BYTES: Final = 4_096
_COLLECT_BYTES: Final = 16_384


class Stderr:
    """Reads the descriptor `fd`, which it owns, until it ends or `close` is called.

    `line_bytes` is how much of a line is logged; a longer one is cut.
    """

    __slots__ = (
        "_fd",
        "_line_bytes",
        "_log",
        "_loop",
        "_name",
        "_pid",
        "_rest",
        "_room",
        "_told",
        "collected",
        "last",
        "on_line",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, log: Log, name: str, pid: int, line_bytes: int
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._log = log
        self._name = name
        self._pid = pid
        self._line_bytes = line_bytes
        self._rest = b""
        self._told = False  # whether the line that goes on was told as far as it is shown
        self.last = ""  # the last line that was not empty
        self.collected: list[str] | None = None  # where lines go instead of the log
        self.on_line: Callable[[str], None] | None = None  # told of each line besides
        self._room = _COLLECT_BYTES
        loop.add_reader(fd, self.read)

    def read(self) -> bool:
        """Read once; False when there is nothing (more)."""
        if self._fd < 0:
            return False
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        *lines, rest = (self._rest + data).split(b"\n")
        if self._told and lines:  # the end of a line whose beginning was told
            self._told = False
            del lines[0]
        for line in lines:
            self._tell(line)
        if self._told:
            rest = b""
        elif len(rest) > self._line_bytes:
            self._tell(rest)
            self._told = True
            rest = b""
        self._rest = rest
        return True

    def drain(self) -> None:
        """Read what is there now, a pipe's worth at most."""
        for _ in range(32):
            if not self.read():
                break
        self._end_line()

    def take_collected(self) -> str:
        """What was collected so far, which begins anew."""
        if not self.collected:
            return ""
        text = "\n".join(self.collected)
        self.collected.clear()
        self._room = _COLLECT_BYTES
        return text

    def close(self) -> None:
        """Stop reading."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._end_line()

    def _end_line(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._tell(rest)

    def _tell(self, line: bytes) -> None:
        text = line[: self._line_bytes].decode("utf-8", "backslashreplace").rstrip()
        if text:
            self.last = text
            if self.on_line is not None:
                self.on_line(text)
            if self.collected is not None:
                if len(text) < self._room:
                    self.collected.append(text)
                    self._room -= len(text)
                return
            self._log.info("helper-stderr", helper=self._name, pid=self._pid, line=text)


def give_stderr(fd: int) -> None:
    """Send our own stderr over the socket `fd`. Raises OSError."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        socket.send_fds(sock, [b"\0"], [2])
