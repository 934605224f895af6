"""Payload `null`: swallows what it is sent, until it is closed."""

from typing import Any

from spanbridge.protocol.frames import Span

from .base import Port, Services
from .served.channel import Channel
from .served.options import Options


class Null:
    """What one `null` channel does."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def data(self, data: Span, nbytes: int) -> None:
        self._channel.taken(nbytes)

    def done(self) -> None:
        """Means nothing here."""

    def command(self, command: str, message: dict[str, Any]) -> None:
        """Nothing but `close` means anything here."""

    def end(self) -> None:
        """Nothing is held."""


def _swallow(frames: Span) -> None:
    pass


def null(port: Port, message: dict[str, Any], services: Services) -> Channel:
    channel = Channel(port, Options(message), services)
    channel.ignores_done = True
    channel.ready()
    return channel.serve(Null(channel), frames=_swallow)
