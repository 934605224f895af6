"""Directories watched by the kernel (inotify(7)), of which some may not be there yet.

Those above it are watched for the next part of its path: it may be missing, be made, and be moved away. Where a link is
on the way, or a file that matters is one, what it leads to is watched in the same way: a ConfigMap is a directory of
links through a link that is swapped. A regular file counts as changed when whoever wrote it closes it, so that nobody
reads one half written.
"""

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import anyio
import msgspec

from .inotify import (
    ATTRIB,
    CLOSE_WRITE,
    COMING_AND_GOING,
    CREATE,
    DELETE_SELF,
    IGNORED,
    ISDIR,
    MOVE_SELF,
    ONLYDIR,
    OVERFLOW,
    Full,
    Inotify,
)

Wanted = Callable[[str], bool]
"""Whether a change of the file of this name, in the directory, matters."""


_MATTERS: Final = CLOSE_WRITE | ATTRIB | COMING_AND_GOING | DELETE_SELF | MOVE_SELF


class _Only(msgspec.Struct, frozen=True):
    """The file of this name matters."""

    name: str

    def __call__(self, name: str) -> bool:
        return name == self.name


class CannotWatch(Exception):
    """There is nothing to watch with; the text says why."""


class Watcher:
    """Directories that are watched, through a shared inotify. A context manager; made by `open_watcher`."""

    def __init__(self, inotify: Inotify) -> None:
        self._inotify = inotify
        self._watched: dict[int, dict[str, set[Wanted]]] = {}  # watch -> directory -> what matters there
        # What one `cover` has seen to; None: that a link is followed.
        self._done: set[tuple[str, Wanted | None]] = set()
        self._news = anyio.Event()
        self._listener = self._heard

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *exception: object) -> None:
        self._let_go(self._watched)
        self._watched = {}

    def cover(self, wanted: Mapping[str, Wanted]) -> int:
        """Watch these directories and no others. How many had to be left out, at a limit of ours or of the system's.

        What changed before is not told: look at it afterwards.
        """
        before, self._watched = self._watched, {}
        self._done.clear()
        left_out = 0
        for directory, matters in wanted.items():
            try:
                self._add(directory, matters)
                for name in _names(directory):
                    if matters(name):
                        self._follow(f"{directory}/{name}")
            except Full:
                left_out += 1
        self._let_go(before.keys() - self._watched.keys())
        return left_out

    def _let_go(self, watches: Iterable[int]) -> None:
        for watch in watches:
            self._inotify.drop((watch, None), self._listener)

    def _add(self, directory: str, matters: Wanted) -> None:
        """Watch a directory, and those above it for the next part of its path. Raises Full."""
        if (directory, matters) in self._done:
            return
        self._done.add((directory, matters))
        parent, name = os.path.split(directory)
        if parent != directory:
            self._add(parent, _Only(name))
            self._follow(directory)
        try:
            watch, _ = self._inotify.add(os.fsencode(directory), _MATTERS | ONLYDIR, None, self._listener)
        except Full:
            raise
        except OSError:
            return  # it is not there, and its parent was watched before we looked
        # Two paths may lead to one directory, and one directory may be above several.
        self._watched.setdefault(watch, {}).setdefault(directory, set()).add(matters)

    def _follow(self, path: str) -> None:
        """Watch what the link at `path` leads to, if it is one. Raises Full."""
        if (path, None) in self._done:  # links may go round in a circle
            return
        self._done.add((path, None))
        try:
            target = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            return
        directory, name = os.path.split(target.rstrip("/"))
        if name:
            self._add(directory, _Only(name))
            self._follow(f"{directory}/{name}")

    async def changed(self) -> None:
        """Wait until something that matters has changed since `cover`, or since this last returned."""
        await self._news.wait()
        self._news = anyio.Event()

    async def quiet(self, seconds: float, most: float) -> None:
        """Wait until nothing has changed for so many seconds, `most` at the longest."""
        with anyio.move_on_after(most):
            while True:
                with anyio.move_on_after(seconds) as pause:
                    await self.changed()
                if pause.cancelled_caught:
                    return

    def _heard(self, watch: int, mask: int, name: bytes) -> None:
        if self._matters(watch, mask, os.fsdecode(name)):
            self._news.set()

    def _matters(self, watch: int, mask: int, name: str) -> bool:
        if mask & OVERFLOW:
            return True
        # Others may want to know more of the same directory.
        if watch not in self._watched or not mask & (_MATTERS | IGNORED):
            return False
        if not name:  # about the directory itself: it was moved, removed, or made readable
            return True
        places = self._watched[watch].items()
        concerned = [directory for directory, wanted in places if any(matters(name) for matters in wanted)]
        if mask & CREATE and not mask & ISDIR:
            return any(not _being_written(f"{directory}/{name}") for directory in concerned)
        return bool(concerned)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _being_written(path: str) -> bool:
    """A regular file that was just made will be closed by whoever writes it; links are whole at once."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


async def open_watcher(inotify: Inotify) -> Watcher:
    """A watcher that watches nothing yet. Raises CannotWatch."""
    try:
        # Off the event loop: to find the C library it starts a process.
        await anyio.to_thread.run_sync(inotify.open)
    except ImportError as error:
        raise CannotWatch(f"{error}: changes on disk are not noticed") from None
    except OSError as error:
        raise CannotWatch(f"inotify: {error.strerror}: changes on disk are not noticed") from None
    except RuntimeError as error:  # no thread can be started
        raise CannotWatch(f"inotify: {error}: changes on disk are not noticed") from None
    return Watcher(inotify)
