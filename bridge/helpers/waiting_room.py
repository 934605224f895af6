"""Opens that wait for the privileged helper that comes up: it may come, or fail to."""

from collections.abc import Callable

from spanbridge.protocol.control import close
from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..limits import Limits
from ..log import Log
from .opening import Opening


class WaitingRoom:
    """Keeps opens, with all that comes for them (sinks.Keeper). `closed(ident, frame)` ends the channel of one.

    Where too much comes the channel is closed. The front end is read on: the answer to a question, or a stop, may be
    what comes next.
    """

    __slots__ = ("_bytes", "_closed", "_limits", "_log", "_opens")

    def __init__(self, limits: Limits, log: Log, closed: Callable[[bytes, bytes], None]) -> None:
        self._limits = limits
        self._log = log
        self._closed = closed
        self._opens: dict[bytes, Opening] = {}
        self._bytes = 0

    def add(self, opening: Opening) -> None:
        """Have one wait. Raises Problem where too much waits already."""
        if self._bytes + opening.size > self._limits.helper_queue_bytes:
            raise self._too_much(opening)
        self._opens[opening.ident] = opening
        self._bytes += opening.size

    def keep(self, opening: Opening, command: str | None, span: Span) -> None:
        """More has come for an open that waits."""
        self._bytes += opening.add(command, span)
        if self._bytes > self._limits.helper_queue_bytes:
            self.forget(opening)
            problem = self._too_much(opening)
            self._closed(opening.ident, close(opening.ident.decode(), problem.code, problem.message))

    def forget(self, opening: Opening) -> None:
        """An open that waits was closed."""
        del self._opens[opening.ident]
        self._bytes -= opening.size

    def clear(self) -> list[Opening]:
        """Nobody waits any more; those who did."""
        opens, self._opens, self._bytes = self._opens, {}, 0
        return list(opens.values())

    def _too_much(self, opening: Opening) -> Problem:
        limit = self._limits.helper_queue_bytes
        self._log.limit("helper_queue_bytes", limit, channel=opening.ident.decode())
        return Problem(
            INTERNAL_ERROR,
            f"more than {limit} bytes (helper_queue_bytes) wait for a privileged bridge that is starting",
        )
