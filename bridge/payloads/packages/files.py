"""Opening what is inside a package directory, and nothing else.

A path is first pinned: opened with O_PATH, which reaches the file without opening it (no FIFO waits, no device wakes).
What was reached is then asked for its kind and for where it really lies, and only then opened, through the pin. So a
link that is changed meanwhile changes nothing: what was looked at is what is opened.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class MissingError(Exception):
    """There is no such file inside the package directory."""


class UnreadableError(Exception):
    """There is one, and we may not read it."""


def open_file(directory: str, name: str) -> int:
    """A descriptor for reading the regular file `name`, a path relative to `directory`. It never blocks on open.

    A link is followed where it leads to something in `directory`; one that leaves it only if `directory` is itself a
    link: whoever links a package into place means the files it links to. Raises MissingError, UnreadableError,
    OSError.
    """
    with _pinned(directory, name) as pin:
        if not stat.S_ISREG(os.fstat(pin).st_mode):
            raise MissingError(name)
        return _reopened(pin, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, name)


def names_in(directory: str, name: str) -> list[str]:
    """What the directory `name`, empty for `directory` itself, holds. Raises as `open_file` does."""
    with _pinned(directory, name) as pin:
        descriptor = _reopened(pin, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, name)
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


def real_path(descriptor: int) -> str:
    """Where an open file or directory lies, without a link on the way (proc(5))."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


@contextmanager
def _pinned(directory: str, name: str) -> Iterator[int]:
    """A descriptor that stands for what `name` leads to, good for fstat and for opening that, not for reading."""
    try:
        pin = os.open(f"{directory}/{name}", os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise _translated(error, name) from None
    try:
        if not os.path.islink(directory):
            _check_inside(directory, pin, name)
        yield pin
    finally:
        os.close(pin)


def _check_inside(directory: str, pin: int, name: str) -> None:
    root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not f"{real_path(pin)}/".startswith(f"{real_path(root)}/"):
            raise MissingError(name)
    finally:
        os.close(root)


def _reopened(pin: int, flags: int, name: str) -> int:
    try:
        return os.open(f"/proc/self/fd/{pin}", flags)
    except OSError as error:
        raise _translated(error, name) from None


def _translated(error: OSError, name: str) -> Exception:
    if error.errno in _MISSING:
        return MissingError(name)
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnreadableError(name)
    return error
