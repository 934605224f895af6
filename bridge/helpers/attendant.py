"""Who answers what a helper asks with its `authorize`."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias


class Asker(Protocol):
    """Whoever asks: a helper, by its `Dialogue`, or polkit's agent for it."""

    def answer(self, question: dict[str, Any], response: str) -> None:
        """Answer its question; an empty `response` refuses."""


Attendant: TypeAlias = Callable[[Asker, dict[str, Any]], None]
"""Gets each question, for which `Asker.answer` is due."""


def refuse(asker: Asker, question: dict[str, Any]) -> None:
    """The attendant of those that get no answer."""
    asker.answer(question, "")
