"""What every part of one session is given."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from ..limits import Limits
from ..log import Log
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
    before_programs: Callable[[], object] = bool
    """To be called before any program is started, and its environment is made: it is to find the ssh-agent there."""
