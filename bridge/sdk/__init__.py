"""Writing a helper in Python (docs/helpers.md, "In Python").

An echo, but for its imports:

    async def echo(channel: Channel) -> None:
        await channel.ready()
        async for payload in channel:
            await channel.send(payload)
        await channel.done()

    sys.exit(run(echo))

The modules:

    run                 a whole helper from its handler, or from a main of its own; not to start at all
    helper              reads frames and hands them to channels; `open_helper`, an async context manager
    channel             one channel: reading, writing, how it ends
    inbox, intake       what waits for handlers, and when stdin is read no more
    outbox, window      what waits for the bridge, and for the front end
    wire                the two descriptors
    aside               our stdout, out of the way of what is printed
    limits              all limits
"""

from spanbridge.protocol.problems import Problem

from . import aside
from .channel import Channel
from .errors import ChannelClosed, ProtocolError
from .helper import Handler, Helper, open_helper
from .limits import HelperLimits
from .log import log
from .run import refuse, run, run_main

aside.put_aside()

__all__ = [
    "Channel",
    "ChannelClosed",
    "Handler",
    "Helper",
    "HelperLimits",
    "Problem",
    "ProtocolError",
    "log",
    "open_helper",
    "refuse",
    "run",
    "run_main",
]
