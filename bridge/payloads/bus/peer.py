"""One service as a connection knows it: who has its name, what its interfaces are, what its properties are."""

from typing import Protocol

from .cache import Cache
from .connection import Connection
from .descriptions import Descriptions


class Channel(Protocol):
    """Whoever uses a service."""

    def owner_changed(self, name: str, owner: str | None) -> None:
        """The name is another's now; None: nobody's."""


class Peers:
    """The services of one connection that channels use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._peers: dict[str | None, Peer] = {}

    def join(self, name: str | None, channel: Channel) -> "Peer":
        """The service of this name, which `channel` uses until it leaves. None: the peer without a bus itself."""
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = Peer(self._connection, name)
        peer.channels[channel] = None
        return peer

    def leave(self, name: str | None, channel: Channel) -> None:
        """Of one that has joined."""
        peer = self._peers[name]
        del peer.channels[channel]
        if not peer.channels:
            del self._peers[name]
            peer.end()


class Peer:
    """`cache`: the properties of its objects."""

    def __init__(self, connection: Connection, name: str | None) -> None:
        self._connection = connection
        self.name = name
        self.channels: dict[Channel, None] = {}
        self._owner: str | None = None
        context = connection.services.context
        most = context.limits.dbus_described_bytes
        self.descriptions = Descriptions(connection, name, context.log, context.loop.time, most)
        self.cache = Cache(connection, name, self.descriptions)
        connection.caches[name] = self.cache
        if name is not None:
            connection.owners.track(name, self._owner_changed)

    def _owner_changed(self, name: str, owner: str | None) -> None:
        if self._owner is not None:  # else whatever was asked meanwhile was the new one
            self.descriptions.forget()
        self._owner = owner
        for channel in list(self.channels):
            channel.owner_changed(name, owner)
        self.cache.owner_changed(owner)

    def end(self) -> None:
        self.cache.end()
        self._connection.caches.pop(self.name, None)
        if self.name is not None:
            self._connection.owners.untrack(self.name, self._owner_changed)
