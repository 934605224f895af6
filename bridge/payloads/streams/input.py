"""Writing what a channel is sent to a socket, or to whatever can be waited for."""

from collections.abc import Callable
from typing import Final

from ...wire.context import Context
from ...wire.writer import Writer
from ..served.channel import Channel

_NO_BOUND: Final = 1 << 62  # what waits is bounded by the channel


def input_to(channel: Channel, context: Context, fd: int, on_broken: Callable[[str], None]) -> Writer:
    """The channel's outlet, which owns `fd`; `on_broken` as in Writer."""
    writer = channel.outlet = Writer(
        context.loop,
        context.poller,
        context.flusher,
        context.budget,
        fd,
        high_water=_NO_BOUND,
        on_broken=on_broken,
        on_taken=channel.taken,
    )
    return writer
