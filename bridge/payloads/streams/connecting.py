"""A channel to a socket: connected at once where nothing has to be waited for, else what comes is kept meanwhile."""

import socket
from collections.abc import Callable

from anyio import CancelScope

from spanbridge.protocol.problems import Problem

from ..base import Services
from ..connect.connect import connect, connect_at_once
from ..connect.target import Target
from ..served.channel import Channel


def have_connected(
    channel: Channel, services: Services, target: Target, serve: Callable[[socket.socket], None]
) -> CancelScope | None:
    """Have `serve` called with the socket. What is returned is to be cancelled at the channel's end. Raises Problem, or
    closes the channel with it later."""
    connected = connect_at_once(target)
    if connected is not None:
        serve(connected)
        return None
    channel.hold()
    scope = CancelScope()
    services.tasks.start_soon(_connect, channel, services, target, serve, scope)
    return scope


async def _connect(
    channel: Channel,
    services: Services,
    target: Target,
    serve: Callable[[socket.socket], None],
    scope: CancelScope,
) -> None:
    with scope:
        try:
            connected = await connect(target, services)
        except Problem as problem:
            channel.close(problem)
            return
        if not channel.open:  # it was closed in the very turn in which the other side answered
            connected.close()
            return
        channel.guard(serve, connected)
        channel.release()
