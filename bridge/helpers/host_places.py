"""How many connections to other hosts there may be, be they of rules that name `host` or over ssh (docs/hosts.md)."""

from typing import Final

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..limits import Limits
from ..log import Log
from .places import Guest, Places

_LIMIT: Final = "hosts"


class HostPlaces:
    """At most `hosts` places. An idle connection makes room for another one."""

    def __init__(self, limits: Limits, log: Log) -> None:
        self._most = limits.hosts
        self._log = log
        self._places = Places(log)
        self._taken: set[Guest] = set()  # by all that are not reaped yet

    def __contains__(self, helper: Guest) -> bool:
        return helper in self._taken

    def room(self) -> Guest | None:
        """None if one more connection may be made; else one that leaves, for which the new one is to wait.

        Raises Problem (`internal-error`) where none is idle.
        """
        most, taken = self._most, self._taken
        full = Problem(INTERNAL_ERROR, f"the limit of {most} connections to other hosts ({_LIMIT}) is reached")
        if len(taken) >= 2 * most:  # so many are on their way out that the way out is what is too narrow
            self._log.limit(_LIMIT, most, ending=len(taken))
            raise full
        if self._places.taken(taken) < most:
            return None
        return self._places.leaver(taken, _LIMIT, most, full, kind="connections")

    def take(self, helper: Guest, leaver: Guest | None) -> None:
        """It has a place; what `room` has given is the one that leaves for it."""
        self._taken.add(helper)
        if leaver is not None:
            self._places.promise(leaver, helper)

    def free(self, helper: Guest) -> None:
        """It is reaped. The one that has waited for it comes up."""
        self._taken.discard(helper)
        self._places.free(helper)
