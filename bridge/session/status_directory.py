"""Where the bridges of one user have their status sockets: `$XDG_RUNTIME_DIR/spanbridge`.

`su` and `sudo -E` keep the XDG_RUNTIME_DIR of somebody else, who could have links lie there. So a directory is used
only if it belongs to us, as the one that it is in does, and is no link; and by its descriptor, once it is open.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from typing import Final

_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME: Final = "spanbridge"


class NotOurs(OSError):
    """A directory that somebody else may change."""


def directory_of(environ: Mapping[str, str]) -> str | None:
    """The path of the directory; None where the user has no place for such things."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    return os.path.join(runtime, _NAME) if os.path.isabs(runtime) else None


def open_directory(path: str, *, make: bool) -> int:
    """A descriptor for what is in the directory, good for paths below `beside`. Raises OSError, NotOurs among them.

    make: the directory is made where it is missing, for us alone, and is ours to use whatever the umask was.
    """
    runtime, name = os.path.split(path)
    parent = os.open(runtime, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check(parent, runtime)
        if make:
            with contextlib.suppress(FileExistsError):  # of an earlier bridge, or something that is looked at below
                os.mkdir(name, 0o700, dir_fd=parent)
        directory = os.open(name, _FLAGS, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        _check(directory, path)
        mode = stat.S_IMODE(os.fstat(directory).st_mode)
        if make and mode & 0o700 != 0o700:
            os.chmod(beside(directory, ""), mode | 0o700)
    except OSError:
        os.close(directory)
        raise
    return directory


def beside(directory: int, name: str) -> str:
    """A path for `name` in an open directory. It is short, however long the directory's own: a socket's has a limit."""
    return f"/proc/self/fd/{directory}/{name}"


def _check(descriptor: int, path: str) -> None:
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        raise NotOurs(errno.EPERM, "belongs to another user", path)
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise NotOurs(errno.EPERM, "others may write to it", path)
