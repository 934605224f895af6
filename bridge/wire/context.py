"""What every part of one session is given."""

import asyncio
from typing import NamedTuple

from ..limits import Limits
from ..log import Log
from .agent import Agent
from .children import Children
from .flusher import Flusher
from .pipe_budget import PipeBudget
from .poller import Poller
from .watchdog import Watchdog


class Context(NamedTuple):
    """The event loop and what goes with it; made once, by the session."""

    loop: asyncio.AbstractEventLoop
    poller: Poller
    flusher: Flusher
    budget: PipeBudget
    limits: Limits
    log: Log
    watchdog: Watchdog
    children: Children
    agent: Agent | None = None
    """To be started before any program is. None: this session has no need of one."""
