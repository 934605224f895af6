"""Places for processes, of which there are only so many: who leaves for whom, where all are taken."""

from collections.abc import Iterable
from typing import Protocol

from spanbridge.protocol.problems import TERMINATED, Problem

from ..log import Log
from .life import ENDING, GONE, QUEUED, Life
from .roster import Roster


class Guest(Protocol):
    """Whoever has a place: a helper."""

    @property
    def life(self) -> Life: ...
    @property
    def roster(self) -> Roster: ...
    @property
    def idle(self) -> bool:
        """Whether it may be stopped to make room."""

    def end(self, problem: Problem, /) -> None: ...


class Places:
    """Whoever takes a place is counted by its owner. An idle one makes room for another, which waits until it has
    gone."""

    __slots__ = ("_leaving", "_log")

    def __init__(self, log: Log) -> None:
        self._log = log
        self._leaving: dict[Guest, Guest] = {}  # that makes room -> that waits for it

    def taken(self, guests: Iterable[Guest]) -> int:
        """By these: one that waits for another to leave shares its place."""
        return sum(1 for guest in guests if guest not in self._leaving)

    def leaver(
        self, guests: Iterable[Guest], limit: str, most: int, full: Problem, *, kind: str, **told: object
    ) -> Guest:
        """Of these the one for which a new one is to wait: on its way out, or the one that was idle the longest, which
        is ended. Raises `full` where none is. `limit`: the name of what is reached, at `most` of a `kind`; `told` goes
        to the log with it."""
        free = [guest for guest in guests if guest not in self._leaving and guest.life.state != QUEUED]
        ending = next((guest for guest in free if guest.life.state in (ENDING, GONE)), None)
        if ending is not None:
            return ending
        idle = [guest for guest in free if guest.idle]
        self._log.limit(limit, most, **told, idle=len(idle))
        if not idle:
            raise full
        oldest = min(idle, key=lambda guest: guest.roster.used)
        oldest.end(Problem(TERMINATED, f"made room for another one, at the limit of {most} {kind} ({limit})"))
        return oldest

    def promise(self, leaver: Guest, guest: Guest) -> None:
        """What `leaver` has is for `guest`."""
        self._leaving[leaver] = guest

    def free(self, guest: Guest) -> None:
        """It is reaped. The one that has waited for it comes up; where it has still waited itself, that one goes on
        waiting in its stead."""
        waiting = self._leaving.pop(guest, None)
        before = [leaver for leaver, promised in self._leaving.items() if promised is guest]
        for leaver in before:
            del self._leaving[leaver]
        if waiting is None or waiting.life.state != QUEUED:
            return
        if before:
            self._leaving[before[0]] = waiting
        else:
            waiting.life.move("room")
