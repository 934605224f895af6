"""A new pseudoterminal, and a program in it."""

import errno
import fcntl
import os
import struct
import termios
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..served.options import Options
from .environment import candidates
from .launch import Command, Running, close_all, starting

_CLONE_FS: Final = 0x200
_SIGNALS: Final = [number for number in range(1, 65) if number not in (9, 19, 32, 33)]  # those that can be set
_MOST: Final = 65_535


class Size(msgspec.Struct, frozen=True):
    """Of a terminal, in characters."""

    rows: int = 24
    cols: int = 80


def read_size(options: Options) -> Size:
    """What `window` says; each number is clamped to what a terminal can be. Raises Problem (`protocol-error`)."""
    window = options.members("window", None)
    if window is None:
        return Size()
    rows, cols = window.integer("rows", Size().rows), window.integer("cols", Size().cols)
    return Size(min(max(rows, 0), _MOST), min(max(cols, 0), _MOST))


def set_size(master: int, size: Size) -> None:
    """The foreground group gets SIGWINCH."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.cols, 0, 0))


def start_in_terminal(command: Command, size: Size) -> Running:
    """Start it in a session of its own, whose controlling terminal is a new one. Raises Problem."""
    opened: list[int] = []
    try:
        opened += os.openpty()
        master, slave = opened
        opened.append(os.dup(master))
        set_size(master, size)
        name = os.ttyname(slave)
        pid = starting(command, lambda argv: _spawn(command, argv, name))
    except OSError as error:
        close_all(opened)
        raise Problem(INTERNAL_ERROR, f"{command.name}: no terminal: {error.strerror}") from None
    except BaseException:
        close_all(opened)
        raise
    os.close(slave)
    os.set_blocking(master, False)
    return Running(pid=pid, stdin=opened[2], stdout=master, terminal=True)


def _spawn(command: Command, argv: list[bytes], terminal: str) -> int:
    """Raises OSError."""
    # A session leader without a terminal gets the one that it opens first.
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, 0, 2),
    ]
    failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    def spawn() -> int:
        nonlocal failure
        for path in candidates(argv[0], command.environ):
            try:
                return os.posix_spawn(
                    path,
                    argv,
                    command.environ,
                    file_actions=actions,
                    setsid=True,
                    setsigmask=[],
                    setsigdef=_SIGNALS,
                )
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    failure = error
                    if error.errno != errno.EACCES:
                        break
        raise failure

    return spawn() if command.directory is None else _in_directory(command.directory, spawn)


def _in_directory(directory: bytes, spawn: Callable[[], int]) -> int:
    """Call `spawn` with another working directory, which is the calling thread's alone: posix_spawn(3) knows none, and
    all others must find theirs unchanged. Raises OSError."""
    outcome: list[int | OSError] = []

    def run() -> None:
        import ctypes

        try:
            if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_FS) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            os.chdir(directory)
            outcome.append(spawn())
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=run, name="start in a directory")
    try:
        thread.start()
    except RuntimeError:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
    thread.join()
    (found,) = outcome
    if isinstance(found, OSError):
        raise found
    return found
