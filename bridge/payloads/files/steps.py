"""Blocking work in steps, each for a thread: what an iterator gives, one at a time."""

from collections.abc import Generator
from typing import Generic, TypeVar

from .shared import Shared

Step = TypeVar("Step")


class Steps(Generic[Step]):
    """`shared.end` has the generator let go of what it holds."""

    __slots__ = ("_generator", "shared")

    def __init__(self, generator: Generator[Step, None, None]) -> None:
        self._generator = generator
        self.shared = Shared(generator.close)

    def next(self) -> Step | None:
        """The next step; None after the last. Blocks."""
        with self.shared.using():
            return next(self._generator, None)
