"""The content that is to replace a file, written where nobody sees it.

It has no name (O_TMPFILE) until it is put in place, so that nothing is left of it even after SIGKILL; where a file
system cannot do that, it has a hidden name.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from spanbridge.protocol.frames import Buffer

from .directory import Directory
from .shared import Shared

_NO_UNNAMED: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_NO_ALLOCATION: Final = (errno.EOPNOTSUPP, errno.ENOSYS)
_STEP: Final = 1 << 20  # moved by one system call
_TURN_BYTES: Final = 8 << 20  # moved by one thread, before it tells how much that was
_PIECES: Final = 1_024  # of one writev: sysconf(_SC_IOV_MAX) of every Linux


class NewFile:
    """A file beside `path` that has not its name yet. Every method blocks, and raises OSError.

    Whoever uses it does so within `shared.using`; `shared.end` lets go of it, and what has no name yet is gone.

    Made: the directory is there, may be written to, and has no directory of that name.
    """

    __slots__ = ("_pipe", "directory", "fd", "hidden", "path", "shared", "written")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.written = 0  # bytes
        self._pipe = -1
        self.hidden: bytes | None = None  # its name, if it has to have one
        self.directory = Directory(path)
        self.shared = Shared(self._discard)
        try:
            refuse_directory(self.directory)
            self.fd = self._make()
        except BaseException:
            self.directory.close()
            raise

    def _make(self) -> int:
        try:
            fd = self.directory.unnamed_file()
        except OSError as error:
            if error.errno not in _NO_UNNAMED:
                raise
        else:
            if os.path.exists(b"/proc/self/fd/%d" % fd):
                return fd
            os.close(fd)  # no /proc here, by way of which it would get its name
        fd, self.hidden = self.directory.hidden_file()
        return fd

    def allocate(self, size: int) -> None:
        """See to it that so many bytes find room."""
        if not size:
            return
        with self.shared.using():
            self._refuse_more_than_is_free(size)
            try:
                os.posix_fallocate(self.fd, 0, size)
            except OSError as error:
                if error.errno not in _NO_ALLOCATION:
                    raise

    def _refuse_more_than_is_free(self, size: int) -> None:
        """Where a file system cannot allocate, the C library writes into each block: it would fill the disk first."""
        about = os.fstatvfs(self.fd)
        if about.f_blocks and size > about.f_bfree * about.f_frsize:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Append them."""
        with self.shared.using():
            for at in range(0, len(pieces), _PIECES):
                self._write_all(pieces[at : at + _PIECES])

    def _write_all(self, batch: Sequence[Buffer]) -> None:
        left = sum(map(len, batch))
        done = os.writev(self.fd, batch)
        self.written += done
        if done == left:
            return
        rest = memoryview(b"".join(batch))[done:]  # it is rare: a disk that is all but full, a signal
        while rest:
            done = os.write(self.fd, rest)
            self.written += done
            rest = rest[done:]

    def take_pipe(self, fd: int) -> None:
        """The end of a pipe that `move_in` reads; it is closed with the file."""
        self._pipe = fd

    def move_in(self) -> int:
        """Append what is in the pipe now, and what comes meanwhile; how many bytes."""
        before = self.written
        with self.shared.using():
            while self.written - before < _TURN_BYTES and (done := self._move()):
                self.written += done
        return self.written - before

    def _move(self) -> int:
        flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
        try:
            return os.splice(self._pipe, self.fd, _STEP, flags=flags)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        try:  # a file system that cannot do it
            data = os.read(self._pipe, _STEP)
        except BlockingIOError:
            return 0
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.fd, rest) :]
        return len(data)

    def finish(self) -> None:
        """All is written: on disk, and no room is left over."""
        os.ftruncate(self.fd, self.written)
        os.fdatasync(self.fd)

    def link(self) -> None:
        """Give it its name, which must be free: FileExistsError."""
        if self.hidden is None:
            self.directory.link_file(self.fd, self.directory.name)
        else:
            self.directory.link_name(self.hidden)
            self.hidden = None

    def replace(self) -> None:
        """Give it its name, whatever had that."""
        if self.hidden is None:
            self.hidden = self.directory.name_file(self.fd)
        self.directory.rename(self.hidden)
        self.hidden = None

    def _discard(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
        if self.hidden is not None:
            with contextlib.suppress(OSError):  # somebody has cleaned up
                self.directory.remove(self.hidden)
        self.directory.close()
        os.close(self.fd)  # at last: a full or failing disk may have something to say to it


def refuse_directory(directory: Directory) -> None:
    """Raises IsADirectoryError if a directory has the name."""
    try:
        found = os.stat(directory.name, dir_fd=directory.fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
