"""How a helper may end."""

from typing import Final, Literal

from spanbridge.protocol.problems import Problem

End = Literal["failed", "served", "dismissed"]
FAILED: Final = "failed"  # it never was ready
SERVED: Final = "served"  # it was
DISMISSED: Final = "dismissed"  # it was told to go, ready or not: what waits for it is to go too


_SHOWN: Final = 4_000  # characters of a problem's message


class Refusal(Problem):
    """The helper's own words: its `init` carried a problem. They are passed on unchanged."""


class Forgery(Problem):
    """The helper spoke where it has no say."""


def named(problem: Problem, name: str, program: str) -> Problem:
    """With what has ended: the name of a helper, and what was started."""
    return Problem(problem.code, f"{name} ({program[:_SHOWN]}): {problem.message}"[:_SHOWN])
