"""Who may have an open beside the rules, as the table of channels sees them."""

from collections.abc import Iterable
from typing import Protocol

from ..helpers.helper import Helper
from ..helpers.opening import Opening
from .sinks import Keeper


class Privileged(Protocol):
    """The privileged side of the session: helpers.superuser.Superuser. `waiting` keeps what waits for it."""

    @property
    def waiting(self) -> Keeper: ...

    def claims(self, opening: Opening, /) -> Helper | bool:
        """The helper that is to have an open, True where it waits, False where it goes on. Raises Problem."""


class Hosts(Protocol):
    """The connections to other hosts: helpers.hosts.hosts.Hosts. `alive` are those that are not reaped yet."""

    @property
    def alive(self) -> Iterable[Helper]: ...

    def get(self, opening: Opening, /) -> Helper:
        """The connection for an open; it is begun if there is none. Raises Problem."""

    def queue(self, helper: Helper, /) -> Keeper:
        """Who keeps what comes for an open that waits for the connection."""
