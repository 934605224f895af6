"""Hearing of the end of child processes, which are not reaped by it.

A pidfd tells it. Where the kernel has none (before Linux 5.3), or does not let us have one (seccomp filters of older
container tools), SIGCHLD says that somebody has ended, and each child that is watched is asked.
"""

import asyncio
import errno
import os
import signal
from collections.abc import Callable
from typing import Final

_NO_PIDFD: Final = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EINVAL)


class Children:
    """The children of this process that are watched."""

    __slots__ = ("_by_signal", "_loop", "_pidfds")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pidfds: dict[int, int] = {}  # pid -> its pidfd
        self._by_signal: dict[int, Callable[[], None]] = {}

    def watch(self, pid: int, on_exit: Callable[[], None]) -> None:
        """Call `on_exit` once the child has ended. Raises OSError where no descriptor is left."""
        pidfd = open_pidfd(pid)
        if pidfd is not None:
            self._pidfds[pid] = pidfd
            self._loop.add_reader(pidfd, self._ended, pid, on_exit)
            return
        if not self._by_signal:
            self._loop.add_signal_handler(signal.SIGCHLD, self._look)
            signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)  # heeded_signals.py
        self._by_signal[pid] = on_exit
        self._loop.call_soon(self._look)  # it may have ended before the signal was heeded

    def forget(self, pid: int) -> None:
        """Watch it no more."""
        pidfd = self._pidfds.pop(pid, None)
        if pidfd is not None:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
        self._by_signal.pop(pid, None)

    def _ended(self, pid: int, on_exit: Callable[[], None]) -> None:
        self.forget(pid)
        on_exit()

    def _look(self) -> None:
        for pid, on_exit in list(self._by_signal.items()):
            if pid in self._by_signal and has_ended(pid):
                self._ended(pid, on_exit)


def open_pidfd(pid: int) -> int | None:
    """A pidfd; None where there is no such thing. Raises OSError: there is no such process, or no descriptor left."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _NO_PIDFD:
            return None
        raise


def has_ended(pid: int) -> bool:
    """Whether a child has. It is not reaped."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:  # somebody else has taken its status
        return True
