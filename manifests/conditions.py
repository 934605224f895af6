"""`conditions` and `requires`: whether a package may be used on this machine."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from .member import MemberError, Path, Report, quote, raise_it, spell, wrong

_ONE_MEMBER = "an object with exactly one member"
_VERSION = 'a string of dotted numbers, like "300"'
_DIGITS = frozenset("0123456789")


class Verdict(msgspec.Struct, frozen=True):
    unmet: str | None
    """The first condition that does not hold, in words; None if all hold."""
    unknown: tuple[Path, ...]
    """Conditions with a predicate that is not known here. They count as holding."""


def judge(conditions: Any, path: Path = ("conditions",), report: Report = raise_it) -> Verdict:
    """Look at all conditions: each is checked for its form, and the file system asked about those that matter.

    report: is told of each malformed one, wherever it is nested. It raises the first, unless another is given.
    """
    looking = _Looking([], report)
    return Verdict(_first_unmet(conditions, path, looking, asked=True), tuple(looking.unknown))


class _Looking(msgspec.Struct, frozen=True):
    """One call of judge()."""

    unknown: list[Path]
    report: Report


def _first_unmet(conditions: Any, path: Path, looking: _Looking, *, asked: bool) -> str | None:
    if not isinstance(conditions, list):
        looking.report(wrong(path, conditions, "a list of conditions"))
        return None
    unmet = None
    for index, condition in enumerate(conditions):
        failed = _failure(condition, (*path, index), looking, asked=asked and unmet is None)
        unmet = unmet or failed
    return unmet


def _failure(condition: Any, path: Path, looking: _Looking, *, asked: bool) -> str | None:
    """What does not hold, or None. Not `asked`: only the form is of interest, nobody reads the answer."""
    if not isinstance(condition, dict):
        looking.report(wrong(path, condition, _ONE_MEMBER))
        return None
    if len(condition) != 1:
        found = f"{len(condition)} members" if condition else "no member"
        looking.report(MemberError(path, f"found an object with {found}, expected {_ONE_MEMBER}"))
        return None
    ((predicate, value),) = condition.items()
    path = (*path, predicate)
    match predicate:
        case "path-exists" | "path-not-exists":
            if not isinstance(value, str):
                looking.report(wrong(path, value, "a string, the path of a file"))
            elif not asked or os.path.exists(value) == (predicate == "path-exists"):
                return None
            else:
                return f"{predicate} {quote(value)}"
        case "any":
            return _none_holds(value, path, looking, asked=asked)
        case _:
            looking.unknown.append(path)
    return None


def _none_holds(conditions: Any, path: Path, looking: _Looking, *, asked: bool) -> str | None:
    if not isinstance(conditions, list):
        looking.report(wrong(path, conditions, "a list of conditions"))
        return None
    failures: list[str] = []
    holds = False
    for index, condition in enumerate(conditions):
        failed = _failure(condition, (*path, index), looking, asked=asked and not holds)
        if failed is None:
            holds = True
        else:
            failures.append(failed)
    return None if holds else f"any of [{', '.join(failures)}]"


def unmet_requirement(requires: Any, generation: str, path: Path, report: Report = raise_it) -> str | None:
    """What of `requires` is not there, in words, or None.

    The one name known is `cockpit`, a version of dotted numbers, held against `generation`. `report` is told of each
    thing malformed; it raises the first, unless another is given.
    """
    if not isinstance(requires, dict):
        report(wrong(path, requires, 'an object like {"cockpit": "300"}'))
        return None
    unmet = None
    for name, wanted in requires.items():
        here = (*path, name)
        if not isinstance(wanted, str):
            report(wrong(here, wanted, _VERSION))
            continue
        if name != "cockpit":
            unmet = unmet or f"{spell(here)}: nothing here provides {quote(name)}"
            continue
        numbers = version(wanted)
        if numbers is None:
            report(wrong(here, wanted, _VERSION))
            continue
        known = version(generation)
        if known is None:
            raise ValueError(f"generation {generation!r} is not made of dotted numbers")
        if known < numbers:
            unmet = unmet or f"{spell(here)}: wants {quote(wanted)}, this is {generation}"
    return unmet


def version(text: str) -> tuple[tuple[int, str], ...] | None:
    """Dotted numbers as something to compare; None if it is not that. "300" and "300.0" are the same.

    A number is kept as its count of digits and its digits: that orders like the number and needs no limit.
    """
    parts = text.split(".")
    if not all(part and _DIGITS.issuperset(part) for part in parts):
        return None
    digits = [part.lstrip("0") for part in parts]
    while digits and not digits[-1]:
        digits.pop()
    return tuple((len(part), part) for part in digits)
