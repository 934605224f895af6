"""What one peer says is heeded in its order, even where heeding it takes time; what others say goes on meanwhile."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from anyio import CancelScope
from anyio.abc import TaskGroup

from ...wire.context import Context
from .message import Message
from .turns import Turn

Job = Callable[..., Awaitable[None] | None]
"""Heeds one message: at once, or by what it returns."""

_BESIDE_BODY: Final = 1_000
"""Bytes that a message takes beside its body, about."""


class Source(Protocol):
    """Where the messages come from."""

    def hold(self, who: object, /) -> None:
        """Read no more until `release`."""

    def release(self, who: object, /) -> None:
        """Harmless for who does not hold."""


class _Lane:
    """The messages of one peer that wait."""

    __slots__ = ("bytes", "jobs", "scope", "told")

    def __init__(self) -> None:
        self.jobs: deque[tuple[Job, tuple[Any, ...], int]] = deque()
        self.bytes = 0
        self.scope = CancelScope()  # of the one that they wait for
        self.told: set[str] = set()  # limits that were hit


class Lanes:
    """A lane for each peer that is waited for. Where `dbus_waiting` messages of one peer wait for an earlier one, that
    is given up: it waits for an answer that the peer may never give. So is the one that most bytes wait for, where more
    than `dbus_waiting_bytes` of D-Bus messages wait in all lanes; and until less do, `source` is read no more: what is
    at work, and waits for nobody, is not given up. `fail` is given what a job raises, `on_given_up` the arguments of
    one that is given up."""

    def __init__(
        self,
        tasks: TaskGroup,
        context: Context,
        fail: Callable[[Exception], None],
        on_given_up: Callable[..., object] = lambda *args: None,
        source: Source | None = None,
    ) -> None:
        self._tasks = tasks
        self._time = context.loop.time
        self._log = context.log
        self._most = context.limits.dbus_waiting
        self._most_bytes = context.limits.dbus_waiting_bytes
        self._fail = fail
        self._on_given_up = on_given_up
        self._source = source
        self._lanes: dict[str | None, _Lane] = {}
        self._bytes = 0

    def put(self, peer: str | None, job: Job, *args: Any) -> None:
        """Do `job(*args)` once all earlier jobs of this peer are done: now, if that is so."""
        lane = self._lanes.get(peer)
        if lane is None:
            waiting = self._do(job, args)
            if waiting is not None:
                lane = self._lanes[peer] = _Lane()
                self._tasks.start_soon(self._go_on, peer, lane, waiting, args)
            return
        size = sum(_BESIDE_BODY + len(each.body) + len(each.path or "") for each in args if isinstance(each, Message))
        lane.jobs.append((job, args, size))
        self._count(lane, size)
        self._look(peer, lane)

    def _count(self, lane: _Lane, more: int) -> None:
        lane.bytes += more
        self._bytes += more

    def _look(self, peer: str | None, lane: _Lane) -> None:
        """Whether too much waits, now that more or less does in this lane."""
        if len(lane.jobs) >= self._most:
            self._give_up(peer, lane, "dbus_waiting", self._most)
        if self._bytes > self._most_bytes:
            self._hold()
        elif self._source is not None:
            self._source.release(self)

    def _hold(self) -> None:
        if self._source is not None:
            self._source.hold(self)
        peer, lane = max(self._lanes.items(), key=lambda item: item[1].bytes)
        self._give_up(peer, lane, "dbus_waiting_bytes", self._most_bytes)

    def _give_up(self, peer: str | None, lane: _Lane, limit: str, most: int) -> None:
        if limit not in lane.told:
            lane.told.add(limit)
            self._log.limit(limit, most, peer=peer)
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
                job, args, size = lane.jobs.popleft()
                lane.scope = CancelScope()  # a job may be given up before it is waited for
                self._count(lane, -size)
                self._look(peer, lane)
                waiting = self._do(job, args)
        finally:
            self._lanes.pop(peer, None)
            self._count(lane, -lane.bytes)

    async def _wait(self, lane: _Lane, waiting: Awaitable[None], args: tuple[Any, ...]) -> None:
        with lane.scope as scope:
            try:
                await waiting
            except Exception as error:  # noqa: BLE001 - as in _do
                self._fail(error)
        if scope.cancelled_caught:
            self._on_given_up(*args)
