"""A real bus, or a peer, behind a `dbus-json3` channel (docs/dbus.md)."""

from collections.abc import Awaitable, Mapping
from typing import Any

from anyio import CancelScope

from spanbridge.protocol.problems import INTERNAL_ERROR, NOT_FOUND, Problem

from ..base import Services
from .buses import Buses
from .calls import Calls
from .channel import Handler, Messages
from .connecting import connect
from .connection import Connection
from .errors import BusError
from .message import Message as BusMessage
from .opened import Opened
from .peer import Peers
from .place import Place
from .publishing import Publishing
from .signals import Signals
from .watches import Watches


class Outside:
    """One channel. What comes is held until it has its place on the bus."""

    def __init__(self, front: Messages, services: Services, opened: Opened) -> None:
        self._front = front
        self._services = services
        self._opened = opened
        self._connection: Connection | None = None
        self._place: Place | None = None
        self._parts: list[Any] = []
        self._signals: Signals | None = None
        self._publishing: Publishing | None = None
        self._scope = CancelScope()
        self._ready = False
        self._told: str | None = None  # the owner that the front end was told of
        self.kinds: Mapping[str, Handler] = {}
        services.tasks.start_soon(self._open)

    # The beginning

    async def _open(self) -> None:
        with self._scope:
            try:
                connection = await self._connect()
                if not self._front.open:  # it was closed in the very turn in which the bus had answered
                    self._let_go(connection)
                    return
                self._connection = connection
                await self._find_owner(connection, self._take_place(connection))
            except Problem as problem:
                self._front.close(problem)
            except Exception as error:  # noqa: BLE001 - a mistake of ours costs this channel alone
                told = self._front.mistake("open", error)
                self._front.close(Problem(INTERNAL_ERROR, told.message))

    async def _connect(self) -> Connection:
        opened = self._opened
        if opened.address is None:
            return await self._services.once(Buses).get(opened.bus, opened.group)
        is_bus = opened.name is not None
        return await connect(opened.address, self._services, name=opened.address, is_bus=is_bus)

    def _take_place(self, connection: Connection) -> Place:
        place = self._place = Place(
            self._front, self._services, connection, self._opened.name, self._owner_changed, connection.once(Peers)
        )
        calls, signals, watches, publishing = Calls(place), Signals(place), Watches(place), Publishing(place)
        self._parts = [calls, signals, watches, publishing]
        self._signals, self._publishing = signals, publishing
        self.kinds = {
            "call": calls.call,
            "add-match": signals.add,
            "remove-match": signals.remove,
            "watch": watches.watch,
            "unwatch": watches.unwatch,
            "meta": watches.meta,
            "publish": publishing.publish,
            "unpublish": publishing.unpublish,
            "signal": signals.emit,
            "reply": publishing.reply,
            "error": publishing.error,
        }
        connection.listeners[self] = None
        return place

    async def _find_owner(self, connection: Connection, place: Place) -> None:
        """Say `ready`, if there is somebody to speak with. Raises Problem."""
        name = self._opened.name
        owner = None
        if name is not None:
            place.peer(name)
            owner = await connection.owners.known(name) or await self._start(connection, name)
        self._ready = True
        if connection.is_bus:
            self._front.ready(unique_name=connection.unique_name)
        else:
            self._front.ready()
        if owner is not None:
            self._tell_owner(owner)
        self._front.begin()

    async def _start(self, connection: Connection, name: str) -> str:
        told = f"nobody has the name {name}"
        try:
            owner = await connection.owners.start(name)
        except BusError as error:
            owner, told = None, error.message
        if owner is None:
            self._front.tell({"owner": None})
            raise Problem(NOT_FOUND, f"{connection.name}: {told}")
        return owner

    # While it is there

    def _owner_changed(self, name: str, owner: str | None) -> None:
        if self._ready and name == self._opened.name and owner != self._told:
            self._tell_owner(owner)

    def _tell_owner(self, owner: str | None) -> None:
        self._told = owner
        self._front.tell({"owner": owner})

    def signalled(self, message: BusMessage, names: list[str]) -> Awaitable[None] | None:
        return self._signals.signalled(message, names) if self._signals is not None else None

    def hold(self) -> None:
        if self._connection is not None:
            self._connection.hold(self)

    def release(self) -> None:
        if self._connection is not None:
            self._connection.release(self)

    def too_long(self, payload: bytes, told: str) -> bool:
        return self._publishing is not None and self._publishing.too_long(payload, told)

    # The end

    def lost(self, problem: Problem) -> None:
        self._front.close(problem)

    def end(self) -> None:
        self._scope.cancel()
        connection = self._connection
        if connection is None:
            return
        connection.listeners.pop(self, None)
        connection.release(self)
        for part in self._parts:
            part.end()
        if self._place is not None:
            self._place.end()
        self._let_go(connection)

    def _let_go(self, connection: Connection) -> None:
        """It is used no more."""
        if self._opened.address is None:
            self._services.once(Buses).release(self._opened.bus, self._opened.group, connection)
        else:
            connection.close()
