"""Opening a file to read it, whatever it turns out to be: nothing here waits for a writer, a line or a tape."""

import os
import select
import stat
from collections.abc import Callable
from typing import Final

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from .paths import shown

_KINDS: Final[tuple[tuple[Callable[[int], bool], str], ...]] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a block device"),
)


def open_to_read(path: bytes) -> tuple[int, os.stat_result]:
    """A descriptor of the file at `path`, and what the file is. Links are followed.

    Raises OSError, and Problem for what is neither a regular file nor a character device that has something to read.
    """
    # Found first and opened then, through the descriptor: to open a FIFO wakes its writers, to open a device may do
    # anything.
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        found = os.fstat(place)
        _check_kind(found, path)
        fd = _reopen(place, path, found)
    finally:
        os.close(place)
    try:
        if stat.S_ISCHR(found.st_mode) and not _readable(fd):
            raise Problem(INTERNAL_ERROR, f"{shown(path)}: a device that has nothing to read now")
    except BaseException:
        os.close(fd)
        raise
    return fd, found


def _check_kind(found: os.stat_result, path: bytes) -> None:
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            raise Problem(INTERNAL_ERROR, f"{shown(path)}: {kind}, expected a file")


def _reopen(place: int, path: bytes, found: os.stat_result) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY
    if not stat.S_ISREG(found.st_mode):
        flags |= os.O_NONBLOCK  # a regular file may be leased: that is waited for
    try:
        return os.open(b"/proc/self/fd/%d" % place, flags)
    except FileNotFoundError:  # no /proc here
        fd = os.open(path, flags | os.O_NONBLOCK)
        try:
            _check_kind(os.fstat(fd), path)
        except BaseException:
            os.close(fd)
            raise
        return fd


def _readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
