"""Tests for one value of an open, made from what a rule's `match` wants there."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

from .wildcard import compile_wildcard, is_wildcard

Test: TypeAlias = Callable[[Any], bool]


def compile_value(wanted: Any) -> Test | None:
    """null asks for no more than that the member is there, which needs no test: None."""
    if wanted is None:
        return None
    if not isinstance(wanted, str):
        return lambda got: equal(wanted, got)
    if not is_wildcard(wanted):
        return lambda got: bool(got == wanted)
    fits = compile_wildcard(wanted)
    return lambda got: isinstance(got, str) and fits(got)


def equal(a: Any, b: Any) -> bool:
    """Equal as JSON values: true is not 1, but 1 is 1.0. Calls itself as deep as both are nested alike."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and len(a) == len(b)
            and all(name in b and equal(value, b[name]) for name, value in a.items())
        )
    if isinstance(a, list):
        return (
            isinstance(b, list) and len(a) == len(b) and all(equal(one, other) for one, other in zip(a, b, strict=True))
        )
    return bool(a == b)


def hashable(value: Any) -> Hashable:
    """What is the same for two values if, and only if, they are equal. Calls itself as deep as the value is nested."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, dict):
        return frozenset((name, hashable(inner)) for name, inner in value.items())
    return tuple(map(hashable, value)) if isinstance(value, list) else value
