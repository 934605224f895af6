"""A body that is read in threads, a few pieces at a time: its file may lie where nobody answers (served/jobs.py)."""

import threading
from collections import deque
from itertools import islice
from typing import Final

from ..served.jobs import Jobs, aside
from .bodies import Body

_PIECES: Final = 4  # read at a time: to ask a thread for each would take as long as to read it


class Reading:
    """`begin` reads the first of it; whoever did so calls `close` at last. Each piece is fit for one message, or empty.

    Both `begin` and `next` raise what bodies.py says.
    """

    def __init__(self, jobs: Jobs | None, body: Body) -> None:
        """`jobs`: None where it waits for nobody."""
        self._jobs = jobs
        self._rest = body()
        self._pieces: deque[bytes] = deque()
        self._error: Exception | None = None  # behind these pieces
        self._over = False  # nothing comes behind them
        self._lock = threading.Lock()  # between the thread that reads and the loop that closes
        self._busy = False
        self._closed = False

    async def begin(self) -> None:
        try:
            await self._read_on()
            if self._error is not None and not self._pieces:
                raise self._error
        except BaseException:
            self.close()
            raise

    async def next(self) -> bytes | None:
        """The next piece; None: that was all."""
        if not self._pieces and self._error is None and not self._over:
            await self._read_on()
        if self._pieces:
            return self._pieces.popleft()
        if self._error is not None:
            raise self._error
        return None

    async def _read_on(self) -> None:
        pieces, self._error = self._read() if self._jobs is None else await self._jobs.run(self._read)
        self._over = len(pieces) < _PIECES
        self._pieces.extend(pieces)

    def _read(self) -> tuple[list[bytes], Exception | None]:
        with self._lock:
            if self._closed:
                return [], None
            self._busy = True
        pieces: list[bytes] = []
        try:
            for piece in islice(self._rest, _PIECES):
                pieces.append(piece)  # noqa: PERF402 - what came before an error counts
        except Exception as error:  # noqa: BLE001 - it is raised where it comes
            return pieces, error
        finally:
            self._stop_reading()
        return pieces, None

    def _stop_reading(self) -> None:
        with self._lock:
            self._busy = False
            closed = self._closed
        if closed:
            self._rest.close()

    def close(self) -> None:
        """While a thread reads, that closes it. Harmless a second time."""
        with self._lock:
            closed, self._closed = self._closed, True
            if closed or self._busy:
                return
        if self._jobs is None or self._over:
            self._rest.close()
        else:
            aside(self._rest.close)
