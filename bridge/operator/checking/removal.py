"""Overrides that remove what is not there."""

from collections.abc import Iterator
from typing import Any, Final

from spanbridge.manifests.member import Path

from .finding import Finding, Source
from .spelling import nearest

NAMES: Final = 200
"""Members that a name is compared with, at most."""


def idle_removals(source: Source, below: dict[str, Any]) -> Iterator[Finding]:
    """Members that are null in an override, and that what it is laid over does not have."""
    yield from _idle(source, source.document.value, below, ())


def _idle(source: Source, patch: dict[str, Any], below: dict[str, Any], path: Path) -> Iterator[Finding]:
    for name, value in patch.items():
        here = (*path, name)
        inner = below.get(name)
        if value is None and name not in below:
            message = "removes nothing: there is no such member in what it overrides"
            yield source.finding("unused-override", here, message, nearest(name, list(below)[:NAMES]))
        elif isinstance(value, dict):
            yield from _idle(source, value, inner if isinstance(inner, dict) else {}, here)
