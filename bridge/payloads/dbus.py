"""Payload `dbus-json3`: objects of the bridge (docs/internal-bus.md), or those of a real bus (docs/dbus.md)."""

from typing import Any

from .base import Port, Services
from .bus.channel import Messages
from .bus.opened import INTERNAL, read
from .served.channel import Channel
from .served.options import Options


def dbus(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serve one channel. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    opened = read(options)
    front = Messages(channel, services, services.context.limits.frame_bytes - len(port.ident) - 1)
    channel.serve(front)
    if opened.bus == INTERNAL:  # each half is imported when it is first asked for
        from .bus.inside import Inside

        front.serve(Inside(front, services))
        front.ready()
    else:
        from .bus.outside import Outside

        channel.hold()
        front.serve(Outside(front, services, opened))
    return channel


def check(message: dict[str, Any]) -> None:
    """Raises the Problem with which an open is refused for its members."""
    read(Options(message))
