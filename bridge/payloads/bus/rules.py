"""What a connection has asked its bus to be sent: one rule for each distinct match, however many users it has."""

from collections.abc import Callable
from typing import Protocol

from .errors import BusError
from .match_rule import BUS_NAME, BUS_PATH
from .message import Message, call

Refused = Callable[[BusError], None]


class Line(Protocol):
    """A connection, as far as rules need it."""

    @property
    def is_bus(self) -> bool: ...
    def tell(self, message: Message) -> int: ...
    def call(self, message: Message, answered: Callable[[Message], None]) -> int: ...


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
