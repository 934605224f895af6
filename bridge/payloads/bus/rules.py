"""What a connection has asked its bus to be sent: one rule for each distinct match, however many users it has.

D-Bus Specification, "Match Rules".
"""

from collections.abc import Callable
from typing import Final, Protocol

from .errors import BusError
from .message import Message, call

BUS_NAME: Final = "org.freedesktop.DBus"
BUS_PATH: Final = "/org/freedesktop/DBus"

Refused = Callable[[BusError], None]


class Line(Protocol):
    """A connection, as far as rules need it."""

    @property
    def is_bus(self) -> bool: ...
    def tell(self, message: Message) -> int: ...
    def call(self, message: Message, answered: Callable[[Message], None]) -> int: ...


def signals_of(sender: str | None, /, **members: str | None) -> str:
    """The rule for the signals of a peer. A `path_namespace` of `/`, which is all, is left out: some brokers fail on
    it."""
    if members.get("path_namespace") == "/":
        members["path_namespace"] = None
    parts = {"type": "signal", "sender": sender, **members}
    return ",".join(f"{key}={_quote(value)}" for key, value in parts.items() if value is not None)


def _quote(value: str) -> str:
    """Nothing is special within apostrophes, and an apostrophe stands outside of them."""
    return "'" + value.replace("'", "'\\''") + "'"


class Rules:
    """The rules of one connection. Peers without a bus have none: they send what they send."""

    def __init__(self, connection: Line) -> None:
        self._connection = connection
        self._users: dict[str, list[Refused]] = {}

    def add(self, rule: str, refused: Refused) -> None:
        """From now on such signals come. `refused` is called, later, if the bus does not want to."""
        if not self._connection.is_bus:
            return
        users = self._users.setdefault(rule, [])
        users.append(refused)
        if len(users) == 1:
            self._connection.call(
                call(BUS_PATH, BUS_NAME, "AddMatch", "s", [rule], destination=BUS_NAME),
                lambda message: self._answered(rule, message.error, message.values() if message.error else []),
            )

    def remove(self, rule: str, refused: Refused) -> None:
        """What was added. Harmless where it was not."""
        users = self._users.get(rule, [])
        if refused not in users:
            return
        users.remove(refused)
        if not users:
            del self._users[rule]
            self._connection.tell(call(BUS_PATH, BUS_NAME, "RemoveMatch", "s", [rule], destination=BUS_NAME))

    def _answered(self, rule: str, error: str | None, told: list[object]) -> None:
        if error is None:
            return
        for refused in self._users.pop(rule, []):
            refused(BusError(error, str(told[0]) if told else "the bus refuses to send these signals"))
