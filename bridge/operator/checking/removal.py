"""Overrides that do not do what they look like: that remove what is not there, or replace a list by accident."""

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


def replaced_lists(source: Source, below: dict[str, Any]) -> Iterator[Finding]:
    """Lists that take the place of another one, and have nothing of it: they were most likely meant to be added to it.

    An empty one is meant to remove all.
    """
    for name, value in source.document.value.items():
        old = below.get(name)
        if (
            isinstance(value, list)
            and isinstance(old, list)
            and value
            and old
            and not any(_like(value, each) for each in old)
        ):
            message = (
                f"takes the place of all {len(old)} entries of what it overrides, and has none of them:"
                " lists are not put together (RFC 7396)"
            )
            yield source.finding("replaced", (name,), message)


def _like(entries: list[Any], old: Any) -> bool:
    """Whether one of the entries is the old one, perhaps changed."""
    if not isinstance(old, dict):
        return old in entries
    named = [(name, old[name]) for name in ("match", "spawn", "label") if name in old]
    return old in entries or any(
        isinstance(entry, dict) and any(entry.get(name) == value for name, value in named) for entry in entries
    )


def _idle(source: Source, patch: dict[str, Any], below: dict[str, Any], path: Path) -> Iterator[Finding]:
    for name, value in patch.items():
        here = (*path, name)
        inner = below.get(name)
        if value is None and name not in below:
            message = "removes nothing: there is no such member in what it overrides"
            yield source.finding("unused-override", here, message, nearest(name, list(below)[:NAMES]))
        elif isinstance(value, dict):
            yield from _idle(source, value, inner if isinstance(inner, dict) else {}, here)
