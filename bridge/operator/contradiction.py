"""Conditions that can hold nowhere, whatever the machine."""

import posixpath
from typing import Any, NamedTuple

from manifests.member import Path, quote

EXISTS = "path-exists"
NOT_EXISTS = "path-not-exists"


class Fact(NamedTuple):
    path: Path
    """Of the condition that asks for it."""
    file: str
    exists: bool


class Contradiction(NamedTuple):
    path: Path
    message: str


def contradictions(conditions: Any) -> list[Contradiction]:
    """What keeps well-formed conditions from ever holding together."""
    found: list[Contradiction] = []
    facts: list[Fact] = []
    if not isinstance(conditions, list):
        return found
    for index, condition in enumerate(conditions):
        here: Path = ("conditions", index)
        fact = _fact(condition, here)
        if fact is not None:
            why = _impossible(fact, facts)
            if why:
                found.append(Contradiction(fact.path, why))
            facts.append(fact)
    for index, condition in enumerate(conditions):
        if isinstance(condition, dict) and "any" in condition:
            why = _none_possible(condition["any"], ("conditions", index, "any"), facts)
            if why:
                found.append(Contradiction(("conditions", index, "any"), why))
    return found


def _fact(condition: Any, here: Path) -> Fact | None:
    if isinstance(condition, dict) and len(condition) == 1:
        ((predicate, value),) = condition.items()
        if predicate in (EXISTS, NOT_EXISTS) and isinstance(value, str):
            return Fact((*here, predicate), value, predicate == EXISTS)
    return None


def _none_possible(conditions: Any, here: Path, facts: list[Fact]) -> str:
    """Why none of the alternatives can hold beside the facts; empty: one can, or they are malformed."""
    if not isinstance(conditions, list):
        return ""
    if not conditions:
        return "an empty list never holds, so the package is never used; expected a list of conditions"
    for index, condition in enumerate(conditions):
        if isinstance(condition, dict) and set(condition) == {"any"}:
            if not _none_possible(condition["any"], (*here, index, "any"), facts):
                return ""
            continue
        fact = _fact(condition, (*here, index))
        if fact is None or not _impossible(fact, facts):
            return ""
    return "none of these can hold together with the other conditions, so the package is never used"


def _impossible(fact: Fact, facts: list[Fact]) -> str:
    if fact.exists and "\0" in fact.file:
        return "no path has a NUL character in it, so the package is never used"
    if fact.exists and not fact.file:
        return "an empty path never exists, so the package is never used"
    if not fact.exists and posixpath.normpath(fact.file or ".") == "/":
        return "the root directory always exists, so the package is never used"
    for other in facts:
        there, absent = (fact, other) if fact.exists else (other, fact)
        if there.exists and not absent.exists and _needs(there.file, absent.file):
            return (
                f"{EXISTS} {quote(there.file)} and {NOT_EXISTS} {quote(absent.file)} never hold together,"
                " so the package is never used"
            )
    return ""


def _needs(there: str, absent: str) -> bool:
    """Whether a path can only exist if the other does. `..` may lead anywhere, so it says nothing."""
    if ".." in there.split("/") or ".." in absent.split("/") or not there or not absent:
        return False
    there, absent = posixpath.normpath(there), posixpath.normpath(absent)
    return there == absent or there.startswith(f"{absent}/")
