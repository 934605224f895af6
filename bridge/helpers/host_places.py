"""How many connections to other hosts there may be, be they of rules that name `host` or over ssh (docs/hosts.md)."""

from typing import Final

from spanbridge.protocol.problems import INTERNAL_ERROR, TERMINATED, Problem

from ..limits import Limits
from ..log import Log
from .helper import Helper
from .life import ENDING, GONE, QUEUED

_LIMIT: Final = "hosts"


class HostPlaces:
    """At most `hosts` places. An idle connection makes room for another one."""

    def __init__(self, limits: Limits, log: Log) -> None:
        self._most = limits.hosts
        self._log = log
        self._taken: set[Helper] = set()  # by all that are not reaped yet
        self._leaving: dict[Helper, Helper] = {}  # connection that makes room -> the one that waits for it

    def __contains__(self, helper: Helper) -> bool:
        return helper in self._taken

    def room(self) -> Helper | None:
        """None if one more connection may be made; else one that leaves, for which the new one is to wait.

        Raises Problem (`internal-error`) where none is idle.
        """
        most, taken, leaving = self._most, self._taken, self._leaving
        if len(taken) >= 2 * most:  # so many are on their way out that the way out is what is too narrow
            self._log.limit(_LIMIT, most, ending=len(taken))
            raise self._full()
        if len(taken) - len(leaving) < most:
            return None
        free = [helper for helper in taken if helper not in leaving and helper.state != QUEUED]
        ending = next((helper for helper in free if helper.state in (ENDING, GONE)), None)
        if ending is not None:
            return ending
        idle = [helper for helper in free if helper.idle]
        self._log.limit(_LIMIT, most, idle=len(idle))
        if not idle:
            raise self._full()
        oldest = min(idle, key=lambda helper: helper.roster.used)
        oldest.end(Problem(TERMINATED, f"made room for another one, at the limit of {most} connections ({_LIMIT})"))
        return oldest

    def take(self, helper: Helper, leaver: Helper | None) -> None:
        """It has a place; what `room` has given is the one that leaves for it."""
        self._taken.add(helper)
        if leaver is not None:
            self._leaving[leaver] = helper

    def free(self, helper: Helper) -> None:
        """It is reaped. The one that has waited for it comes up."""
        self._taken.discard(helper)
        waiting = self._leaving.pop(helper, None)
        if waiting is not None and waiting.state == QUEUED:
            waiting.life.move("room")

    def _full(self) -> Problem:
        return Problem(INTERNAL_ERROR, f"the limit of {self._most} connections to other hosts ({_LIMIT}) is reached")
