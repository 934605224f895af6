"""The connections of a session: channels of one bus and group share one."""

from collections.abc import Callable

import anyio

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..base import Services
from .addresses import address_of
from .connecting import connect
from .connection import Connection

Key = tuple[str, str | None]


class _Shared:
    """One connection, on its way or there."""

    def __init__(self) -> None:
        self.tried = anyio.Event()
        self.outcome: Connection | Problem | None = None
        self.users = 0
        self.forget: Callable[[], object] | None = None  # cancels the end that is due


class Buses:
    """One for a session (Services.once)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._shared: dict[Key, _Shared] = {}

    async def get(self, bus: str, group: str | None) -> Connection:
        """The connection of these channels, made if there is none. `release` is due. Raises Problem."""
        key = (bus, group)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared()
            # A task of its own: whoever asked first may go, and others wait for it by then.
            self._services.tasks.start_soon(self._make, key, shared)
        shared.users += 1
        self._keep(shared)
        try:
            await shared.tried.wait()
        except BaseException:
            self._leave(key, shared)
            raise
        if isinstance(shared.outcome, Connection) and shared.outcome.problem is None:
            return shared.outcome
        raise shared.outcome if isinstance(shared.outcome, Problem) else shared.outcome.problem  # type: ignore[union-attr,misc]

    def release(self, bus: str, group: str | None, connection: Connection) -> None:
        """One channel less."""
        key = (bus, group)
        shared = self._shared.get(key)
        if shared is not None and shared.outcome is connection:
            self._leave(key, shared)

    async def _make(self, key: Key, shared: _Shared) -> None:
        bus, _ = key
        try:
            address = address_of(bus, self._services.environ)
            connection = await connect(address, self._services, name=f"the {bus} bus", is_bus=True)
        except Problem as problem:
            shared.outcome = problem
            self._forget(key, shared)
        except Exception as error:  # noqa: BLE001 - a mistake of ours costs these channels alone
            self._services.context.log.unforeseen("dbus-json3", error)
            shared.outcome = Problem(INTERNAL_ERROR, f"the {bus} bus: a mistake within the bridge")
            self._forget(key, shared)
        else:
            shared.outcome = connection
            connection.on_lost = lambda: self._forget(key, shared)
            if not shared.users:  # whoever asked has gone, while it was made
                self._linger(shared)
        shared.tried.set()

    def _keep(self, shared: _Shared) -> None:
        if shared.forget is not None:
            shared.forget()
            shared.forget = None

    def _leave(self, key: Key, shared: _Shared) -> None:
        shared.users -= 1
        if not shared.users and shared.outcome is not None:
            self._linger(shared)

    def _linger(self, shared: _Shared) -> None:
        """It ends, unless somebody comes."""
        context = self._services.context
        shared.forget = context.loop.call_later(context.limits.dbus_linger_seconds, self._end, shared).cancel

    def _end(self, shared: _Shared) -> None:
        if isinstance(shared.outcome, Connection):
            shared.outcome.close()

    def _forget(self, key: Key, shared: _Shared) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]
