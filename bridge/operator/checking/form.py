"""One manifest or override by itself: whether each member is one that there is, and what it should be."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from spanbridge.manifests.blame import NOT_REFUSED, may_refuse
from spanbridge.manifests.conditions import judge, unmet_requirement
from spanbridge.manifests.libexec import Libexecdir
from spanbridge.manifests.load import check_override, identity
from spanbridge.manifests.member import MemberError, Path, describe, quote
from spanbridge.manifests.model import Rule
from spanbridge.manifests.raw import DefectError
from spanbridge.manifests.rules import read_rule
from spanbridge.manifests.written import CONDITIONS, KNOWN, MEMBERS, REQUIREMENTS

from .contradiction import contradictions
from .finding import Finding, Source
from .sense import of_rule
from .shape import misshapen
from .spelling import nearest

_OLD: Final = {"require": "requires"}
_MEANT: Final = {
    **dict.fromkeys(("env", "environment", "envs", "vars"), "environ"),
    **dict.fromkeys(("cwd", "dir", "workdir", "working-directory", "chdir"), "directory"),
    **dict.fromkeys(("cmd", "command", "exec", "argv", "args", "program"), "spawn"),
    **dict.fromkeys(("when", "if", "pattern"), "match"),
    **dict.fromkeys(("name", "title"), "label"),
    **dict.fromkeys(("root", "superuser", "sudo"), "privileged"),
}
"""What others call the members of a bridge."""


def of_source(source: Source, libexecdir: Libexecdir, generation: str) -> Iterator[Finding]:
    """Everything that can be said of the file without looking at another, or at this machine."""
    value = libexecdir.fill_in(source.document.value, [source.document])
    if source.override:
        # null removes a member, so it may stand anywhere; in a list it is a value as any other.
        value = {name: inner for name, inner in value.items() if inner is not None}
    errors: list[MemberError] = []
    identity(value, "-", errors.append)
    yield from _twice(source)
    yield from _members(source, value)
    for error in misshapen(value, override=source.override):
        yield source.finding("front-end", error.path, error.message)
    if "conditions" in value:
        yield from _conditions(source, value["conditions"], errors)
    for member in ("requires", "require"):
        if member in value:
            yield from _requires(source, value[member], member, generation, errors)
    if "bridges" in value:
        yield from _bridges(source, value["bridges"], errors)
    yield from [source.finding("invalid", error.path, error.message) for error in errors]


def is_left_out(override: Source) -> bool:
    """Whether the loader passes over this override, since it would break what decides about the package."""
    try:
        check_override(override.document)
    except DefectError:
        return True
    return False


def rules(source: Source, entries: Any, package: str) -> list[Rule]:
    """The good ones among the entries of `bridges`, which stand in this file."""
    found: list[Rule] = []
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        line, _ = source.line_and_column(source.outline.places.get(("bridges", position), 0))
        try:
            found.append(read_rule(entry, package, position, f"{source.file}:{line}"))
        except MemberError:  # told of by of_source
            continue
    return found


def _twice(source: Source) -> Iterator[Finding]:
    for path, earlier, later in source.outline.twice:
        line, _ = source.line_and_column(earlier)
        place = source.line_and_column(later)
        found = source.finding("duplicate", path, f"stands here a second time, after line {line}; only this one counts")
        yield Finding(found.severity, found.kind, found.file, *place, found.member, found.message)


def _members(source: Source, value: dict[str, Any]) -> Iterator[Finding]:
    for name in value:
        if name in _OLD:
            message = "an old spelling, which is still taken"
            yield source.finding("unknown-member", (name,), message, _OLD[name])
        elif name not in MEMBERS:
            # Front ends and the package's own pages may have members of their own here.
            if meant := nearest(name, MEMBERS - _OLD.keys()):
                yield source.finding("unknown-member", (name,), "unknown member", meant)
            elif name in KNOWN:
                message = "means nothing here, it is a member of an entry of bridges"
                yield source.finding("unknown-member", (name,), message)


def _conditions(source: Source, conditions: Any, errors: list[MemberError]) -> Iterator[Finding]:
    known = len(errors)
    verdict = judge(conditions, report=errors.append)
    for path in verdict.unknown:
        name = str(path[-1])
        meant = nearest(name, CONDITIONS)
        expected = "" if meant else f"; expected {_listed(CONDITIONS)}"
        yield source.finding("unknown-condition", path, f"unknown condition, which counts as met{expected}", meant)
    for error in errors[known:]:
        yield from _misspelt_condition(source, error.path, conditions)
    for found in contradictions(conditions):
        yield source.finding("never-holds", found.path, found.message)
    yield from _relative_conditions(source, conditions, ("conditions",))


def _misspelt_condition(source: Source, path: Path, conditions: Any) -> Iterator[Finding]:
    """Names in a condition that is malformed, and whose names were not looked at for that."""
    value: Any = {"conditions": conditions}
    for step in path:
        value = value[step]
    if isinstance(value, dict):
        for name in value:
            if name not in CONDITIONS and (meant := nearest(name, CONDITIONS)):
                yield source.finding("unknown-condition", (*path, name), "unknown condition", meant)


def _relative_conditions(source: Source, conditions: Any, path: Path) -> Iterator[Finding]:
    for index, condition in enumerate(conditions if isinstance(conditions, list) else ()):
        for name, value in condition.items() if isinstance(condition, dict) else ():
            here = (*path, index, name)
            if name == "any":
                yield from _relative_conditions(source, value, here)
            elif name in CONDITIONS and isinstance(value, str) and value and not value.startswith("/"):
                why = "~ is not expanded" if value.startswith("~") else "is looked for where the bridge was started"
                yield source.finding("relative", here, f"{quote(value)}: {why}; expected a path from /")


def _requires(
    source: Source, requires: Any, member: str, generation: str, errors: list[MemberError]
) -> Iterator[Finding]:
    if not isinstance(requires, dict):
        unmet_requirement(requires, generation, (member,), errors.append)
        return
    if source.override:
        requires = {name: value for name, value in requires.items() if value is not None}
    unmet_requirement(requires, generation, (member,), errors.append)
    for name in requires:
        if name not in REQUIREMENTS:
            meant = nearest(name, REQUIREMENTS)
            expected = "" if meant else f"; expected {_listed(REQUIREMENTS)}"
            message = f"nothing provides {quote(name)}, so the package is never used{expected}"
            yield source.finding("unmet", (member, name), message, meant)


def _bridges(source: Source, entries: Any, errors: list[MemberError]) -> Iterator[Finding]:
    if not isinstance(entries, list):
        error = MemberError(("bridges",), f"found {describe(entries)}, expected a list of bridges")
        errors.append(error)
        return
    for position, entry in enumerate(entries):
        known = len(errors)
        rule = read_rule(entry, "-", position, "", errors.append)
        if errors[known:] and may_refuse(entry):
            errors[known:] = [MemberError(error.path, error.message + NOT_REFUSED) for error in errors[known:]]
        if isinstance(entry, dict):
            yield from _unknown(source, ("bridges", position), entry, KNOWN)
            yield from of_rule(source, rule)


def _unknown(source: Source, path: Path, entry: dict[str, Any], known: Iterable[str]) -> Iterator[Finding]:
    for name in entry:
        if name not in KNOWN:
            meant = nearest(name, KNOWN) or _MEANT.get(name.casefold(), "")
            expected = "" if meant else f"; expected one of {_listed(known)}"
            yield source.finding("unknown-member", (*path, name), f"unknown member, which is ignored{expected}", meant)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
