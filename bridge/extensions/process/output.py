"""What an extension prints: into the log line by line, as many a second as are allowed."""

import asyncio
import os
from typing import Final

from ..host_log import HostLog

_LINE_BYTES: Final = 2_048
_LAST_SECONDS: Final = 5.0
_READ_BYTES: Final = 64 << 10
_FATAL: Final = ("FATAL ERROR:", "Fatal Python error:")


class Output:
    """Reads a pipe until its end, on the event loop. `most`: lines a second."""

    def __init__(self, name: str, fd: int, log: HostLog, most: int) -> None:
        self._most = most
        self._name = name
        self._fd = fd
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._second = 0.0
        self._lines = 0
        self._left_out = 0
        self._last = ""
        self._last_at = 0.0
        self.fatal = ""
        """What node, or Python, said before it gave up; stacks come after it."""
        self._loop.add_reader(fd, self._readable)

    @property
    def last(self) -> str:
        """The last line, if it was said just now; an older one is no reason for anything that happens now."""
        return self._last if self._loop.time() - self._last_at < _LAST_SECONDS else ""

    def forget(self) -> None:
        """Something else begins: what was printed before is no reason for how that ends."""
        self._last = ""

    def _readable(self) -> None:
        try:
            chunk = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        now = self._loop.time()
        if now - self._second >= 1:
            self._second, self._lines = now, 0
        self._lines += 1
        text = line[:_LINE_BYTES].decode(errors="replace")
        if text.strip():
            self._last, self._last_at = text, now
            if not self.fatal and text.startswith(_FATAL):
                self.fatal = text
        if self._lines > self._most:
            if not self._left_out:
                self._loop.call_later(1, self._tell_left_out)
            self._left_out += 1
        else:
            self._log.printed(self._name, text)

    def _tell_left_out(self) -> None:
        if self._left_out:
            self._log.warning("lines-left-out", extension=self._name, lines=self._left_out)
            self._left_out = 0

    def drain(self) -> None:
        """Read what is there, after the end of the process."""
        for _ in range(64):
            if self._fd < 0:
                return
            before = self._rest
            self._readable()
            if self._rest is before:
                return

    def close(self) -> None:
        """Harmless a second time."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            if self._rest:
                self._line(self._rest)
                self._rest = b""
            self._tell_left_out()
