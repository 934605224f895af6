"""One start of a privileged helper: its candidates are tried in turn until one runs."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from spanbridge.manifests.model import Rule
from spanbridge.protocol.problems import Problem


class Candidate(Protocol):
    """The helper that is tried."""

    @property
    def rule(self) -> Rule: ...
    def end(self, problem: Problem, /) -> None: ...
    def take_stderr(self) -> str:
        """What it has said on stderr since the last time."""

    def asks(self, open_questions: int, /) -> None:
        """The time until its `init` is not counted while one waits for an answer."""


class Attempt:
    """`candidates` are those that are left to be tried."""

    __slots__ = ("candidates", "error", "from_init", "helper", "ident", "over", "questions", "stopped", "tried")

    def __init__(self, candidates: Mapping[str, Rule], *, from_init: bool) -> None:
        self.candidates = dict(candidates)  # by id; those that were tried are taken out
        self.from_init = from_init
        self.over = asyncio.Event()
        self.stopped = False
        self.error = ""  # why the last one failed
        # Of the one that is tried:
        self.ident = ""
        self.helper: Candidate | None = None
        self.questions = 0
        self.tried = asyncio.Event()

    def next(self) -> Rule:
        """Take the next candidate."""
        self.ident = next(iter(self.candidates))
        self.helper, self.questions, self.tried = None, 0, asyncio.Event()
        return self.candidates.pop(self.ident)

    def failed(self, error: str) -> None:
        self.error = error
        self.tried.set()
