"""Payload `info`: what this bridge is and whose, in one message (docs/internal-bus.md, "info")."""

from typing import Any

from ..os_release import read_os_release
from .base import CAPABILITIES, PAYLOADS, Port, Services
from .bus.account import Account, account
from .served.channel import Channel
from .served.conversation import Conversation, converse


def info(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Says all in one message, and closes."""
    return converse(_tell, port, message, services, ready=True)


async def _tell(channel: Conversation) -> None:
    await channel.send_json(_told(channel.services.once(account)))


def _told(user: Account) -> dict[str, Any]:
    primary, *_ = user.groups
    capabilities = {payload: list(CAPABILITIES.get(payload, ())) for payload in PAYLOADS}
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
