"""What an internal channel is to the session, and the session to it."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from protocol.control import close, control
from protocol.frames import Buffer, Span, encode
from protocol.problems import Problem


class Internal(Protocol):
    """Serves one channel. Made with a `Port` and the open message; raises Problem if that cannot be served."""

    def put(self, data: Span) -> None:
        """Whole data frames of the channel (protocol.frames.payloads takes them apart)."""

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        """A control message for the channel, `close` included."""

    def end(self) -> None:
        """The channel is over, whoever closed it: let go of all that it holds."""


class Port:
    """The channel's way to the front end."""

    __slots__ = ("_close", "_put", "channel", "ident")

    def __init__(self, channel: str, put: Callable[[Span], None], close: Callable[[bytes, bytes], None]) -> None:
        self.channel = channel
        self.ident = channel.encode()
        self._put = put
        self._close = close

    def send(self, payload: Buffer) -> None:
        """One data frame."""
        self._put(encode(self.ident, payload))

    def forward(self, frames: Span) -> None:
        """Whole frames of this channel, as they are."""
        self._put(frames)

    def control(self, command: str, **members: object) -> None:
        """One control message; `_` in a member's name stands for `-`."""
        self._put(control(command, channel=self.channel, **members))

    def close(self, problem: Problem | None = None, **members: Any) -> None:
        """Close the channel; `end` is called."""
        if problem is None:
            self._close(self.ident, close(self.channel, **members))
        else:
            told: dict[str, Any] = {**problem.members, **members}
            self._close(self.ident, close(self.channel, problem.code, problem.message, **told))


# payload -> the module of this package that has its class, and the class. A module is imported when it is first
# asked for: the start does not pay for payloads that nobody opens.
PAYLOADS: Final[Mapping[str, tuple[str, str]]] = {
    "null": ("null", "Null"),
    "echo": ("echo", "Echo"),
}


def find(payload: Any) -> Callable[[Port, dict[str, Any]], Internal] | None:
    """The class that serves `payload`, None if there is none."""
    if not isinstance(payload, str) or payload not in PAYLOADS:
        return None
    from importlib import import_module

    module, name = PAYLOADS[payload]
    found: Callable[[Port, dict[str, Any]], Internal] = getattr(import_module(f".{module}", __package__), name)
    return found
