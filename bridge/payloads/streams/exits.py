"""Being told that a child has ended, without taking its status: until that is done nobody else gets its number."""

import os
import threading
from collections.abc import Callable
from typing import Final

from ...wire.context import Context

NOT_REAPED: Final = os.WEXITED | os.WNOWAIT


class Exit:
    """Calls `on_exit` once when the process `pid`, a child of ours, has ended; `close` before that: never."""

    __slots__ = ("_context", "_on_exit", "_pidfd", "pid")

    def __init__(self, context: Context, pid: int, on_exit: Callable[[], None]) -> None:
        self._context = context
        self._on_exit: Callable[[], None] | None = on_exit
        self.pid = pid
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError:  # an old kernel, a filter of system calls, no descriptor left: a thread waits instead
            self._pidfd = -1
            threading.Thread(target=self._wait, name=f"exit of {pid}", daemon=True).start()
        else:
            context.poller.watch_read(self._pidfd, self._ended)

    def _wait(self) -> None:
        os.waitid(os.P_PID, self.pid, NOT_REAPED)
        try:
            self._context.loop.call_soon_threadsafe(self._ended)
        except RuntimeError:  # the loop is closed: the session is over
            return

    def _ended(self) -> None:
        on_exit = self._on_exit
        self.close()
        if on_exit is not None:
            on_exit()

    def close(self) -> None:
        """Watch no more."""
        self._on_exit = None
        if self._pidfd >= 0:
            self._context.poller.watch_read(self._pidfd, None)
            os.close(self._pidfd)
            self._pidfd = -1
