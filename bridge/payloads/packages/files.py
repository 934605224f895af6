"""Opening the regular files of a package directory, and nothing else.

A path is first pinned: opened with O_PATH, which reaches the file without opening it (no FIFO waits, no device wakes).
What was reached is then asked for its kind, and only then opened, through the pin. So a link that is changed meanwhile
changes nothing: what was looked at is what is opened.

Links are followed wherever they lead: stow, Nix and ConfigMaps install packages so, and the files are the user's to
read in any case.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class MissingError(Exception):
    """There is no such file in the package directory."""


class UnreadableError(Exception):
    """There is one, and we may not read it."""


def open_file(directory: str, name: str) -> int:
    """A descriptor for reading the regular file `name`, a path relative to `directory`. It never blocks on open.

    Raises MissingError, UnreadableError, OSError.
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


@contextmanager
def _pinned(directory: str, name: str) -> Iterator[int]:
    """A descriptor that stands for what `name` leads to, good for fstat and for opening that, not for reading."""
    try:
        pin = os.open(f"{directory}/{name}", os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise _translated(error, name) from None
    try:
        yield pin
    finally:
        os.close(pin)


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
