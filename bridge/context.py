"""What every part of one session is given."""

import asyncio
from typing import NamedTuple

from .limits import Limits
from .link import Flusher, PipeBudget
from .log import Log


class Context(NamedTuple):
    """The event loop and what goes with it; made once, by the session."""

    loop: asyncio.AbstractEventLoop
    flusher: Flusher
    budget: PipeBudget
    limits: Limits
    log: Log
