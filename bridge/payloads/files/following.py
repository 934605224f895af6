"""Following a path: every part of it is watched, links on the way included.

Any part may be missing, come, be replaced, be moved away and come back. A walk goes from the root to where the path
ends now, and watches each directory before it looks into it; an event for one of the names on the way means that the
next walk may lead elsewhere.
"""

import errno
import os
import stat
import threading
from collections.abc import Callable
from typing import Final

from spanbridge.inotify import (
    ATTRIB,
    CLOSE_WRITE,
    COMING_AND_GOING,
    CREATE,
    DELETE_SELF,
    DONT_FOLLOW,
    GONE,
    MODIFY,
    MOVE_SELF,
    MOVED_TO,
    OVERFLOW,
    Full,
    Inotify,
    Key,
)

from .filesystems import FileSystems

_ON_THE_WAY: Final = COMING_AND_GOING | ATTRIB
_AT_THE_END: Final = COMING_AND_GOING | ATTRIB | MODIFY | CLOSE_WRITE | DELETE_SELF | MOVE_SELF
_OF_THE_NEW: Final = CREATE | MOVED_TO | CLOSE_WRITE
_TOLD: Final = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG)
"""Why there is no going on: its end is an event of a directory on the way."""

_MOST_LINKS: Final = 40  # as the kernel has it (path_resolution(7))


class Follower:
    """Follows `path`, which is absolute.

    `on_event(mask, name)` is called in the event loop: with a name for what is in the directory at the end, with an
    empty one for the end itself, with None when the path may lead elsewhere, or anything may have happened.
    `on_limit` is called, in a thread, with the name of a limit that keeps something from being watched.
    """

    def __init__(
        self,
        inotify: Inotify,
        file_systems: FileSystems,
        path: bytes,
        on_event: Callable[[int, bytes | None], None],
        on_limit: Callable[[str], None],
    ) -> None:
        self.path = path
        self.untold = False  # whether there may be changes that nobody tells: it has to be looked at
        self._inotify = inotify
        self._file_systems = file_systems
        self._on_event = on_event
        self._on_limit = on_limit
        self._lock = threading.Lock()  # of the keys, between a walk and the end
        self._keys: frozenset[Key] = frozenset()
        self._end = -1  # watch of what the path leads to
        self._missing: Key | None = None  # where the last name of the path was missing
        self._closed = False
        self._listener = self._heard

    @property
    def end(self) -> int:
        """The watch of what the path leads to, -1 where there is none: another one is another file, though the file
        system may have given that the same number."""
        return self._end

    def close(self) -> None:
        """No more events."""
        with self._lock:
            self._closed = True
            keys, self._keys = self._keys, frozenset()
        for key in keys:
            self._inotify.drop(key, self._listener)

    def walk(self) -> None:
        """Watch what is there now. Blocks. Look at the path afterwards."""
        walk = _Walk(self)
        try:
            walk.go()
        finally:
            with self._lock:
                old, self._keys = self._keys, frozenset(walk.keys)
                self._end = walk.end
                self._missing = walk.missing or (self._missing if self._missing in self._keys else None)
                self.untold = walk.untold
                closed = self._closed
            for key in old - self._keys:
                self._inotify.drop(key, self._listener)
            if closed:
                self.close()

    def _heard(self, watch: int, mask: int, name: bytes) -> None:
        if self._closed:
            return
        if mask & (OVERFLOW | GONE):
            self._on_event(mask, None)
        elif watch == self._end:
            self._on_event(mask, name)
            if (watch, name) in self._keys:
                self._on_event(mask, None)
        elif name:
            if mask & _OF_THE_NEW and (watch, name) == self._missing:  # told at once: nobody watches what is new yet
                self._on_event(mask & _OF_THE_NEW, b"")
            if mask & _ON_THE_WAY:
                self._on_event(mask, None)


class _Walk:
    """One way from the root to the end."""

    def __init__(self, follower: Follower) -> None:
        self.keys: list[Key] = []
        self.end = -1
        self.missing: Key | None = None
        self.untold = False
        self._follower = follower

    def go(self) -> None:
        left = self._follower.path.split(b"/")[::-1]  # the next part is the last
        place = b""  # where we are, without links; empty: the root
        links = 0
        device = -1  # of the file system that was asked last
        found = os.stat(b"/")
        while True:
            if found.st_dev != device:  # asked anew in each walk: another file system may have the number next time
                device = found.st_dev
                self.untold = self.untold or self._follower._file_systems.silent(place or b"/")
            while left and left[-1] in (b"", b"."):
                left.pop()
            if not left:
                self._watch(place or b"/", _AT_THE_END, None)
                return
            part = left.pop()
            if part == b"..":
                place = os.path.dirname(place).rstrip(b"/")
                continue
            self._watch(place or b"/", _ON_THE_WAY, part)
            try:
                found = os.lstat(place + b"/" + part)
                if stat.S_ISLNK(found.st_mode):
                    links += 1
                    if links > _MOST_LINKS:
                        return
                    target = os.readlink(place + b"/" + part)
                    left += target.split(b"/")[::-1]
                    if target.startswith(b"/"):
                        place = b""
                    continue
            except OSError as error:  # it is not there, or not for us: its directory is watched
                # A server that is gone, a disk that fails: nobody tells when it is back.
                self.untold = self.untold or error.errno not in _TOLD
                if not left:
                    self.missing = self._watch(place or b"/", _ON_THE_WAY | CLOSE_WRITE, part)
                return
            place += b"/" + part

    def _watch(self, path: bytes, mask: int, name: bytes | None) -> Key | None:
        try:
            key = self._follower._inotify.add(path, mask | DONT_FOLLOW, name, self._follower._listener)
        except Full as error:
            self.untold = True
            self._follower._on_limit(error.limit)
        except ImportError:  # of what asks the kernel: no descriptor was left to read it with
            self.untold = True
        except OSError as error:
            went = error.errno in (errno.ENOENT, errno.ENOTDIR)  # which is watched above it
            # What may not be read at the end is watched above it too: it tells when it may.
            self.untold = self.untold or not (went or (name is None and error.errno == errno.EACCES))
        else:
            self.keys.append(key)
            if name is None:
                self.end = key[0]
            return key
        return None
