"""What rules need of this machine: programs, working directories, something for sudo to ask with."""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from spanbridge.manifests.member import Path, quote
from spanbridge.manifests.model import Rule
from spanbridge.manifests.template import parse, split_environ, variables

from ...helpers.offered import TWICE, ident_of, offer
from ...helpers.startable import first_line, look_up
from ...limits import Limits
from .finding import Finding, Source
from .shells import program_behind_env

_ASKPASS: Final = "SUDO_ASKPASS"
_ROOT: Final = "/"
"""Stands for the bridge's working directory, of which nothing is known. Nothing is looked for there."""
_WITH_VALUE: Final = frozenset("CcDghpRrtTuU")
"""Short options of sudo that take a value (sudo(8))."""


def of_rules(rules: Iterable[tuple[Source, Rule]], environ: Mapping[str, str], limits: Limits) -> Iterator[Finding]:
    """Whether they can be started here, as far as that does not depend on the open."""
    privileged: list[tuple[Source, Rule]] = []
    for source, rule in rules:
        if rule.privileged:
            privileged.append((source, rule))
        else:
            yield from _startable(source, ("bridges", rule.position), rule, environ)
    yield from _of_privileged(privileged, environ, limits)


def _of_privileged(rules: list[tuple[Source, Rule]], environ: Mapping[str, str], limits: Limits) -> Iterator[Finding]:
    """A superuser bridge that cannot be started matters only if its package has no other that can."""
    offered, left_out = offer([rule for _, rule in rules], environ, limits.sudo_seconds)
    with_one = {rule.package for rule in offered.values()}
    unusable = {id(rule): why for rule, why in left_out if why != TWICE}
    for source, rule in rules:
        here: Path = ("bridges", rule.position)
        why = unusable.get(id(rule))
        if why is None:
            yield from _startable(source, here, rule, environ)
            yield from _askpass(source, here, rule, environ)
        elif rule.package in with_one and "/" not in rule.spawn[0]:
            yield source.finding("not-offered", (*here, "spawn", 0), f"{why}; not offered on this machine")
        else:
            yield source.finding("command", (*here, "spawn", 0), why, _split(rule.spawn, environ))


def same_ids(rules: Iterable[tuple[Source, Rule]]) -> Iterator[Finding]:
    """Superuser bridges that go by one id: the second is left out."""
    first: dict[str, Rule] = {}
    for source, rule in rules:
        if not rule.privileged:
            continue
        ident = ident_of(rule)
        if ident in first:
            path: Path = ("bridges", rule.position, *(("label",) if rule.label else ("spawn", 0)))
            message = f"the id {quote(ident)} is that of {first[ident].name} ({first[ident].source}), which comes first"
            yield source.finding("twice", path, f"{message}: this one is left out; expected a label of its own")
        first.setdefault(ident, rule)


def _startable(source: Source, here: Path, rule: Rule, own: Mapping[str, str]) -> Iterator[Finding]:
    if not rule.spawn:  # it refuses
        return
    directory = None
    if rule.directory and rule.directory.startswith("/") and _is_fixed(rule.directory):
        directory = _plain(rule.directory)
        if why := _no_directory(directory):
            yield source.finding("directory", (*here, "directory"), why)
            directory = None
    program = rule.spawn[0]
    from_elsewhere = "/" in program and not program.startswith("/") and directory is None
    if from_elsewhere or not _is_fixed(program):
        return
    environ = dict(own)
    for text in rule.environ:
        pair = split_environ(text)
        if pair is None or variables(pair[0]):
            continue
        name = _plain(text.partition("=")[0])
        if name == "PATH" and variables(pair[1]):  # the open decides where it is looked for
            if "/" not in program:
                return
        else:
            environ[name] = "".join(part for part in pair[1] if isinstance(part, str))
    spawn = (_plain(program), *rule.spawn[1:])
    found = look_up(spawn, environ, directory, _ROOT)
    if found.why:
        message = f"{found.why} ({found.detail})" if found.detail else found.why
        yield source.finding("command", (*here, "spawn", 0), message, _split(spawn, environ))
    elif why := first_line(found.path, environ):
        yield source.finding("command", (*here, "spawn", 0), f"{program}: {why}")
    else:
        yield from _behind_env(source, here, rule.spawn, environ, directory)


