"""Overrides that do not do what they look like: that remove what is not there, or replace a list by accident."""

from collections.abc import Hashable, Iterator
from itertools import islice
from typing import Any, Final

from spanbridge.manifests.member import Path
from spanbridge.manifests.value import hashable

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
        if isinstance(value, list) and isinstance(old, list) and value and old and not _share_a_trait(value, old):
            message = (
                f"takes the place of all {len(old)} entries of what it overrides, and has none of them:"
                " lists are not put together (RFC 7396)"
            )
            yield source.finding("replaced", (name,), message)


def _share_a_trait(entries: list[Any], others: list[Any]) -> bool:
    known = {trait for entry in entries for trait in _traits(entry)}
    return any(trait in known for other in others for trait in _traits(other))


def _traits(entry: Any) -> Iterator[Hashable]:
    """What tells an entry from others: one that shares one of these is the same, perhaps changed."""
    yield hashable(entry)
    if isinstance(entry, dict):
        for name in ("match", "spawn", "label"):
            if name in entry:
                yield name, hashable(entry[name])


def _idle(source: Source, patch: dict[str, Any], below: dict[str, Any], path: Path) -> Iterator[Finding]:
    for name, value in patch.items():
        here = (*path, name)
        inner = below.get(name)
        if value is None and name not in below:
            message = "removes nothing: there is no such member in what it overrides"
            yield source.finding("unused-override", here, message, nearest(name, islice(below, NAMES)))
        elif isinstance(value, dict):
            yield from _idle(source, value, inner if isinstance(inner, dict) else {}, here)
