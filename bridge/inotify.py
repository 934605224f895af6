"""Changes on disk, told by the kernel (inotify(7)): one descriptor for the whole session, its watches shared.

Adding a watch looks a path up, which may block: it is for threads. What happens is told in the event loop. Whoever
adds a watch and looks afterwards misses nothing: what happens in between is in what it sees, and told as well.
"""

import asyncio
import errno
import os
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from .stand_ins import import_inotify

MODIFY: Final = 0x0000_0002
ATTRIB: Final = 0x0000_0004
CLOSE_WRITE: Final = 0x0000_0008
MOVED_FROM: Final = 0x0000_0040
MOVED_TO: Final = 0x0000_0080
CREATE: Final = 0x0000_0100
DELETE: Final = 0x0000_0200
DELETE_SELF: Final = 0x0000_0400
MOVE_SELF: Final = 0x0000_0800
UNMOUNT: Final = 0x0000_2000
OVERFLOW: Final = 0x0000_4000
IGNORED: Final = 0x0000_8000
ISDIR: Final = 0x4000_0000
ONLYDIR: Final = 0x0100_0000
DONT_FOLLOW: Final = 0x0200_0000

COMING_AND_GOING: Final = CREATE | DELETE | MOVED_FROM | MOVED_TO
"""Of names in a directory."""

GONE: Final = IGNORED | UNMOUNT
"""Nothing more will be told of the directory or file."""

_MASK_ADD: Final = 0x2000_0000
_EVENT: Final = struct.Struct("iIII")
_READ: Final = 16 << 10  # at a time: a storm must not take the event loop for itself

Listener = Callable[[int, int, bytes], None]
"""Called with watch, mask and name. A name that is empty: about the directory or file itself. A mask with OVERFLOW:
anything may have happened; with GONE: nothing more is told."""

Key = tuple[int, bytes | None]
"""A watch and the name in it that somebody listens to; None: all of them."""


class Full(OSError):
    """No more watches: `limit` names what was reached."""

    def __init__(self, limit: str) -> None:
        super().__init__(errno.ENOSPC, f"no more watches: {limit}")
        self.limit = limit


class Inotify:
    """At most `most` directories and files are watched. Opened when it is first needed; `close` it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = most
        self._opening = threading.Lock()
        self._lock = threading.Lock()  # of all below; never held while a path is looked up
        self._inotify: Any = None
        self._closed = False
        # watch -> name -> who listens, in order
        self._watched: dict[int, dict[bytes | None, dict[Listener, None]]] = {}
        self._adding = 0
        self._removed: set[int] = set()  # watches that went while others were being added

    def open(self) -> None:
        """Open it now, which is else done when it is first needed. Blocks. Raises OSError, Full at a limit."""
        self._opened()

    def add(self, path: bytes, mask: int, name: bytes | None, listener: Listener) -> Key:
        """Listen to what `mask` asks for: of `name` in the directory `path`, or of everything there. Blocks.

        Raises OSError: what the system says, Full at a limit.
        """
        inotify = self._opened()
        while True:
            with self._lock:
                full = len(self._watched) >= self._most
                self._adding += 1
            watch = -1
            try:
                if not full:
                    watch = inotify.add_watch(path, mask | _MASK_ADD)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise Full("fs.inotify.max_user_watches") from None
                raise
            finally:
                with self._lock:
                    self._adding -= 1
                    lost = watch in self._removed
                    if not self._adding:
                        self._removed.clear()
                    if watch >= 0 and not lost:
                        self._watched.setdefault(watch, {}).setdefault(name, {})[listener] = None
            if full:
                raise Full("watched_directories")
            if not lost:
                return watch, name

    def drop(self, key: Key, listener: Listener) -> None:
        """No more of that. Harmless if it is gone."""
        watch, name = key
        with self._lock:
            names = self._watched.get(watch)
            listeners = names.get(name) if names else None
            if names is None or listeners is None:
                return
            listeners.pop(listener, None)
            if not listeners:
                del names[name]
            if not names:
                self._remove(watch)

    def close(self) -> None:
        """Nothing more is told."""
        with self._opening, self._lock:
            self._closed = True
            self._watched.clear()
            if self._inotify is not None:
                self._loop.remove_reader(self._inotify.fileno())
                self._inotify.close()
                self._inotify = None

    def _remove(self, watch: int) -> None:
        del self._watched[watch]
        if self._adding:
            self._removed.add(watch)
        if self._inotify is not None:
            try:
                self._inotify.rm_watch(watch)
            except OSError as error:
                if error.errno != errno.EINVAL:  # it went with its directory
                    raise

    def _opened(self) -> Any:
        with self._opening:
            if self._closed:
                raise OSError(errno.EBADF, "the session is over")
            if self._inotify is None:
                import_inotify()
                import inotify_simple  # type: ignore[import-untyped]

                try:
                    self._inotify = inotify_simple.INotify(nonblocking=True)
                except OSError as error:
                    if error.errno in (errno.EMFILE, errno.ENFILE):
                        raise Full("fs.inotify.max_user_instances, or the number of open files") from None
                    raise
                self._loop.call_soon_threadsafe(self._listen)
            return self._inotify

    def _listen(self) -> None:
        if self._inotify is not None:
            self._loop.add_reader(self._inotify.fileno(), self._readable)

    # In the event loop

    def _readable(self) -> None:
        try:
            data = os.read(self._inotify.fileno(), _READ)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, size = _EVENT.unpack_from(data, at)
            at += _EVENT.size + size
            self._tell(watch, mask, data[at - size : at].rstrip(b"\0"))

    def _tell(self, watch: int, mask: int, name: bytes) -> None:
        for listener in self._concerned(watch, mask, name):
            listener(watch, mask, name)

    def _concerned(self, watch: int, mask: int, name: bytes) -> list[Listener]:
        with self._lock:
            if mask & OVERFLOW:
                return list(
                    {each: None for names in self._watched.values() for some in names.values() for each in some}
                )
            if mask & IGNORED and self._adding:
                self._removed.add(watch)  # it may be the one that a thread has just been given
            names = self._watched.get(watch)
            if names is None:
                return []
            if mask & IGNORED:
                del self._watched[watch]
            if not name:
                return _each(names.values())
            return [*names.get(name, ()), *names.get(None, ())]


def _each(listeners: Iterable[Iterable[Listener]]) -> list[Listener]:
    """Each of them once."""
    return list(dict.fromkeys(each for some in listeners for each in some))
