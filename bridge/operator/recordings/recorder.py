"""Writes what goes by to a file, or to stderr (docs/tools.md, "A recording")."""

import io
import os
import select
import stat
import time

import msgspec

from ..complain import complain, painted
from ..terminal import Paint
from .record_text import text
from .recording import VERSION, Beginning, Describer, Direction, Record, line_of


class Recorder:
    """Writes records, to a file of its own or to stderr, until that fails. Raises OSError if it cannot be opened."""

    def __init__(self, output: str | None, form: str | None, keep: int | None, command: list[str]) -> None:
        self._fd = 2 if output is None else _create(output.replace("%p", str(os.getpid())))
        self._began = time.monotonic()
        self._describer = Describer(keep)
        as_json = (form or ("text" if output is None else "json")) == "json"
        self._line = line_of if as_json else _Text(painted() if output is None else Paint(io.StringIO()))
        if as_json:
            started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            shown = [argument.encode(errors="surrogateescape").decode(errors="replace") for argument in command]
            self._write([msgspec.json.encode(Beginning(VERSION, started, shown, "all" if keep is None else str(keep)))])

    def observe(self, direction: Direction, chunk: bytes, descriptors: int) -> None:
        """Record what `chunk` makes whole; b"" is the end of the direction."""
        if self._fd < 0:
            return
        t = round(time.monotonic() - self._began, 6)
        if descriptors:
            self._write([self._line(Record(t, direction, size=len(chunk), descriptors=descriptors))])
        elif chunk:
            self._write([self._line(record) for record in self._describer.feed(direction, chunk, t)])
        else:
            self._write([self._line(self._describer.end(direction, t))])

    def close(self, status: int) -> None:
        """Record how it all ended."""
        if self._fd >= 0:
            self._write([self._line(Record(round(time.monotonic() - self._began, 6), exit=status))])
        if self._fd > 2:
            os.close(self._fd)
        self._fd = -1

    def _write(self, lines: list[bytes]) -> None:
        data = memoryview(b"".join(line + b"\n" for line in lines))
        try:
            while data:
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:  # a stderr that somebody else made so
                    select.select([], [self._fd], [])
        except OSError as error:
            if self._fd != 2:
                complain(f"spanbridge tap: nothing more is recorded: {error.strerror}")
                os.close(self._fd)
            self._fd = -1


class _Text:
    def __init__(self, paint: Paint) -> None:
        self._paint = paint

    def __call__(self, record: Record) -> bytes:
        return text(record, self._paint).encode(errors="backslashreplace")


def _create(path: str) -> int:
    """The file of a recording, empty, and for its owner alone even where it was there before."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("expected a file, or no such file yet")
        if found.st_uid != os.geteuid():
            raise OSError("it belongs to another user")
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, 0)
    except OSError:
        os.close(fd)
        raise
    return fd
