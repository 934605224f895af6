"""What a helper and the table of channels have to do with one another."""

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from spanbridge.manifests.template import Expansion
from spanbridge.protocol.problems import Problem

from .opening import Opening

if TYPE_CHECKING:
    from .helper import Helper

Key = tuple[bytes, Expansion]  # the identity of the rule, and what it expanded to: what a helper is reused by

End = Literal["failed", "served", "dismissed"]
FAILED: Final = "failed"  # it never was ready
SERVED: Final = "served"  # it was
DISMISSED: Final = "dismissed"  # it was told to go, ready or not: what waits for it is to go too


class Refusal(Problem):
    """The helper's own words: its `init` carried a problem. They are passed on unchanged."""


class Forgery(Problem):
    """The helper spoke where it has no say."""


class Board(Protocol):
    """The table of channels, as a helper sees it."""

    def init_for(self, helper: "Helper") -> bytes:
        """The `init` frame that answers the helper's."""

    def ready(self, helper: "Helper") -> None:
        """It takes opens now; those that waited for it have been handed over."""

    def adopted(self, opening: Opening, helper: "Helper") -> None:
        """An open that waited has been handed to the helper."""

    def ended(self, helper: "Helper", problem: Problem, waiting: list[Opening], end: End) -> None:
        """It takes nothing more. `waiting` were not handed over."""

    def retired(self, helper: "Helper") -> None:
        """It is about to end, and is to have no more opens."""

    def idle(self, helper: "Helper") -> None:
        """Its last channel has gone."""

    def closed(self, ident: bytes, frame: bytes) -> None:
        """The helper has closed a channel of its own."""

    def close_answered(self, helper: "Helper", ident: bytes, frame: bytes) -> None:
        """The helper has answered the front end's close."""


class Attendant(Protocol):
    """Whoever may be asked for a password: a privileged helper has one."""

    def asked(self, helper: "Helper", question: dict[str, Any]) -> None:
        """The helper has sent an `authorize`; `Helper.answer` is due."""
