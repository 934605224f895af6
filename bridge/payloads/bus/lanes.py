"""What one peer says is heeded in its order, even where heeding it takes time; what others say goes on meanwhile."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from anyio import CancelScope
from anyio.abc import TaskGroup

from ...wire.context import Context
from .turns import Turn

Job = Callable[..., Awaitable[None] | None]
"""Heeds one message: at once, or by what it returns."""


class _Lane:
    """The messages of one peer that wait."""

    __slots__ = ("full", "jobs", "scope")

    def __init__(self) -> None:
        self.jobs: deque[tuple[Job, tuple[Any, ...]]] = deque()
        self.scope = CancelScope()  # of the one that they wait for
        self.full = False  # or was


class Lanes:
    """A lane for each peer that is waited for. Where `dbus_waiting` messages of one peer wait for an earlier one, that
    is given up: it waits for an answer that the peer may never give. `fail` is given what a job raises, `on_given_up`
    the arguments of one that is given up."""

    def __init__(
        self,
        tasks: TaskGroup,
        context: Context,
        fail: Callable[[Exception], None],
        on_given_up: Callable[..., object] = lambda *args: None,
    ) -> None:
        self._tasks = tasks
        self._time = context.loop.time
        self._log = context.log
        self._most = context.limits.dbus_waiting
        self._fail = fail
        self._on_given_up = on_given_up
        self._lanes: dict[str | None, _Lane] = {}

    def put(self, peer: str | None, job: Job, *args: Any) -> None:
        """Do `job(*args)` once all earlier jobs of this peer are done: now, if that is so."""
        lane = self._lanes.get(peer)
        if lane is None:
            waiting = self._do(job, args)
            if waiting is not None:
                lane = self._lanes[peer] = _Lane()
                self._tasks.start_soon(self._go_on, peer, lane, waiting, args)
            return
        lane.jobs.append((job, args))
        if len(lane.jobs) >= self._most:
            if not lane.full:
                lane.full = True
                self._log.limit("dbus_waiting", self._most, peer=peer)
            lane.scope.cancel()

    def _do(self, job: Job, args: tuple[Any, ...]) -> Awaitable[None] | None:
        try:
            return job(*args)
        except Exception as error:  # noqa: BLE001 - whoever made the lanes decides
            self._fail(error)
            return None

    async def _go_on(
        self, peer: str | None, lane: _Lane, waiting: Awaitable[None] | None, args: tuple[Any, ...]
    ) -> None:
        turn = Turn(self._time)
        try:
            while True:
                if waiting is not None:
                    await self._wait(lane, waiting, args)
                if not lane.jobs:
                    return
                await turn.pause()
                job, args = lane.jobs.popleft()
                lane.scope = CancelScope()  # a job may be given up before it is waited for
                if len(lane.jobs) >= self._most:
                    lane.scope.cancel()
                waiting = self._do(job, args)
        finally:
            self._lanes.pop(peer, None)

    async def _wait(self, lane: _Lane, waiting: Awaitable[None], args: tuple[Any, ...]) -> None:
        with lane.scope as scope:
            try:
                await waiting
            except Exception as error:  # noqa: BLE001 - as in _do
                self._fail(error)
        if scope.cancelled_caught:
            self._on_given_up(*args)
