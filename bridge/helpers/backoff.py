"""Commands that fail to start again and again are not tried for a while (docs/protocol.md, "Helpers").

Counted for each rule and what it expanded to: one host that is down does not shut out the others. A start that ended in
the helper's own words is not counted: it ran, and the next one may have the right password.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Final

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..limits import Limits
from ..log import Log
from .launch import Key

_KEPT: Final = 1_024  # commands that have failed; a front end can make up any number


class _Failures:
    """The failed starts of one command."""

    __slots__ = ("at", "delay", "last", "rests_until")

    def __init__(self) -> None:
        self.at: deque[float] = deque()  # loop times
        self.delay = 0.0  # seconds of the last rest; 0: there was none
        self.rests_until = 0.0
        self.last = Problem(INTERNAL_ERROR, "")


class Backoff:
    """Which commands rest."""

    __slots__ = ("_failures", "_limits", "_log", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, log: Log) -> None:
        self._loop = loop
        self._limits = limits
        self._log = log
        self._failures: dict[Key, _Failures] = {}

    def resting(self, key: Key) -> Problem | None:
        """What speaks for a helper that is not started, because the last ones failed; None: it may be."""
        failures = self._failures.get(key)
        left = 0.0 if failures is None else failures.rests_until - self._loop.time()
        if failures is None or left <= 0:
            return None
        told = f"{failures.last.message}; not the first time: it is tried again in {left:.1f} s"
        return Problem(failures.last.code, told)

    def rest_of(self, identity: bytes) -> float:
        """Seconds until every command of a rule may be tried."""
        until = [failures.rests_until for (of, _), failures in self._failures.items() if of == identity]
        return max(0.0, max(until, default=0.0) - self._loop.time())

    def failed(self, name: str, key: Key, problem: Problem) -> None:
        """The helper of rule `name` never was ready, and said nothing of its own."""
        limits, now = self._limits, self._loop.time()
        failures = self._failures.pop(key, None) or _Failures()
        self._failures[key] = failures
        if len(self._failures) > _KEPT:
            del self._failures[next(iter(self._failures))]
        failures.last = problem
        failures.at.append(now)
        while failures.at[0] < now - limits.start_failures_seconds:
            failures.at.popleft()
        if failures.delay or len(failures.at) >= limits.start_failures:
            failures.delay = min(max(limits.backoff_seconds, 2 * failures.delay), limits.backoff_most_seconds)
            failures.rests_until = now + failures.delay
            failures.at.clear()
            self._log.limit("start_failures", limits.start_failures, rule=name, rests=f"{failures.delay:g}")

    def worked(self, key: Key) -> None:
        """It was ready: whatever failed before is forgotten."""
        self._failures.pop(key, None)

    def retain(self, identities: Collection[bytes]) -> None:
        """Forget what is not of these rules."""
        for key in [key for key in self._failures if key[0] not in identities]:
            del self._failures[key]
