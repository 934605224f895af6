"""What a channel is for (channel.py)."""

from typing import Any, Final, Protocol

from spanbridge.protocol.frames import Span


class Payload(Protocol):
    """What a channel is for. All are called in the order in which the front end spoke. Each may raise Problem."""

    def data(self, data: Span, nbytes: int) -> None:
        """One data message; a list is one message in pieces. `Channel.taken` is due for all of it, sooner or later."""

    def done(self) -> None:
        """The front end has said that it sends no more data."""

    def command(self, command: str, message: dict[str, Any]) -> None:
        """Another control message, such as `options`."""

    def end(self) -> None:
        """The channel is over, whoever closed it: let go of all that it holds. Called once."""


class Nobody:
    """Has the channel before and after its payload has."""

    def data(self, data: Span, nbytes: int) -> None:
        """Dropped."""

    def done(self) -> None:
        """Dropped."""

    def command(self, command: str, message: dict[str, Any]) -> None:
        """Dropped."""

    def end(self) -> None:
        """Nothing is held."""


NOBODY: Final = Nobody()
