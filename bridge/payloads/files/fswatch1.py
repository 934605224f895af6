"""Payload `fswatch1`: events at a path (docs/files.md, "fswatch1")."""

from typing import Any

from ..base import Port, Services
from ..served.channel import Channel
from ..served.options import Options
from .asked import Asked
from .event_watch import EventWatch
from .paths import path_option


def fswatch(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    return channel.serve(Asked(channel, services, path_option(options), _watch))


async def _watch(asked: Asked) -> None:
    watch = EventWatch(asked)
    try:
        await watch.begin()
        asked.channel.ready()
        await watch.run()
    finally:
        watch.close()
