"""Requests of the user's own, below /api/extensions. An extension cannot make them."""

import os
from typing import Any, Final

from .answers import Answer, error, json_answer
from .life import Life
from .parts import Parts

_VERSION: Final = "0.1.0"


class Management:
    """Answers from the whole host."""

    def __init__(self, parts: Parts, life: Life) -> None:
        self._parts = parts
        self._life = life

    async def answer(self, method: str, path: str, query: str, body: bytes, user: tuple[str, int]) -> Answer:
        """`path` is what stands behind /api/extensions."""
        if path in ("", "/") and method == "GET":
            return json_answer(200, self._all())
        return error(404, "not-found", "there is no such path")

    def _all(self) -> dict[str, Any]:
        return {
            "host": {"pid": os.getpid(), "version": _VERSION},
            "extensions": [extension.told() for _, extension in sorted(self._life.extensions.items())],
        }
