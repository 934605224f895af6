"""Descriptors that a thread may be using while somebody else wants them closed."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from spanbridge.protocol.problems import Problem

from ..base import Services
from ..served.jobs import Jobs, aside


class Shared:
    """`close` is called once, after `end`, by whoever is the last to use it: never under the hands of a thread."""

    __slots__ = ("_close", "_closing", "_gone", "_lock", "_on_gone", "_over", "_users")

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._lock = threading.Lock()
        self._users = 0
        self._over = False
        self._closing = False
        self._gone = False
        self._on_gone: Callable[[], None] | None = None

    @property
    def over(self) -> bool:
        """Whether nobody wants it any more."""
        return self._over

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """Within this it stays open. Raises BrokenPipeError if it is over."""
        with self._lock:
            if self._over:
                raise BrokenPipeError
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
            self._close_if_last()

    def end(self) -> None:
        """Close it as soon as nobody uses it. Blocks where a file system does: for a thread. Harmless a second time."""
        with self._lock:
            self._over = True
        self._close_if_last()

    def tell_when_gone(self, on_gone: Callable[[], None]) -> bool:
        """Have `on_gone` called, in a thread, once it is closed. False: it is already."""
        with self._lock:
            if not self._gone:
                self._on_gone = on_gone
            return not self._gone

    def _close_if_last(self) -> None:
        with self._lock:
            last = self._over and not self._users and not self._closing
            self._closing = self._closing or last
        if last:
            with contextlib.suppress(OSError):  # what it says comes too late: the descriptor is gone all the same
                self._close()
            with self._lock:
                self._gone = True
                on_gone, self._on_gone = self._on_gone, None
            if on_gone is not None:
                on_gone()


def end_later(services: Services, shared: Shared) -> None:
    """Have a thread call `shared.end`, whatever becomes of the channel meanwhile."""
    services.tasks.start_soon(_end, services.once(Jobs), shared)


async def _end(jobs: Jobs, shared: Shared) -> None:
    try:
        await jobs.run(shared.end)
    except Problem:  # file_threads are in use; what is held must go all the same
        aside(shared.end)
