"""A program that starts in a directory of its own: once that answers. What comes for it is kept meanwhile."""

from collections.abc import Callable

import anyio
from anyio import CancelScope

from spanbridge.protocol.problems import TIMEOUT, Problem

from ...wire.directories import Directories
from ..base import Services
from ..served.channel import Channel
from ..served.payload import Nobody, Payload


def directories(services: Services) -> Directories:
    """One for a session."""
    context = services.context
    return Directories(context.loop, context.log, context.limits.file_threads)


class Awaited(Nobody):
    """Has the channel until the directory has answered, and `start` is called for its payload."""

    __slots__ = ("_scope",)

    def __init__(self, channel: Channel, services: Services, directory: bytes, start: Callable[[], Payload]) -> None:
        channel.hold()
        self._scope = CancelScope()
        services.tasks.start_soon(_start_in, channel, services, directory, start, self._scope)

    def end(self) -> None:
        self._scope.cancel()


async def _start_in(
    channel: Channel, services: Services, directory: bytes, start: Callable[[], Payload], scope: CancelScope
) -> None:
    with scope:
        try:
            await _answered(services, directory)
        except Problem as problem:
            channel.close(problem)
        if channel.open:  # it may have been closed in the very turn in which the answer came
            channel.guard(_serve, channel, start)
            channel.release()


def _serve(channel: Channel, start: Callable[[], Payload]) -> None:
    channel.serve(start())


async def _answered(services: Services, directory: bytes) -> None:
    """Raises Problem."""
    seconds = services.context.limits.directory_seconds
    with anyio.move_on_after(seconds) as scope:
        await services.once(directories).answered(directory)
    if scope.cancelled_caught:
        services.context.log.limit("directory_seconds", seconds)
        name = directory.decode("utf-8", "replace")
        raise Problem(TIMEOUT, f"{name}: no answer within {seconds:g} seconds (directory_seconds)")
