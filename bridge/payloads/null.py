"""Payload `null`: swallows what it is sent, until it is closed."""

from typing import Any

from spanbridge.protocol.frames import Span

from .base import Port, Services


class Null:
    """One `null` channel."""

    __slots__ = ()

    def __init__(self, port: Port, options: dict[str, Any], services: Services) -> None:
        port.control("ready")

    def put(self, data: Span) -> None:
        """Swallowed."""

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        """Nothing but `close` means anything here, and the session acts on that."""

    def end(self) -> None:
        """Nothing is held."""
