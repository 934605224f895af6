"""Where a channel stands on a bus: what its parts have in common."""

from collections.abc import Callable
from typing import Any, Protocol

import anyio

from spanbridge.manifests.member import describe

from ..base import Services
from .channel import Message, Messages, unclear
from .connection import Connection
from .descriptions import Descriptions
from .descriptors import Descriptors
from .matches import Watch
from .message import Message as BusMessage
from .meta import Metas
from .names import is_bus_name
from .slices import Encode, encoder, without_descriptors
from .trees import Watcher
from .unmarshal import Handle


class Watched(Protocol):
    """The properties of a peer's objects: cache.Cache."""

    async def watch(self, watch: Watch, watcher: Watcher, /) -> None: ...
    def unwatch(self, watch: Watch, watcher: Watcher, /) -> None: ...


class Peer(Protocol):
    """One service on the bus: peer.Peer."""

    @property
    def descriptions(self) -> Descriptions: ...
    @property
    def cache(self) -> Watched: ...


class Peers(Protocol):
    """Those of a connection that channels use: peer.Peers."""

    def join(self, name: str | None, channel: "Place", /) -> Peer: ...
    def leave(self, name: str | None, channel: "Place", /) -> None: ...


class Place:
    """`name`: the peer that is meant where none is named. `metas`: what the front end has said of interfaces.
    `watching`: what is set up at the moment, by name. `on_owner` is told of the peers that are used."""

    def __init__(
        self,
        front: Messages,
        services: Services,
        connection: Connection,
        name: str | None,
        on_owner: Callable[[str, str | None], None],
        peers: Peers,
    ) -> None:
        self._on_owner = on_owner
        self.front = front
        self.services = services
        self.connection = connection
        self.name = name
        self.metas = Metas(services.context.limits.dbus_described_bytes)
        self.watching: dict[str | None, list[anyio.Event]] = {}
        self._peers = peers
        self._used: dict[str | None, Peer] = {}

    def name_of(self, kind: str, given: Any) -> str | None:
        """Who is meant in a message of this kind; None: the peer without a bus. Raises Problem."""
        if given is not None and not (isinstance(given, str) and is_bus_name(given)):
            raise unclear(f'"name" of {kind}: expected the name of a peer, found {describe(given)}')
        if not self.connection.is_bus:
            return None
        name = given if given is not None else self.name
        if name is None:
            raise unclear(f'"name" of {kind}: expected one, since the open has none')
        return name

    def named(self, message: Message, name: str | None) -> Message:
        """A message about this peer, which is named unless it is the open's."""
        return message if name in (None, self.name) else {**message, "name": name}

    def peer(self, name: str | None) -> Peer:
        """The peer, which the channel uses until its end."""
        if name not in self._used:
            self._used[name] = self._peers.join(name, self)
        return self._used[name]

    def owner_changed(self, name: str, owner: str | None) -> None:
        """Of a peer that is used (peer.Channel)."""
        self._on_owner(name, owner)

    def encoder(self, message: BusMessage) -> Encode:
        """Makes JSON text of the message's values; its descriptors are offered to the channel."""
        return encoder(lambda handle: self._offer(message, handle)) if message.fds else without_descriptors

    def _offer(self, message: BusMessage, handle: Handle) -> Any:
        if handle.index >= len(message.fds) or not self.front.open:  # a large message may be told on to nobody
            return None
        ident = self.services.once(Descriptors).offer(self.front, message.fds[handle.index])
        return None if ident is None else {"payload": "stream", "internal": ident}

    def end(self) -> None:
        self.services.once(Descriptors).close(self.front)
        for name in self._used:
            self._peers.leave(name, self)
