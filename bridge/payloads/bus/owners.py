"""Who has which name on a bus, told as it changes."""

from collections.abc import Callable
from typing import Any, Final, Protocol

import anyio
import anyio.lowlevel

from .errors import BusError
from .match_rule import BUS_NAME, BUS_PATH, signals_of
from .message import Message, call

Changed = Callable[[str, str | None], None]
"""Is called with the name and its new owner, a unique name; None if nobody has it."""

_NOBODY: Final = "org.freedesktop.DBus.Error.NameHasNoOwner"


class Rules(Protocol):
    """What the bus is to send (rules.py)."""

    def add(self, rule: str, refused: Callable[[BusError], None], /) -> None: ...
    def remove(self, rule: str, refused: Callable[[BusError], None], /) -> None: ...


class Line(Protocol):
    """A connection, as far as names need it."""

    @property
    def rules(self) -> Rules: ...
    def call(self, message: Message, answered: Callable[[Message], None]) -> int: ...
    async def ask(self, message: Message) -> Message: ...
    async def ask_for(self, signature: str, message: Message) -> list[Any]: ...
    def fail(self, reason: str) -> None: ...


class _Name:
    """One name that somebody wants to know of."""

    def __init__(self) -> None:
        self.owner: str | None = None
        self.known = anyio.Event()
        self.users: list[Changed] = []


class Owners:
    """The names of one connection that are tracked."""

    def __init__(self, connection: Line) -> None:
        self._connection = connection
        self._names: dict[str, _Name] = {}
        self._of_peer: dict[str, list[str]] = {}

    def track(self, name: str, changed: Changed) -> None:
        """Have `changed` called whenever the owner is another, and, if it is not known yet, once it is."""
        entry = self._names.get(name)
        if entry is None:
            entry = self._names[name] = _Name()
            # In this order: no change is missed between the two.
            self._connection.rules.add(self._rule(name), self._refused)
            self._connection.call(
                call(BUS_PATH, BUS_NAME, "GetNameOwner", "s", [name], destination=BUS_NAME),
                lambda message: self._answered(name, message),
            )
        entry.users.append(changed)

    def untrack(self, name: str, changed: Changed) -> None:
        """Harmless where it is not tracked."""
        entry = self._names.get(name)
        if entry is None or changed not in entry.users:
            return
        entry.users.remove(changed)
        if not entry.users:
            self._forget(name, entry.owner)
            del self._names[name]
            self._connection.rules.remove(self._rule(name), self._refused)

    def owner(self, name: str) -> str | None:
        """The owner of a name, as far as it is known; None, too, where it is not tracked, or no more."""
        entry = self._names.get(name)
        return None if entry is None else entry.owner

    async def known(self, name: str) -> str | None:
        """The same, once it is known."""
        entry = self._names.get(name)
        if entry is not None:
            await entry.known.wait()
            # Whoever is cancelled in the very turn in which it became known would go on, for somebody who has gone.
            await anyio.lowlevel.checkpoint_if_cancelled()
        return self.owner(name)

    def names(self, peer: str | None) -> list[str]:
        """The tracked names that this peer has."""
        return self._of_peer.get(peer, []) if peer is not None else []

    async def start(self, name: str) -> str | None:
        """Have the bus start what has a tracked name; its owner. Raises BusError, with the words of the bus."""
        await self._connection.ask(
            call(BUS_PATH, BUS_NAME, "StartServiceByName", "su", [name, 0], destination=BUS_NAME)
        )
        # A service may come to have its name only after the answer, or another way than by the bus.
        if self.owner(name) is None:
            try:
                asked = call(BUS_PATH, BUS_NAME, "GetNameOwner", "s", [name], destination=BUS_NAME)
                (owner,) = await self._connection.ask_for("s", asked)
            except BusError as error:
                if error.name != _NOBODY:
                    raise
            else:
                self._set(name, owner)
        return self.owner(name)

    def heed(self, message: Message) -> None:
        """What the bus itself has said."""
        if message.member == "NameOwnerChanged" and message.interface == BUS_NAME and message.signature == "sss":
            name, _, owner = message.values()
            entry = self._names.get(name)
            # What comes before the answer to our question is of before, or of an earlier rule: the answer counts.
            if entry is not None and entry.known.is_set():
                self._set(name, owner or None)

    @staticmethod
    def _rule(name: str) -> str:
        return signals_of(BUS_NAME, path=BUS_PATH, interface=BUS_NAME, member="NameOwnerChanged", arg0=name)

    def _refused(self, error: BusError) -> None:
        self._connection.fail(f"names cannot be watched: {error.message}")

    def _answered(self, name: str, message: Message) -> None:
        if message.error is None and message.signature != "s":
            self._connection.fail(f"GetNameOwner has answered with {message.signature!r}, expected 's'")
        else:
            self._set(name, None if message.error is not None else message.values()[0])

    def _set(self, name: str, owner: str | None) -> None:
        entry = self._names.get(name)
        if entry is None or (entry.known.is_set() and entry.owner == owner):
            return
        self._forget(name, entry.owner)
        entry.owner = owner
        if owner is not None:
            self._of_peer.setdefault(owner, []).append(name)
        entry.known.set()
        for changed in list(entry.users):
            changed(name, owner)

    def _forget(self, name: str, owner: str | None) -> None:
        if owner is not None:
            names = self._of_peer[owner]
            names.remove(name)
            if not names:
                del self._of_peer[owner]
