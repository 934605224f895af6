"""Reading files of the kernel."""

import os
from collections.abc import Callable
from typing import Final, TypeVar

_CHUNK: Final = 1 << 16
_NUMBER_BYTES: Final = 4096

Parsed = TypeVar("Parsed")


class Reader:
    """Files below `root`: "" for those of this machine, another directory for a tree that looks like it.

    `failures` has what could not be read or understood, by path; whoever made it tells them.
    """

    def __init__(self, root: str = "") -> None:
        self.root = root
        self.failures: dict[str, str] = {}

    def text(self, path: str) -> str:
        """A whole file; bytes that are no UTF-8 become surrogates. Raises OSError."""
        fd = os.open(self.root + path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            chunks = []
            while chunk := os.read(fd, _CHUNK):  # files of /proc give less than asked for before their end
                chunks.append(chunk)
        finally:
            os.close(fd)
        return b"".join(chunks).decode("utf-8", "surrogateescape")

    def line(self, path: str) -> str:
        """A file of one line, without its end: one read. Raises OSError."""
        fd = os.open(self.root + path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, _NUMBER_BYTES)
        finally:
            os.close(fd)
        return data.decode("utf-8", "surrogateescape").strip()

    def parsed(self, path: str, parse: Callable[[str], Parsed]) -> Parsed | None:
        """What `parse` makes of a file that is always there. None, and a failure, if it cannot."""
        try:
            return parse(self.text(path))
        except OSError as error:
            self.failures[path] = error.strerror or str(error)
        except ValueError as error:
            self.failures[path] = str(error)
        return None

    def exists(self, path: str) -> bool:
        return os.path.exists(self.root + path)

    def names(self, path: str) -> list[str]:
        """The entries of a directory; none if there is no such directory, or it cannot be read."""
        try:
            return os.listdir(self.root + path)
        except OSError:
            return []
