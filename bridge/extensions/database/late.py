"""Interrupts statements that take too long, one thread for all databases.

SQLite itself looks at the clock between thousands of steps only, and each may take long: one makes 16 MiB of a text.
"""

import contextlib
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Final

_AGAIN_SECONDS: Final = 0.25  # one that goes on after it was interrupted is in the middle of a step


class Watch:
    """Of all databases of a host. Its thread begins with the first statement, and sleeps while nothing runs."""

    def __init__(self) -> None:
        self.looks_at = math.inf
        """Who is late only after that need not wake it."""
        self._all: tuple[Deadline, ...] = ()
        self._changing = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._over = False

    def add(self, deadline: "Deadline") -> None:
        with self._changing:
            self._all = (*self._all, deadline)

    def remove(self, deadline: "Deadline") -> None:
        with self._changing:
            self._all = tuple(each for each in self._all if each is not deadline)

    def wake(self) -> None:
        with self._changing:
            if self._thread is None and not self._over:
                self._thread = threading.Thread(target=self._run, name="late", daemon=True)
                self._thread.start()
        self._woken.set()

    def close(self) -> None:
        """Its thread ends; what runs on is interrupted no more."""
        with self._changing:
            self._over = True
            thread = self._thread
        self._woken.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._over:
            # In this order: who begins after the look finds that it must be woken.
            self._woken.clear()
            self.looks_at = math.inf
            first = min((at for each in self._all if (at := each.at)), default=math.inf)
            now = time.monotonic()
            if first <= now:
                self._interrupt()
                first = now + _AGAIN_SECONDS
            self.looks_at = first
            if not self._over:
                self._woken.wait(None if first == math.inf else first - now)

    def _interrupt(self) -> None:
        for each in self._all:
            if each.is_past():
                with contextlib.suppress(sqlite3.ProgrammingError):  # it was closed just now
                    each.interrupt()


class Deadline:
    """When the statement of one database that runs now is late; 0: none runs, or it may take its time."""

    __slots__ = ("_watch", "at", "interrupt")

    def __init__(self, watch: Watch, interrupt: Callable[[], None]) -> None:
        """`interrupt`: from any thread."""
        self.at = 0.0
        self.interrupt = interrupt
        self._watch = watch
        watch.add(self)

    def set(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds
        if self.at < self._watch.looks_at:
            self._watch.wake()

    def is_past(self) -> bool:
        return self.at != 0.0 and time.monotonic() > self.at

    def close(self) -> None:
        self._watch.remove(self)
