"""Who may connect, and which connections are kept (docs/http.md, "Connections").

At most `http_connections` at a time, kept ones among them; whoever comes later waits in order. Requests of one name
share connections, `http_connections_per_name` at most: one that has answered cleanly serves the next, and is kept for
`http_kept_seconds`.
"""

from collections import deque
from typing import TYPE_CHECKING

import anyio
import msgspec

from spanbridge.protocol.problems import Problem

from ..base import Services
from ..connect.connect import connect, connect_at_once, in_time
from ..connect.tls import Tls
from ..served.jobs import Jobs
from .transport import Transport
from .where import Where

if TYPE_CHECKING:
    from asyncio import TimerHandle

    from ..connect.handshake import TlsContext


class Group(msgspec.Struct, eq=False):
    """The connections of one name."""

    name: str
    where: Where
    count: int = 0  # connections, idle ones and those that are coming up among them
    waiting: int = 0
    timer: "TimerHandle | None" = None  # until it is forgotten


class Connection(msgspec.Struct, eq=False):
    """One connection to a server."""

    transport: Transport
    group: Group | None
    served: bool = False  # whether a request was answered on it

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that nobody asked for: neither the end, nor anything else."""
        try:
            return self.transport.read(1) is None
        except (OSError, Problem):
            return False


class _Waiter(msgspec.Struct, eq=False):
    """Somebody who is not allowed to connect yet."""

    group: Group | None
    allowed: anyio.Event
    fresh: bool  # not one that was kept
    connection: Connection | None = None  # that was kept


class Connections:
    """All of one session: `services.once(Connections)`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        limits = services.context.limits
        self._most = limits.http_connections
        self._most_of_one_name = limits.http_connections_per_name
        self._most_kept = limits.http_kept
        self._kept_seconds = limits.http_kept_seconds
        self._count = 0
        self._groups: dict[str, Group] = {}
        self._idle: dict[Connection, TimerHandle] = {}  # oldest first
        self._waiting: deque[_Waiter] = deque()
        self._system: TlsContext | None = None  # that trusts the authorities of the system

    def known(self, name: str) -> Where | None:
        """Where the connections of that name go; None: nobody has said so."""
        group = self._groups.get(name)
        return None if group is None else group.where

    def get_now(self, where: Where, name: str | None) -> Connection | None:
        """A connection, if that takes no time. Raises Problem as `connect` does. `release` is due."""
        group = self._group(where, name)
        if self._waiting:
            return None
        kept = self._kept(group)
        if kept is not None:
            return kept
        if where.target.unix is None or where.tls is not None or not self._has_room(group):
            return None
        sock = connect_at_once(where.target)
        if sock is None:
            return None
        self._add(group)
        return Connection(Transport(sock, self._services.context.poller), group)

    async def get(self, where: Where, name: str | None, *, fresh: bool = False) -> Connection:
        """A connection, kept or new; `fresh`: a new one. Raises Problem. `release` is due."""
        group = self._group(where, name)
        kept = await self._allowed(group, fresh)
        if kept is not None:
            return kept
        try:
            return Connection(await self._connect(where), group)
        except BaseException:
            self._remove(group)
            raise

    async def _allowed(self, group: Group | None, fresh: bool) -> Connection | None:
        """Wait for leave to connect; or for a kept connection, unless it is to be `fresh`."""
        waiter = _Waiter(group, anyio.Event(), fresh)
        self._waiting.append(waiter)
        if group is not None:
            group.waiting += 1
        if group is None or group.waiting == 1:  # else it cannot go on before those who wait already
            self._settle()
        if not waiter.allowed.is_set():
            self._tell_of_limit(group)
        try:
            await waiter.allowed.wait()
        except BaseException:
            if not waiter.allowed.is_set():
                self._waiting.remove(waiter)
                if group is not None:
                    group.waiting -= 1
                    self._rest(group)
            elif waiter.connection is not None:
                self.release(waiter.connection, keep=True)
            else:
                self._remove(group)
            raise
        return waiter.connection

    def _tell_of_limit(self, group: Group | None) -> None:
        """Which one it is that somebody waits for; once for all who wait together."""
        log = self._services.context.log
        if self._count >= self._most:
            if len(self._waiting) == 1:
                log.limit("http_connections", self._most)
        elif group is not None and group.count >= self._most_of_one_name and group.waiting == 1:
            log.limit("http_connections_per_name", self._most_of_one_name, connection=group.name)

    async def _connect(self, where: Where) -> Transport:
        services = self._services
        if where.tls is None:
            sock = await connect(where.target, services)
            return Transport(sock, services.context.poller)
        from ..connect.handshake import handshake

        with in_time(where.target, services):
            context = await self._context(where.tls)
            sock = await connect(where.target, services)
            return Transport(await handshake(sock, context, where.target, services), services.context.poller)

    async def _context(self, tls: Tls) -> "TlsContext":
        from ..connect.certificates import context_of
        from ..connect.handshake import TlsContext

        of_system = tls == Tls()
        if of_system and self._system is not None:
            return self._system
        context = TlsContext(await self._services.once(Jobs).run(context_of, tls))
        if of_system:
            self._system = context
            self._services.context.loop.call_later(self._kept_seconds, self._forget_system)
        return context

    def _forget_system(self) -> None:
        self._system = None

    def release(self, connection: Connection, *, keep: bool) -> None:
        """It is used no more. `keep`: it may serve another request."""
        group = connection.group
        if keep and group is not None:
            connection.transport.forget()
            connection.served = True
            self._keep(connection)
        else:
            connection.transport.close()
            self._remove(group)

    # Kept connections

    def _keep(self, connection: Connection) -> None:
        loop = self._services.context.loop
        self._idle[connection] = loop.call_later(self._kept_seconds, self._drop, connection)
        connection.transport.watch(lambda: self._look(connection))
        self._settle()
        if len(self._idle) > self._most_kept:
            self._drop(next(iter(self._idle)))

    def _kept(self, group: Group | None) -> Connection | None:
        """A kept connection of that name that the server has not closed: the one used last."""
        if group is None:
            return None
        for connection in [each for each in reversed(self._idle) if each.group is group]:
            if connection.quiet:
                self._idle.pop(connection).cancel()
                connection.transport.watch(None)
                return connection
            self._discard(connection)
        return None

    def _look(self, connection: Connection) -> None:
        """Something has come on an idle connection: its end, or what nobody asked for."""
        if not connection.quiet:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._discard(connection)
        self._settle()

    def _discard(self, connection: Connection) -> None:
        """Close an idle connection; whoever waits is looked at by the caller."""
        self._idle.pop(connection).cancel()
        connection.transport.close()
        self._subtract(connection.group)

    # Counting

    def _group(self, where: Where, name: str | None) -> Group | None:
        if name is None:
            return None
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(name, where)
            self._rest(group)
        return group

    def _rest(self, group: Group) -> None:
        """Forget a name that nobody uses, after a while."""
        if group.timer is not None:
            group.timer.cancel()
        group.timer = self._services.context.loop.call_later(self._kept_seconds, self._forget, group)

    def _forget(self, group: Group) -> None:
        group.timer = None
        if not group.count and not group.waiting:
            del self._groups[group.name]

    def _has_room(self, group: Group | None) -> bool:
        if group is not None and group.count >= self._most_of_one_name:
            idle = next((each for each in self._idle if each.group is group), None)
            if idle is None:
                return False
            self._discard(idle)
        if self._count >= self._most and self._idle:
            self._discard(next(iter(self._idle)))
        return self._count < self._most

    def _add(self, group: Group | None) -> None:
        self._count += 1
        if group is not None:
            group.count += 1

    def _remove(self, group: Group | None) -> None:
        """One connection less."""
        self._subtract(group)
        self._settle()

    def _subtract(self, group: Group | None) -> None:
        self._count -= 1
        if group is not None:
            group.count -= 1
            if not group.count:
                self._rest(group)

    def _settle(self) -> None:
        """Let those go on who wait, in order. One whose name has all that it may have holds up nobody else."""
        full: set[Group | None] = set()  # looked at once: thousands may wait for one name
        for waiter in list(self._waiting):
            if waiter.group in full:
                continue
            kept = None if waiter.fresh else self._kept(waiter.group)
            if kept is None and not self._has_room(waiter.group):
                if self._count >= self._most and not self._idle:
                    return
                full.add(waiter.group)
                continue
            waiter.connection = kept
            if kept is None:
                self._add(waiter.group)
            self._waiting.remove(waiter)
            if waiter.group is not None:
                waiter.group.waiting -= 1
            waiter.allowed.set()
