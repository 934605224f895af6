"""The entries of `bridges`: each is checked alone, so that a bad one takes nothing else with it."""

from __future__ import annotations

from typing import Any

from .member import MemberError, Path, quote, wrong
from .model import Rule
from .template import parse, split_environ, variables

KNOWN = frozenset(("match", "spawn", "environ", "directory", "problem", "timeout", "privileged", "label"))
"""The members an entry may have. Others are ignored."""


def read_rule(entry: Any, package: str, position: int, source: str) -> Rule:
    """Check one entry. Raises MemberError for the first thing wrong in it."""
    here: Path = ("bridges", position)
    if not isinstance(entry, dict):
        raise wrong(here, entry, "an object with match and spawn")
    rule = Rule(
        package=package,
        position=position,
        source=source,
        match=_match(entry, here),
        spawn=_spawn(entry, here),
        environ=_environ(entry, here),
        directory=_string(entry, here, "directory"),
        problem=_string(entry, here, "problem"),
        timeout=_timeout(entry, here),
        privileged=_privileged(entry, here),
        label=_string(entry, here, "label"),
    )
    if rule.privileged:
        _check_privileged(rule, here)
    elif rule.match is None:
        raise MemberError(here, "no match, which only a privileged bridge goes without; {} matches every open")
    return rule


def _match(entry: dict[str, Any], here: Path) -> dict[str, Any] | None:
    if "match" not in entry:
        return None
    match = entry["match"]
    if not isinstance(match, dict):
        raise wrong((*here, "match"), match, "an object")
    return match


def _spawn(entry: dict[str, Any], here: Path) -> tuple[str, ...]:
    if "spawn" not in entry:
        raise MemberError(here, "no spawn, expected a list of strings: the command and its arguments")
    spawn = _strings(entry, here, "spawn")
    if not spawn:
        raise wrong((*here, "spawn"), entry["spawn"], "the command and its arguments")
    if not spawn[0]:
        raise wrong((*here, "spawn", 0), "", "a command")
    return spawn


def _environ(entry: dict[str, Any], here: Path) -> tuple[str, ...]:
    environ = _strings(entry, here, "environ")
    for index, text in enumerate(environ):
        if split_environ(text) is None:
            expected = "NAME=value, NAME of letters, digits and underscore (and ${variables})"
            raise wrong((*here, "environ", index), text, expected)
    return environ


def _strings(entry: dict[str, Any], here: Path, member: str) -> tuple[str, ...]:
    values = entry.get(member, [])
    if not isinstance(values, list):
        raise wrong((*here, member), values, "a list of strings")
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise wrong((*here, member, index), value, "a string")
        _refuse_nul((*here, member, index), value)
    return tuple(values)


def _string(entry: dict[str, Any], here: Path, member: str) -> str | None:
    if member not in entry:
        return None
    value = entry[member]
    if not isinstance(value, str):
        raise wrong((*here, member), value, "a string")
    _refuse_nul((*here, member), value)
    return value


def _refuse_nul(path: Path, text: str) -> None:
    if "\0" in text:
        raise MemberError(path, f"found a NUL character in {quote(text)}, expected none")


def _timeout(entry: dict[str, Any], here: Path) -> float | None:
    if "timeout" not in entry:
        return None
    path = (*here, "timeout")
    seconds = number(entry["timeout"], path, "a number of seconds")
    if seconds < 0:
        raise wrong(path, entry["timeout"], "a number of seconds, 0 or more")
    return seconds


def number(value: Any, path: Path, expected: str) -> float:
    """A JSON number as a float. Raises MemberError: for true and false too, and for more than a float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong(path, value, expected)
    try:
        return float(value)
    except OverflowError:
        raise wrong(path, value, f"{expected} below 1.8e308") from None


def _privileged(entry: dict[str, Any], here: Path) -> bool:
    value = entry.get("privileged", False)
    if not isinstance(value, bool):
        raise wrong((*here, "privileged"), value, "true or false")
    return value


def _check_privileged(rule: Rule, here: Path) -> None:
    """A superuser bridge is started for the session, not for an open: it has none to match or to take values from."""
    if rule.match is not None:
        raise wrong((*here, "match"), rule.match, "none, since the bridge is privileged")
    lists = [("spawn", rule.spawn), ("environ", rule.environ)]
    places: list[tuple[Path, str]] = [
        ((member, index), text) for member, texts in lists for index, text in enumerate(texts)
    ]
    if rule.directory is not None:
        places.append((("directory",), rule.directory))
    for place, text in places:
        if used := variables(parse(text)):
            message = f"found the variable ${{{used[0]}}}, expected none, since the bridge is privileged"
            raise MemberError((*here, *place), message)
