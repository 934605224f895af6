"""All files of a package directory, listed once: a lookup then costs nothing, be there such a file or not."""

import os
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from .paths import is_name

_Identity = tuple[int, int]
"""Device and inode."""
_GONE: Final = (FileNotFoundError, NotADirectoryError)


class Listing(msgspec.Struct, frozen=True):
    """The files that can be asked for, by directory."""

    directories: dict[str, frozenset[str]]
    """File names by directory, a path relative to the package directory, empty for that itself."""
    unlisted: frozenset[str]
    """Directories that could not be listed: what is in them is not known."""
    complete: bool
    """False: there are more files than are listed."""

    def may_have(self, file: str) -> bool:
        """Whether it is worth looking for `file`: it is listed, or lies where nothing could be."""
        directory, _, name = file.rpartition("/")
        names = self.directories.get(directory)
        if names is not None:
            return name in names
        return bool(self.unlisted) and any(parent in self.unlisted for parent in _parents(directory))

    def files(self) -> Iterator[str]:
        """All of them, sorted by directory, then by name."""
        for directory, names in sorted(self.directories.items()):
            for name in sorted(names):
                yield _joined(directory, name)


def list_files(path: str, checkpoint: Callable[[], None] = lambda: None, limit: int = 100_000) -> Listing:
    """List the package directory `path`; its links are followed.

    Blocks; `checkpoint` is called before each directory, and ends the listing by raising.
    """
    directories: dict[str, frozenset[str]] = {}
    unlisted: set[str] = set()
    room = limit
    # With each directory come those around it: a link to one of them would lead round in a circle.
    waiting: list[tuple[str, frozenset[_Identity]]] = [("", frozenset())]
    while waiting:
        checkpoint()
        directory, around = waiting.pop()
        try:
            identity, files, subdirectories = _look(_joined(path, directory))
        except _GONE:
            continue
        except OSError:
            unlisted.add(directory)
            continue
        if identity in around:
            continue
        room -= len(files) + 1
        if room < 0:
            unlisted.add(directory)
            continue
        directories[directory] = files
        waiting += [(_joined(directory, name), around | {identity}) for name in subdirectories]
    return Listing(directories, frozenset(unlisted), room >= 0)


def _look(path: str) -> tuple[_Identity, frozenset[str], list[str]]:
    """Identity, files and subdirectories of one directory."""
    with os.scandir(path) as entries:
        status = os.stat(path)
        files, subdirectories = [], []
        for entry in entries:
            if not is_name(entry.name):
                continue
            if _is(entry.is_file):
                files.append(entry.name)
            elif _is(entry.is_dir):
                subdirectories.append(entry.name)
    return (status.st_dev, status.st_ino), frozenset(files), subdirectories


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link that leads nowhere we can see
        return False


def _joined(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory and name else directory or name


def _parents(directory: str) -> Iterator[str]:
    """The directory itself, the one it is in, and so on up to the package directory, which is empty."""
    while directory:
        yield directory
        directory = directory.rpartition("/")[0]
    yield ""
