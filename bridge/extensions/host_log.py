"""host.log: what the host has to say, and what extensions print. One older file is kept."""

import contextlib
import os
import threading
import time
from typing import Final

_MODE: Final = 0o600


class HostLog:
    """A file beside the databases; safe for threads. A full disk, or a missing directory, loses lines and no more."""

    def __init__(self, path: str, most_bytes: int, *, echo: bool = False) -> None:
        """`most_bytes`: of one file. `echo`: on stderr, too."""
        self.path = path
        self._most_bytes = most_bytes
        self._echo = echo
        self._lock = threading.Lock()
        self._fd = -1
        self._size = 0

    def info(self, event: str, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._write("error", event, fields)

    def limit(self, name: str, value: object, **fields: object) -> None:
        """A limit was hit, and was heeded."""
        self.warning("limit", name=name, value=value, setting=f"SPANBRIDGE_{name.upper()}", **fields)

    def printed(self, extension: str, line: str) -> None:
        """A line that an extension has printed."""
        self._line(f"{extension}: {_shown(line)}")

    def unforeseen(self, where: str, error: BaseException) -> None:
        """A mistake of ours."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.error("unforeseen", where=where, what=f"{type(error).__name__}: {error}")

    def put(self, level: str, event: str, fields: dict[str, object]) -> None:
        """One line."""
        self._write(level, event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        told = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        self._line(f"{level} {event}{told}")

    def _line(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        data = f"{stamp} {text}\n".encode(errors="backslashreplace")
        with self._lock:
            if self._echo:
                with contextlib.suppress(OSError):  # the terminal is gone: the file is there
                    os.write(2, data)
            try:
                if self._fd < 0 or self._size + len(data) > self._most_bytes:
                    self._open()
                self._size += os.write(self._fd, data)
            except OSError:
                return

    def _open(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1  # it is closed whatever close says, and its number may be another one's
            os.close(fd)
        # A FIFO that nobody reads is no reason to wait, in whichever thread has something to say.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        not_kept = b""
        full = max(self._most_bytes - 4096, self._most_bytes // 2)
        if os.path.exists(self.path) and os.stat(self.path).st_size >= full:
            try:
                os.replace(self.path, f"{self.path}.1")
            except OSError as error:  # what is said from now on is worth more than what was said before
                flags |= os.O_TRUNC
                not_kept = f"warning host-log-not-kept why={_quoted(error)}\n".encode(errors="backslashreplace")
        self._fd = os.open(self.path, flags, _MODE)
        status = os.fstat(self._fd)
        if status.st_mode & _MODE != _MODE:
            os.fchmod(self._fd, _MODE)  # a umask may have taken it from ourselves
        self._size = status.st_size
        if not_kept:
            self._size += os.write(self._fd, not_kept)


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{_shown(text)}"' if not text or any(char in ' "=' or not char.isprintable() for char in text) else text


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
