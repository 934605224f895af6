"""One rule by itself: what the bridge takes, but was hardly meant so."""

import re
from collections.abc import Iterator
from typing import Any, Final

from spanbridge.manifests.member import Path, describe, quote
from spanbridge.manifests.model import Rule
from spanbridge.manifests.template import parse, split_environ, variables
from spanbridge.protocol import problems

from .finding import Finding, Source
from .shells import injections, runs_a_shell
from .spelling import nearest

_TEXT_IN_EVERY_OPEN: Final = ("payload", "channel", "host", "user")
_IN_OPENS: Final = frozenset((*_TEXT_IN_EVERY_OPEN, "superuser", "group", "session", "internal", "binary"))
"""Members that opens of front ends have, whatever the payload. A page of one's own may put others into its opens."""
_LOOKS_LIKE_A_VARIABLE: Final = re.compile(r"\$\{[^}]*\}?|\$[A-Za-z_][A-Za-z0-9_]*")
_SET_BY_THE_BRIDGE: Final = ("SPANBRIDGE_DEPTH", "SPANBRIDGE_RULE")
_CODES: Final = frozenset(value for name, value in vars(problems).items() if name.isupper() and isinstance(value, str))


def of_rule(source: Source, rule: Rule) -> Iterator[Finding]:
    """`rule` may be what is left of a bad one."""
    here: Path = ("bridges", rule.position)
    yield from _match(source, here, rule.match or {})
    yield from _environ(source, here, rule)
    yield from _variables(source, here, rule)
    yield from _injections(source, here, rule)
    if rule.problem is not None and rule.problem not in _CODES and (meant := nearest(rule.problem, _CODES)):
        yield source.finding("no-effect", (*here, "problem"), f"unknown problem {quote(rule.problem)}", meant)
    if rule.problem == "":
        message = "an empty problem, which front ends take for the end of a channel with which all was well"
        yield source.finding("no-effect", (*here, "problem"), f"{message}; expected a code such as access-denied")
    if rule.directory and (why := _relative(rule.directory)):
        yield source.finding(
            "relative", (*here, "directory"), f"{quote(rule.directory)}: {why}; expected a path from /"
        )
    if rule.spawn and "/" in rule.spawn[0] and not rule.directory and (why := _relative(rule.spawn[0])):
        message = f"{quote(rule.spawn[0])}: {why}; expected a path from /, or a name without a slash"
        yield source.finding("relative", (*here, "spawn", 0), message)


def _relative(path: str) -> str:
    """What is wrong with a path that should be absolute."""
    if path.startswith(("/", "${")):
        return ""
    return "~ is not expanded" if path.startswith("~") else "is looked for where the bridge was started"


def _match(source: Source, here: Path, match: dict[str, Any]) -> Iterator[Finding]:
    for name, wanted in match.items():
        path = (*here, "match", name)
        if name not in _IN_OPENS and (meant := _slip(name)):
            yield source.finding("never-matches", path, "opens have no such member", meant)
        if name in _TEXT_IN_EVERY_OPEN and wanted is not None and not isinstance(wanted, str):
            message = f"found {describe(wanted)}, but {name} of an open is always a string"
            if isinstance(wanted, list) and wanted:
                message += "; a list is one value, not a choice: write one bridge for each"
            yield source.finding("never-matches", path, message)
        elif isinstance(wanted, str) and variables(parse(wanted)):
            message = f"no variables are filled in in match: this is the text {quote(wanted)}"
            yield source.finding("no-effect", path, message)
        elif isinstance(wanted, list) and any(isinstance(each, str) and "*" in each for each in wanted):
            yield source.finding("no-effect", path, "within a list * is no wildcard")


def _slip(name: str) -> str:
    """The member that front ends put into opens, and that this one is written almost like."""
    folded = {each.casefold(): each for each in _IN_OPENS}
    return folded.get(name.casefold(), "") or nearest(name, ("payload",))


def _injections(source: Source, here: Path, rule: Rule) -> Iterator[Finding]:
    for found in () if rule.privileged else injections(rule.spawn):
        message = f"the open's {quote(found.variable)} {found.what}"
        yield source.finding("injection", (*here, "spawn", found.place), message)


def _environ(source: Source, here: Path, rule: Rule) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, text in enumerate(rule.environ):
        name = text.partition("=")[0]
        path = (*here, "environ", index)
        if split_environ(text) is None:
            continue
        if name in seen:
            message = f"sets {name} again, after environ[{seen[name]}]; only this one counts"
            yield source.finding("duplicate", path, message)
        if name in _SET_BY_THE_BRIDGE:
            yield source.finding("no-effect", path, f"the bridge itself sets {name}")
        seen.setdefault(name, index)


def _variables(source: Source, here: Path, rule: Rule) -> Iterator[Finding]:
    texts: list[tuple[Path, str]] = [((*here, "spawn", index), text) for index, text in enumerate(rule.spawn)]
    texts += [((*here, "environ", index), text) for index, text in enumerate(rule.environ)]
    if rule.directory is not None:
        texts.append(((*here, "directory"), rule.directory))
    through_shell = runs_a_shell(rule.spawn)
    known = set(rule.match or ())
    for path, text in texts:
        for name in variables(parse(text)):
            if name not in known and (meant := nearest(name, known)):
                message = f"${{{name}}} is not in match, and empty unless the open has a member {quote(name)}"
                yield source.finding("unmatched-variable", path, message, f"${{{meant}}}")
        for name in variables(parse(text)):
            if f"$${{{name}}}" in text:
                message = f"$${{{name}}} is a $ and then the value of {quote(name)}"
                yield source.finding("plain-text", path, message, f"\\${{{name}}}")
        plain = "".join(part for part in parse(text) if isinstance(part, str))
        if through_shell or rule.privileged:
            continue
        for found in _LOOKS_LIKE_A_VARIABLE.findall(plain):
            if f"\\{found}" not in text:
                message = f"{quote(found)} is plain text; a variable is written ${{name}}"
                yield source.finding("plain-text", path, message)
