"""What a program says on stderr: always read, its end kept for the close, its lines logged if asked for."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from ...wire.context import Context
from ..base import Lasting

_READ_BYTES: Final = 64 << 10  # all that a pipe holds
_LINES: Final = 256  # logged in one turn, before others have theirs
_READS_AT_END: Final = 2  # what is in the pipe, and its end


class Stderr:
    """Owns the descriptor. `name` and `pid` tag what is logged; `name` None: nothing is. The session is to `outlast`
    what is still to be logged."""

    __slots__ = (
        "_begun",
        "_context",
        "_cut",
        "_fd",
        "_kept",
        "_lines",
        "_logged",
        "_name",
        "_outlast",
        "_pid",
        "_tail",
    )

    def __init__(
        self, context: Context, fd: int, name: str | None, pid: int, outlast: Callable[[Lasting], None]
    ) -> None:
        self._context = context
        self._fd = fd
        self._name = name
        self._pid = pid
        self._kept = context.limits.stderr_bytes
        self._tail = bytearray()
        self._cut = 0  # bytes left out before the tail
        self._begun = b""  # of a line that is not whole yet
        self._lines: list[bytes] = []  # that are still to be logged
        self._logged: asyncio.Event | None = None  # set once all of these are
        self._outlast = outlast
        context.poller.watch_read(fd, self._readable)

    def _readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        """Read once; False where there is nothing (more)."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._log_lines(b"\n" if self._begun else b"")
            self._shut()
            return False
        self._keep(data)
        self._log_lines(data)
        return True

    def _keep(self, data: bytes) -> None:
        self._tail += data
        over = len(self._tail) - self._kept
        if over > self._kept:  # not at every read: moving the tail costs
            self._drop(over)

    def _drop(self, count: int) -> None:
        del self._tail[:count]
        self._cut += count

    def _log_lines(self, data: bytes) -> None:
        if self._name is None:
            return
        *lines, rest = (self._begun + data).split(b"\n")
        self._begun = rest[: self._context.limits.stderr_line_bytes]
        waiting = bool(self._lines)
        self._lines += lines
        if not waiting:
            self._log_some()

    def _log_some(self) -> None:
        """The others in later turns. Nothing more is read until then; once the program or its channel is over they are
        logged all the same."""
        most = self._context.limits.stderr_line_bytes
        lines, self._lines = self._lines[:_LINES], self._lines[_LINES:]
        for line in lines:
            if line:
                text = line[:most].decode("utf-8", "replace")
                self._context.log.info("program-stderr", program=self._name, pid=self._pid, line=text)
        if self._lines:
            if self._logged is None:
                self._logged = asyncio.Event()
                self._outlast(self._logged)
            self._context.loop.call_soon(self._log_some)
        elif self._logged is not None:
            self._logged.set()
            self._logged = None
        if self._fd >= 0:
            self._context.poller.watch_read(self._fd, None if self._lines else self._readable)

    @property
    def text(self) -> str:
        """The last `stderr_bytes`, from the beginning of a line, U+FFFD for what is no UTF-8. What was left out is
        told of in a first line."""
        over = len(self._tail) - self._kept
        if over > 0:
            self._drop(over)
        tail = bytes(self._tail)
        if not self._cut:
            return tail.decode("utf-8", "replace")
        line = tail.find(b"\n") + 1
        left_out = self._cut + line
        return f"[{left_out} bytes left out]\n" + tail[line:].decode("utf-8", "replace")

    def finish(self) -> None:
        """The program has ended: take what is there, and read no more. Others of its children may go on writing."""
        for _ in range(_READS_AT_END):
            if self._fd < 0 or not self._read():
                break
        if self._begun:
            self._log_lines(b"\n")
        self._shut()

    def close(self) -> None:
        """Read no more."""
        self._shut()

    def _shut(self) -> None:
        if self._fd >= 0:
            self._context.poller.watch_read(self._fd, None)
            os.close(self._fd)
            self._fd = -1
