"""Conditions that can hold nowhere, whatever the machine."""

import posixpath
from typing import Any, Final, NamedTuple

from spanbridge.manifests.member import Path, quote

EXISTS: Final = "path-exists"
NOT_EXISTS: Final = "path-not-exists"


LONGEST: Final = 4096
"""Characters of a path that is compared with others: a longer one does not exist (PATH_MAX)."""


class Fact(NamedTuple):
    path: Path
    """Of the condition that asks for it."""
    file: str
    exists: bool


class Contradiction(NamedTuple):
    path: Path
    message: str


class _Facts:
    """What must all hold together; asked without a look at each."""

    def __init__(self) -> None:
        self._needed: dict[str, str] = {}
        """What must be there, and the path that needs it: itself, or one below."""
        self._absent: dict[str, str] = {}

    def add(self, fact: Fact) -> None:
        lines = _line(fact.file)
        if fact.exists:
            for each in lines:
                self._needed.setdefault(each, fact.file)
        elif lines:
            self._absent.setdefault(lines[0], fact.file)

    def against(self, fact: Fact) -> str:
        """Why the fact cannot hold with these, or at all; empty: it can."""
        if fact.exists and "\0" in fact.file:
            return "no path has a NUL character in it, so the package is never used"
        if fact.exists and not fact.file:
            return "an empty path never exists, so the package is never used"
        lines = _line(fact.file)
        if not fact.exists and lines == ["/"]:
            return "the root directory always exists, so the package is never used"
        there: str | None
        absent: str | None
        if fact.exists:
            there, absent = fact.file, next((self._absent[each] for each in lines if each in self._absent), None)
        else:
            there, absent = self._needed.get(lines[0]) if lines else None, fact.file
        if there is None or absent is None:
            return ""
        return (
            f"{EXISTS} {quote(there)} and {NOT_EXISTS} {quote(absent)} never hold together,"
            " so the package is never used"
        )


def contradictions(conditions: Any) -> list[Contradiction]:
    """What keeps well-formed conditions from ever holding together."""
    found: list[Contradiction] = []
    facts = _Facts()
    if not isinstance(conditions, list):
        return found
    for index, condition in enumerate(conditions):
        fact = _fact(condition, ("conditions", index))
        if fact is not None:
            why = facts.against(fact)
            if why:
                found.append(Contradiction(fact.path, why))
            facts.add(fact)
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


def _none_possible(conditions: Any, here: Path, facts: _Facts) -> str:
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
        if fact is None or not facts.against(fact):
            return ""
    return "none of these can hold together with the other conditions, so the package is never used"


def _line(file: str) -> list[str]:
    """The path and all that it is in, up to the root; nothing where `..` may lead through a link to anywhere. With a
    slash at its end it is a directory's: a file is there without one alone."""
    if not file.startswith("/") or len(file) > LONGEST or ".." in file.split("/"):
        return []
    path = posixpath.normpath(file).replace("//", "/")
    if path == "/":
        return ["/"]
    found = [f"{path}/", path] if file.endswith(("/", "/.")) else [path]
    while path != "/":
        path = posixpath.dirname(path)
        found += [f"{path.rstrip('/')}/", path]
    return found
