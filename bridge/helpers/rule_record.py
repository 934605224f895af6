"""What became of the helpers of one rule, for `spanbridge status`."""

from typing import Any

from spanbridge.protocol.problems import Problem


class RuleRecord:
    """Counts helpers of the rule `name`."""

    __slots__ = ("_ended_at", "_failed", "_problem", "_started", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._started = 0
        self._failed = 0  # of those, that never were ready
        self._ended_at = 0.0  # loop time
        self._problem: Problem | None = None  # with which the last one ended

    def started(self) -> None:
        self._started += 1

    def ended(self, now: float, problem: Problem, *, failed: bool) -> None:
        """One takes nothing more. `failed`: it never was ready."""
        self._ended_at, self._problem = now, problem
        self._failed += failed

    def told(self, now: float, rests: float) -> dict[str, Any]:
        """As `status` tells it. `rests`: seconds for which some of its commands are not tried."""
        problem = self._problem
        return {
            "started": self._started,
            "failed": self._failed,
            "rests": round(rests, 3),
            "last-end": problem
            and {"problem": problem.code, "message": problem.message, "seconds": round(now - self._ended_at, 3)},
        }
