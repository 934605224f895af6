"""Payload `fswatch1`: events at a path (docs/files.md, "fswatch1")."""

from collections.abc import Callable
from typing import Any

from spanbridge.protocol.problems import Problem

from ..base import Port, Services
from ..served.channel import Channel
from ..served.options import Options
from .asked import Asked
from .beginnings import Beginnings
from .event_watch import EventWatch
from .paths import path_option


def fswatch(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    path = path_option(options)
    begun = services.once(Beginnings).begin(path)

    async def watch(asked: Asked) -> None:
        try:
            await _watch(asked, begun)
        finally:
            begun()

    try:
        return channel.serve(Asked(channel, services, path, watch))
    except Problem:  # there are no threads: nobody waits for it
        begun()
        raise


async def _watch(asked: Asked, begun: Callable[[], None]) -> None:
    watch = EventWatch(asked)
    try:
        await watch.begin()
        asked.channel.ready()
        begun()
        await watch.run()
    finally:
        watch.close()
