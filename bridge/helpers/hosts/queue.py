"""What waits for one connection that comes up."""

from collections.abc import Callable

from spanbridge.protocol.control import close
from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ...limits import Limits
from ...log import Log
from ..helper import Helper
from ..life import READY
from ..opening import Opening


class Queue:
    """Keeps opens, with all that comes for them (sinks.Keeper). `closed(ident, frame)` ends the channel of one.

    Where too much comes the channel that overfills it is closed. The front end is read on: it has other hosts too.
    """

    __slots__ = ("_closed", "_helper", "_limits", "_log")

    def __init__(self, helper: Helper, limits: Limits, log: Log, closed: Callable[[bytes, bytes], None]) -> None:
        self._helper = helper
        self._limits = limits
        self._log = log
        self._closed = closed

    def check(self, more: int = 0) -> None:
        """Raises Problem where `more` bytes are too much."""
        most, helper = self._limits.host_queue_bytes, self._helper
        if helper.state != READY and helper.roster.waiting_bytes + more > most:
            self._log.limit("host_queue_bytes", most, host=helper.launch.host)
            message = f"host {helper.launch.host}: more than {most} bytes (host_queue_bytes) wait for it to come up"
            raise Problem(INTERNAL_ERROR, message)

    def keep(self, opening: Opening, command: str | None, span: Span) -> None:
        """More has come for an open that waits."""
        self._helper.roster.keep(opening, command, span)
        try:
            self.check()
        except Problem as problem:
            self.forget(opening)
            self._closed(opening.ident, close(opening.ident.decode(), problem.code, problem.message))

    def forget(self, opening: Opening) -> None:
        """It was closed by the front end."""
        self._helper.roster.forget(opening)
