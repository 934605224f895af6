"""A channel's way to its connection: now, where that takes no time, or in a task that ends with the channel."""

from collections.abc import Callable

from anyio import CancelScope

from ..base import Services
from ..served.channel import Channel
from .connections import Connection, Connections
from .where import Where


class Dial:
    """`connected` gets the connection, and releases it at last."""

    __slots__ = ("_channel", "_connected", "_connections", "_scope", "_services")

    def __init__(self, channel: Channel, services: Services, connected: Callable[[Connection], None]) -> None:
        self._channel = channel
        self._services = services
        self._connections = services.once(Connections)
        self._connected = connected
        self._scope: CancelScope | None = None  # of the task, while it runs

    def begin(self, where: Where, name: str | None) -> None:
        """Connect. Raises Problem if it is known now that this cannot be; the channel is closed with it if later."""
        connection = self._connections.get_now(where, name)
        if connection is not None:
            self._connected(connection)
        else:
            self.begin_later(where, name)

    def begin_later(self, where: Where, name: str | None, *, fresh: bool = False) -> None:
        """The same, but in no case before the next turn. `fresh`: the connection is to be a new one."""
        self._scope = CancelScope()
        self._services.tasks.start_soon(self._wait, self._scope, where, name, fresh)

    async def _wait(self, scope: CancelScope, where: Where, name: str | None, fresh: bool) -> None:
        with scope:
            try:
                connection = await self._connections.get(where, name, fresh=fresh)
            except Exception as error:  # noqa: BLE001 - `guard` tells a Problem from a mistake of ours
                self._channel.guard(_raise, error)
                return
            self._scope = None
            if self._channel.open:
                self._channel.guard(self._connected, connection)
            else:
                self._connections.release(connection, keep=False)

    def cancel(self) -> None:
        """The channel is over. Harmless where nothing is under way."""
        self._connected = _nobody  # nothing must lead back to who made this: it is freed at once
        if self._scope is not None:
            self._scope.cancel()


def _nobody(connection: Connection) -> None:
    raise AssertionError("a connection for a channel that is over")


def _raise(error: Exception) -> None:
    raise error
