"""Payload `info`: what this bridge is and whose, in one message (docs/internal-bus.md, "info")."""

from typing import Any

import msgspec

from spanbridge.protocol.frames import Span

from ..os_release import read_os_release
from .base import PAYLOADS, Port, Services
from .bus.account import Account, account


class Info:
    """One `info` channel."""

    def __init__(self, port: Port, options: dict[str, Any], services: Services) -> None:
        self._port = port
        port.control("ready")
        port.send(msgspec.json.encode(_told(services.once(account))))
        port.control("done")
        self._closing = services.context.loop.call_soon(port.close)  # a channel cannot close before it is there

    def put(self, data: Span) -> None:
        """It takes no data."""

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        """It takes no commands."""

    def end(self) -> None:
        self._closing.cancel()


def _told(user: Account) -> dict[str, Any]:
    primary, *_ = user.groups
    capabilities: dict[str, list[str]] = {payload: [] for payload in PAYLOADS}
    return {
        "channels": capabilities,
        "os_release": read_os_release(),
        "user": {
            "fullname": user.full_name,
            "gid": user.gid,
            "group": primary,
            "groups": user.groups,
            "home": user.home,
            "name": user.name,
            "shell": user.shell,
            "uid": user.uid,
        },
    }
