"""Few bytes may ask for many: what is asked waits while the answers to what was asked before do.

The front end's queue stops its reader when it is full, but only between two chunks; one chunk holds thousands of calls.
"""

from collections import deque
from collections.abc import Callable

from anyio import CancelScope

from ..base import Services
from .limits import ANSWER_BYTES


class Full(Exception):
    """More is asked than may wait."""


class Pace:
    """The input of one channel, acted on at once while the front end takes the answers.

    `act` is given each piece of input in order: a control message with its command, or data with None.
    """

    def __init__(self, services: Services, act: Callable[[str | None, bytes], None]) -> None:
        self._services = services
        self._act = act
        self._answered = 0  # bytes, since the front end was last seen to have taken all
        self._waiting: deque[tuple[str | None, bytes]] = deque()
        self._waiting_bytes = 0
        self._running: CancelScope | None = None

    def put(self, command: str | None, data: bytes) -> None:
        """Act on a piece of input, or keep it. Raises Full."""
        if self._running is None:
            self._act(command, data)
            self._check()
            return
        self._waiting.append((command, data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes > self._services.context.limits.bus_backlog_bytes:
            raise Full

    def answered(self, size: int) -> None:
        """So many bytes were sent."""
        self._answered += size

    def end(self) -> None:
        """Act on nothing more."""
        self._waiting.clear()
        self._answered = 0
        if self._running is not None:
            self._running.cancel()

    def _check(self) -> None:
        if self._answered >= ANSWER_BYTES:
            self._running = CancelScope()
            self._services.tasks.start_soon(self._run, self._running)

    async def _run(self, scope: CancelScope) -> None:
        with scope:
            while self._answered >= ANSWER_BYTES:
                await self._services.front_drained()
                self._answered = 0
                while self._waiting and self._answered < ANSWER_BYTES:
                    command, data = self._waiting.popleft()
                    self._waiting_bytes -= len(data)
                    self._act(command, data)
        self._running = None
