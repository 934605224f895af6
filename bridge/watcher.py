"""Directories watched by the kernel (inotify(7)), of which some may not be there yet.

Those above it are watched for the next part of its path: it may be missing, be made, and be moved away. Where a link is
on the way, or a file that matters is one, what it leads to is watched in the same way: a ConfigMap is a directory of
links through a link that is swapped. A regular file counts as changed when whoever wrote it closes it, so that nobody
reads one half written.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import msgspec

Wanted = Callable[[str], bool]
"""Whether a change of the file of this name, in the directory, matters."""


class _Full(Exception):
    """No more watches."""


class _Only(msgspec.Struct, frozen=True):
    """The file of this name matters."""

    name: str

    def __call__(self, name: str) -> bool:
        return name == self.name


class CannotWatch(Exception):
    """There is nothing to watch with; the text says why."""


class Watcher:
    """One inotify descriptor. A context manager; made by `open_watcher`."""

    def __init__(self, inotify: Any, flags: Any, most: int) -> None:
        self._inotify = inotify
        self._most = most
        self._flags = flags
        self._mask = (
            (flags.CLOSE_WRITE | flags.ATTRIB)
            | (flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO)
            | (flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR)
        )
        self._watched: dict[int, dict[str, set[Wanted]]] = {}  # watch descriptor -> directory -> what matters there
        self._done: set[tuple[str, Wanted | None]] = (
            set()
        )  # what one `cover` has seen to; None: that a link is followed

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *exception: object) -> None:
        self._inotify.close()

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
            except _Full:
                left_out += 1
        for watch in before.keys() - self._watched.keys():
            with contextlib.suppress(OSError):  # it went with its directory
                self._inotify.rm_watch(watch)
        return left_out

    def _add(self, directory: str, matters: Wanted) -> None:
        """Watch a directory, and those above it for the next part of its path. Raises _Full."""
        if (directory, matters) in self._done:
            return
        self._done.add((directory, matters))
        parent, name = os.path.split(directory)
        if parent != directory:
            self._add(parent, _Only(name))
            self._follow(directory)
        if len(self._watched) >= self._most:
            raise _Full
        try:
            watch = self._inotify.add_watch(directory, self._mask)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _Full from None
            return  # it is not there, and its parent was watched before we looked
        # Two paths may lead to one directory, and one directory may be above several.
        self._watched.setdefault(watch, {}).setdefault(directory, set()).add(matters)

    def _follow(self, path: str) -> None:
        """Watch what the link at `path` leads to, if it is one. Raises _Full."""
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
        while True:
            await anyio.wait_readable(self._inotify.fileno())
            events = self._inotify.read(timeout=0)
            if any(self._matters(event.wd, event.mask, event.name) for event in events):
                return

    def _matters(self, watch: int, mask: int, name: str) -> bool:
        if mask & self._flags.Q_OVERFLOW:
            return True
        if watch not in self._watched:  # removed while this was on its way
            return False
        if not name:  # about the directory itself: it was moved, removed, or made readable
            return True
        places = self._watched[watch].items()
        concerned = [directory for directory, wanted in places if any(matters(name) for matters in wanted)]
        if mask & self._flags.CREATE and not mask & self._flags.ISDIR:
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


async def open_watcher(most: int) -> Watcher:
    """A watcher of `most` directories. Raises CannotWatch."""
    try:
        import inotify_simple  # type: ignore[import-untyped]
    except ImportError as error:
        raise CannotWatch(f"{error}: changes on disk are not noticed") from None
    try:
        # Off the event loop: to find the C library it starts a process.
        inotify = await anyio.to_thread.run_sync(inotify_simple.INotify)
    except OSError as error:
        raise CannotWatch(f"inotify: {error.strerror}: changes on disk are not noticed") from None
    return Watcher(inotify, inotify_simple.flags, most)
