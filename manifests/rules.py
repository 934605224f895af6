"""The entries of `bridges`: each is checked alone, so that a bad one takes nothing else with it."""

from __future__ import annotations

from typing import Any

from .member import MemberError, Path, Report, number, quote, raise_it, wrong
from .model import METHODS, SPAWN, Rule
from .template import parse, split_environ, variables


def read_rule(entry: Any, package: str, position: int, source: str, report: Report = raise_it) -> Rule:
    """Check one entry.

    report: is told of each thing wrong in it, in turn. It raises the first, unless another is given; then the rule is
    of use only if that was never called.
    """
    here: Path = ("bridges", position)
    if not isinstance(entry, dict):
        report(wrong(here, entry, "an object with match and spawn"))
        return Rule(package, position, source, None, ())
    rule = Rule(
        package=package,
        position=position,
        source=source,
        match=_match(entry, here, report),
        spawn=_spawn(entry, here, report),
        environ=_environ(entry, here, report),
        directory=_string(entry, here, "directory", report),
        problem=_string(entry, here, "problem", report),
        timeout=_timeout(entry, here, report),
        privileged=_boolean(entry, here, "privileged", report),
        label=_string(entry, here, "label", report),
        method=_method(entry, here, report),
        polkit=_boolean(entry, here, "polkit", report),
    )
    if rule.privileged:
        _check_privileged(rule, here, report)
        return rule
    if rule.method != SPAWN:
        report(wrong((*here, "method"), rule.method, "spawn, since the bridge is not privileged"))
    if "match" not in entry:
        report(MemberError(here, "no match, which only a privileged bridge goes without; {} matches every open"))
    return rule


def _match(entry: dict[str, Any], here: Path, report: Report) -> dict[str, Any] | None:
    if "match" not in entry:
        return None
    match = entry["match"]
    if not isinstance(match, dict):
        report(wrong((*here, "match"), match, "an object"))
        return None
    return match


def _spawn(entry: dict[str, Any], here: Path, report: Report) -> tuple[str, ...]:
    if "spawn" not in entry:
        if "problem" in entry and "match" in entry and entry.get("privileged") is not True:
            return ()  # it refuses what it matches; or is to, with a problem that is none, which is told
        report(MemberError(here, "no spawn, expected a list of strings: the command and its arguments"))
        return ()
    if entry["spawn"] == []:
        report(wrong((*here, "spawn"), [], "the command and its arguments"))
    spawn = _strings(entry, here, "spawn", report)
    if spawn and not spawn[0]:
        report(wrong((*here, "spawn", 0), "", "a command"))
    return spawn


def _environ(entry: dict[str, Any], here: Path, report: Report) -> tuple[str, ...]:
    environ = _strings(entry, here, "environ", report)
    for index, text in enumerate(environ):
        if split_environ(text) is None:
            expected = "NAME=value (NAME may hold ${variables})"
            report(wrong((*here, "environ", index), text, expected))
    return environ


def _strings(entry: dict[str, Any], here: Path, member: str, report: Report) -> tuple[str, ...]:
    """The list of strings; an empty one if it is not that."""
    values = entry.get(member, [])
    if not isinstance(values, list):
        report(wrong((*here, member), values, "a list of strings"))
        return ()
    good = True
    for index, value in enumerate(values):
        if not isinstance(value, str):
            report(wrong((*here, member, index), value, "a string"))
            good = False
        elif "\0" in value:
            report(_with_nul((*here, member, index), value))
    return tuple(values) if good else ()


def _string(entry: dict[str, Any], here: Path, member: str, report: Report) -> str | None:
    if member not in entry:
        return None
    value = entry[member]
    if not isinstance(value, str):
        report(wrong((*here, member), value, "a string"))
        return None
    if "\0" in value:
        report(_with_nul((*here, member), value))
    return value


def _with_nul(path: Path, text: str) -> MemberError:
    return MemberError(path, f"found a NUL character in {quote(text)}, expected none")


def _timeout(entry: dict[str, Any], here: Path, report: Report) -> float | None:
    if "timeout" not in entry:
        return None
    path = (*here, "timeout")
    try:
        seconds = number(entry["timeout"], path, "a number of seconds")
    except MemberError as error:
        report(error)
        return None
    if seconds < 0:
        report(wrong(path, entry["timeout"], "a number of seconds, 0 or more"))
    return seconds


def _boolean(entry: dict[str, Any], here: Path, member: str, report: Report) -> bool:
    value = entry.get(member, False)
    if not isinstance(value, bool):
        report(wrong((*here, member), value, "true or false"))
        return False
    return value


def _method(entry: dict[str, Any], here: Path, report: Report) -> str:
    method = entry.get("method", SPAWN)
    if method not in METHODS or not isinstance(method, str):
        report(wrong((*here, "method"), method, " or ".join(quote(each) for each in METHODS)))
        return SPAWN
    return method


def _check_privileged(rule: Rule, here: Path, report: Report) -> None:
    """A superuser bridge is started for the session, not for an open: it has none to match or to take values from."""
    if rule.match is not None:
        report(wrong((*here, "match"), rule.match, "none, since the bridge is privileged"))
    lists = [("spawn", rule.spawn), ("environ", rule.environ)]
    places: list[tuple[Path, str]] = [
        ((member, index), text) for member, texts in lists for index, text in enumerate(texts)
    ]
    if rule.directory is not None:
        places.append((("directory",), rule.directory))
    for place, text in places:
        if used := variables(parse(text)):
            message = f"found the variable ${{{used[0]}}}, expected none, since the bridge is privileged"
            report(MemberError((*here, *place), message))