def _behind_env(
    source: Source, here: Path, spawn: Sequence[str], environ: Mapping[str, str], directory: str | None
) -> Iterator[Finding]:
    """The program that `env` is told to run, where it looks as we do: it may be given another PATH."""
    at = program_behind_env(spawn)
    if not 0 < at < len(spawn) or any(each.startswith(("-", "PATH=")) for each in spawn[1:at]):
        return
    if not _is_fixed(program := spawn[at]) or ("/" in program and not program.startswith("/") and directory is None):
        return
    found = look_up((_plain(program),), environ, directory, _ROOT)
    if why := found.why or first_line(found.path, environ):
        yield source.finding("command", (*here, "spawn", at), f"{program}: {why.removeprefix(f'{program}: ')}")


def _no_directory(path: str) -> str:
    if os.path.isdir(path):
        return "" if os.access(path, os.X_OK) else f"{path}: Permission denied"
    return f"{path}: {'Not a directory' if os.path.lexists(path) else 'No such file or directory'}"


def _split(spawn: Sequence[str], environ: Mapping[str, str]) -> str:
    """A whole command line where only a program should be, as it should be written; empty if it is not one."""
    if " " not in spawn[0].strip():
        return ""
    try:
        words = shlex.split(spawn[0])
    except ValueError:
        return ""
    if words and not look_up(words, environ, None, _ROOT).why:
        return f'"spawn": [{", ".join(map(quote, (*words, *spawn[1:])))}]'
    return ""


def _askpass(source: Source, here: Path, rule: Rule, own: Mapping[str, str]) -> Iterator[Finding]:
    if ident_of(rule) != "sudo" and rule.spawn[0].rpartition("/")[2] != "sudo":
        return
    index, asker = -1, own.get(_ASKPASS, "")
    for position, text in enumerate(rule.environ):
        name, _, value = text.partition("=")
        if name == _ASKPASS:
            index, asker = position, _plain(value)
    asks = "A" in _short_options(rule.spawn[1:]) or "--askpass" in rule.spawn[1:]
    if index >= 0 and (why := look_up((asker or "",), {}, None, _ROOT).why if asker else "found nothing"):
        message = f"askpass program {why}; expected ${{libexecdir}}/cockpit-askpass, or another that is there"
        yield source.finding("askpass", (*here, "environ", index), message)
    elif asks and not asker and not _in_sudo_conf():
        message = "sudo -A asks through the program in SUDO_ASKPASS, which is not set"
        fix = f'"environ": ["{_ASKPASS}=${{libexecdir}}/cockpit-askpass"]'
        yield source.finding("askpass", here, message, fix)


def _short_options(arguments: Iterable[str]) -> set[str]:
    """The letters of sudo's short options, up to the command that it runs."""
    letters: set[str] = set()
    value_follows = False
    for argument in arguments:
        if value_follows:
            value_follows = False
        elif not argument.startswith("-") or argument == "--":
            break
        elif not argument.startswith("--"):
            for place, letter in enumerate(argument[1:], 2):
                letters.add(letter)
                if letter in _WITH_VALUE:
                    value_follows = place == len(argument)
                    break
    return letters


def _in_sudo_conf(file: str = "/etc/sudo.conf") -> bool:
    """Whether the machine's own settings name an askpass program (sudo.conf(5))."""
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            return any(line.split()[:2] == ["Path", "askpass"] for line in lines)
    except OSError:
        return False


def _is_fixed(text: str) -> bool:
    return not variables(parse(text))


def _plain(text: str) -> str:
    """The text of a template without variables."""
    return "".join(part for part in parse(text) if isinstance(part, str))
