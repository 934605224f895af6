"""Who is told what becomes of a helper: the table of channels, and whoever has started it."""

from typing import Protocol, TypeVar

from spanbridge.protocol.problems import Problem

from .endings import End
from .opening import Opening

Helper = TypeVar("Helper", contravariant=True)


class Table(Protocol[Helper]):
    """The table of channels, as a helper sees it."""

    def adopted(self, opening: Opening, helper: Helper) -> None:
        """An open that waited has been handed to the helper."""

    def closed(self, ident: bytes, frame: bytes) -> None:
        """The helper has closed a channel of its own."""

    def close_answered(self, helper: Helper, ident: bytes, frame: bytes) -> None:
        """The helper has answered the front end's close."""

    def refuse(self, opening: Opening, problem: Problem) -> None:
        """Close a channel that waits for the helper, and has waited too long."""


class Owner(Protocol[Helper]):
    """Whoever has started the helper."""

    def ready(self, helper: Helper) -> None:
        """It takes opens now; those that waited for it have been handed over."""

    def retired(self, helper: Helper) -> None:
        """It is about to end, and is to have no more opens."""

    def idle(self, helper: Helper) -> None:
        """Its last channel has gone."""

    def overdue(self, helper: Helper, opening: Opening) -> bool:
        """It has not answered the close of an earlier channel of this id: True if another one has the open now."""

    def ended(self, helper: Helper, problem: Problem, waiting: list[Opening], end: End) -> None:
        """It takes nothing more. `waiting` were not handed over."""
