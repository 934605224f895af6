"""The directory that a path's last name is in: found once, then everything goes through its descriptor."""

import contextlib
import errno
import os
from typing import Final

_NAME_BYTES: Final = 255  # longest name of Linux' file systems
_TRIES: Final = 100
_OUR_OWN: Final = 0o600


class Directory:
    """`fd` leads to the directory of `path`, `name` is the last part of it. `close` it.

    Raises OSError: what the system says, or EISDIR where the path can only be a directory.
    """

    __slots__ = ("fd", "identity", "name")

    def __init__(self, path: bytes) -> None:
        parent, self.name = os.path.split(path)
        if self.name in (b"", b".", b".."):
            os.stat(path)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        self.fd = os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = os.fstat(self.fd)
        except OSError:  # of another machine, where it is gone
            self.close()
            raise
        self.identity = (found.st_dev, found.st_ino)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def unnamed_file(self) -> int:
        """A new file without a name, to write to, which nobody else may read. Raises OSError, among others
        EOPNOTSUPP and EISDIR where there is no such thing."""
        return _our_own(os.open(b".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, _OUR_OWN, dir_fd=self.fd))

    def hidden_file(self) -> tuple[int, bytes]:
        """The same with a name of its own, and that name."""
        for _ in range(_TRIES):
            name = self._hidden_name()
            with contextlib.suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                return _our_own(os.open(name, flags, _OUR_OWN, dir_fd=self.fd)), name
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def name_file(self, fd: int) -> bytes:
        """Give the unnamed file `fd` a name of its own; that name."""
        for _ in range(_TRIES):
            name = self._hidden_name()
            with contextlib.suppress(FileExistsError):
                self.link_file(fd, name)
                return name
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def link_file(self, fd: int, name: bytes) -> None:
        """Give the unnamed file `fd` this name, which must be free: FileExistsError."""
        # dst_dir_fd is needed: without it Python takes link(2), which does not follow the descriptor's link.
        os.link(b"/proc/self/fd/%d" % fd, name, dst_dir_fd=self.fd, follow_symlinks=True)

    def link_name(self, old: bytes) -> None:
        """Have what is named `old` be called `name`, which must be free: FileExistsError."""
        try:
            os.link(old, self.name, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
                raise
            self._take_name(old)
        else:
            with contextlib.suppress(
                OSError
            ):  # it has its name: that nobody took the other away is no reason to deny it
                self.remove(old)

    def _take_name(self, old: bytes) -> None:
        """The same on a file system without hard links: the name is taken exclusively, then given."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        taken = os.open(self.name, flags, _OUR_OWN, dir_fd=self.fd)
        try:
            os.close(taken)
            self.rename(old)
        except BaseException:
            with contextlib.suppress(OSError):
                self.remove(self.name)  # nobody is to find an empty file there
            raise

    def rename(self, old: bytes) -> None:
        """Have what is named `old` be called `name`, whatever had that name."""
        os.rename(old, self.name, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def remove(self, name: bytes) -> None:
        os.unlink(name, dir_fd=self.fd)

    def find(self, *, follow: bool) -> int:
        """A descriptor of what has the name now, to look at alone. Raises FileNotFoundError, OSError."""
        flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        return os.open(self.name, flags, dir_fd=self.fd)

    def _hidden_name(self) -> bytes:
        end = b"-" + os.urandom(3).hex().encode()
        return b"." + self.name[: _NAME_BYTES - 1 - len(end)] + end


def _our_own(fd: int) -> int:
    """The new file, which a umask or the access list of its directory may have taken from ourselves: extended
    attributes are given to what one may write to."""
    try:
        if os.fstat(fd).st_mode & _OUR_OWN != _OUR_OWN:
            os.fchmod(fd, _OUR_OWN)
    except OSError:
        os.close(fd)
        raise
    return fd
