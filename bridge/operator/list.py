"""`spanbridge list`: what a bridge finds, and what it does not use (docs/manifests.md, "Listing")."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from spanbridge.manifests.directories import data_directories, override_directories
from spanbridge.manifests.model import Catalog, Defect, Hidden, Rule
from spanbridge.manifests.wildcard import is_wildcard

from ..catalog import EXTENSION_PAYLOADS, load, with_own_rules
from ..helpers.offered import ident_of, offer
from ..limits import Limits, SettingError, read_limits
from .checking.spelling import nearest
from .checking.targets import override_files
from .output import print_json, tolerate_any_character
from .printable import printable
from .terminal import Paint

_DESCRIPTION: Final = """\
List what a bridge finds: packages and the overrides applied to them, rules in the order in which they are tried,
privileged bridges, packages that are hidden and why, and what is wrong.
"""


class PackageEntry(msgspec.Struct, frozen=True):
    name: str
    path: str
    priority: float
    user: bool
    """It is the user's own, from $XDG_DATA_HOME."""
    overrides: tuple[str, ...]
    """The files applied, in that order."""
    rules: int
    privileged: int


class RuleEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    source: str
    """FILE:LINE: an override's, where it is the override that has the rule."""
    spawn: tuple[str, ...]
    order: int = 0
    """From 1: the place among all rules."""
    match: dict[str, Any] | None = None
    environ: tuple[str, ...] = ()
    directory: str | None = None
    problem: str | None = None
    timeout: float | None = None
    label: str | None = None
    id: str = ""
    """Of a privileged bridge."""
    left_out: str = ""
    """Why a privileged bridge is not offered; empty if it is."""


class Listing(msgspec.Struct, frozen=True):
    packages: list[PackageEntry]
    rules: list[RuleEntry]
    privileged: list[RuleEntry]
    hidden: list[Hidden]
    unused_overrides: list[str]
    """Those that were not applied to any package in use."""
    defects: list[Defect]
    package_directories: list[str]
    override_directories: list[str]


class UnknownPackageError(Exception):
    """A package that is not there, by a name given; the text says which."""


def main(arguments: list[str]) -> int:
    """Run the tool; its exit status."""
    parser = argparse.ArgumentParser(
        prog="spanbridge list", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", metavar="PACKAGE", nargs="*", help="only what is of these packages")
    parser.add_argument("--json", action="store_true", help="the same, and more, as JSON")
    parser.add_argument("--payloads", action="store_true", help="the payloads that can be opened, one a line")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as exit_:  # argparse has said why
        return 2 if exit_.code else 0
    tolerate_any_character()
    environ = dict(os.environ)
    try:
        found = listing(environ, read_limits([], environ))
        if options.packages:
            found = only(found, options.packages)
    except (SettingError, UnknownPackageError, OSError) as error:  # an OSError: our own directory is gone
        print(f"spanbridge list: {error}", file=sys.stderr)
        return 2
    if options.payloads:
        print("\n".join(payloads(found)))
    elif options.json:
        print_json(found)
    else:
        print("\n\n".join(_sections(found, Paint(sys.stdout))))
    return 0


def listing(environ: Mapping[str, str], limits: Limits) -> Listing:
    """What a bridge with this environment would find."""
    catalog = with_own_rules(load(environ, limits.manifest_bytes))
    _, left_out = offer(catalog.privileged, environ, limits.sudo_seconds)
    why = {rule.name: reason for rule, reason in left_out}
    applied = {file for package in catalog.packages for file in package.overrides}
    return Listing(
        packages=_packages(catalog),
        rules=[_rule(rule, order=order) for order, rule in enumerate(catalog.rules, 1)],
        privileged=[
            _rule(rule, order=order, id=ident_of(rule), left_out=why.get(rule.name, ""))
            for order, rule in enumerate(catalog.privileged, 1)
        ],
        hidden=list(catalog.hidden),
        unused_overrides=[file for file in override_files(environ) if file not in applied],
        defects=list(catalog.defects),
        package_directories=[place.path for place in data_directories(environ)],
        override_directories=list(override_directories(environ)),
    )


def payloads(found: Listing) -> list[str]:
    """Those that rules name, those of the bridge itself, and those of extensions. Wildcards are no names."""
    from ..payloads.base import PAYLOADS

    named = [rule.match.get("payload") for rule in found.rules if rule.match is not None]
    exact = {name for name in named if isinstance(name, str) and name.isprintable() and not is_wildcard(name)}
    return sorted(exact | PAYLOADS.keys() | set(EXTENSION_PAYLOADS))


def only(found: Listing, names: Iterable[str]) -> Listing:
    """What is of these packages, by their name or that of their directory. Raises UnknownPackageError."""
    wanted = set(names)
    packages = [each for each in found.packages if wanted & {each.name, os.path.basename(each.path)}]
    hidden = [each for each in found.hidden if wanted & {each.name, os.path.basename(each.path)}]
    kept = {each.name for each in packages}
    paths = [*[each.path for each in packages], *[each.path for each in hidden]]
    directories = {os.path.basename(path) for path in paths}
    for name in sorted(wanted - kept - directories - {each.name for each in hidden}):
        meant = nearest(name, [*[each.name for each in found.packages], *[each.name for each in found.hidden]])
        raise UnknownPackageError(f"no package {printable(name)}" + (f"; did you mean {meant}?" if meant else ""))
    inside = tuple(f"{path}/" for path in paths)
    return msgspec.structs.replace(
        found,
        packages=packages,
        rules=[rule for rule in found.rules if rule.name.partition("/")[0] in kept],
        privileged=[rule for rule in found.privileged if rule.name.partition("/")[0] in kept],
        hidden=hidden,
        unused_overrides=[file for file in found.unused_overrides if _directory_of(file) in directories],
        defects=[
            defect
            for defect in found.defects
            if defect.file.startswith(inside) or _directory_of(defect.file) in directories
        ],
    )


def _directory_of(override: str) -> str:
    return os.path.basename(override).removesuffix(".override.json")


def _packages(catalog: Catalog) -> list[PackageEntry]:
    return [
        PackageEntry(
            package.name,
            package.path,
            package.priority,
            package.user,
            package.overrides,
            sum(not rule.privileged for rule in package.bridges),
            sum(rule.privileged for rule in package.bridges),
        )
        for package in catalog.packages
    ]


def _rule(rule: Rule, **more: Any) -> RuleEntry:
    members = ("spawn", "match", "environ", "directory", "problem", "timeout", "label")
    return RuleEntry(rule.name, rule.source, **{name: getattr(rule, name) for name in members}, **more)


def _sections(found: Listing, paint: Paint) -> list[str]:
    sections = [_packages_text(found, paint), _rules_text(found, paint), _privileged_text(found, paint)]
    if found.hidden:
        lines = [
            f"  {each.name}  {printable(each.path)}\n      {paint('yellow', printable(each.reason))}"
            for each in found.hidden
        ]
        sections.append("\n".join([paint("bold", "Packages that are not used, and why"), *lines]))
    if found.unused_overrides:
        title = "Overrides that are not applied (see: spanbridge check)"
        sections.append("\n".join([paint("bold", title), *[f"  {printable(file)}" for file in found.unused_overrides]]))
    if found.defects:
        lines = [f"  {paint('red', printable(str(defect)))}" for defect in found.defects]
        sections.append("\n".join([paint("bold", "What is wrong (all of it: spanbridge check)"), *lines]))
    return sections


def _packages_text(found: Listing, paint: Paint) -> str:
    lines = [paint("bold", "Packages in use")]
    width = max((len(each.name) for each in found.packages), default=0)
    for each in found.packages:
        more = [] if each.priority == 1 else [f"priority {each.priority:g}"]
        more += [_count(each.rules, "rule")] if each.rules else []
        more += [f"{each.privileged} privileged"] if each.privileged else []
        told = paint("dim", f"  ({', '.join(more)})") if more else ""
        lines.append(f"  {each.name:<{width}}  {printable(each.path)}{told}")
        lines += [f"  {'':<{width}}    + {paint('blue', printable(file))}" for file in each.overrides]
    if not found.packages:
        lines.append(f"  none in {printable(', '.join(found.package_directories))}")
    return "\n".join(lines)


def _rules_text(found: Listing, paint: Paint) -> str:
    lines = [paint("bold", "Rules, in the order in which they are tried")]
    width = len(str(len(found.rules)))
    for rule in found.rules:
        match = printable(msgspec.json.encode(rule.match).decode())
        lines.append(f"  {rule.order:>{width}}  {rule.name}  {paint('dim', printable(rule.source))}")
        lines.append(f"  {'':>{width}}    {paint('blue', match)}")
        lines.append(f"  {'':>{width}}    {_command(rule)}")
        lines += [f"  {'':>{width}}    {paint('dim', printable(text))}" for text in _settings(rule)]
    return "\n".join(lines if found.rules else [*lines, "  none"])


def _privileged_text(found: Listing, paint: Paint) -> str:
    lines = [paint("bold", "Privileged bridges")]
    for rule in found.privileged:
        state = (
            paint("yellow", f"not offered: {printable(rule.left_out)}") if rule.left_out else paint("green", "offered")
        )
        lines.append(f"  {printable(rule.id)}  {state}  {rule.name}  {paint('dim', printable(rule.source))}")
        lines.append(f"      {_command(rule)}")
    return "\n".join(lines if found.privileged else [*lines, "  none"])


def _command(rule: RuleEntry) -> str:
    """As it is written, variables and all, quoted as for a shell."""
    if not rule.spawn:
        return "no command: refuses what it matches"
    return printable(" ".join([*map(_setting, rule.environ), shlex.join(rule.spawn)]))


def _setting(text: str) -> str:
    """An entry of `environ`: only the value in quotes, as is usual, unless the name needs them too."""
    name, equals, value = text.partition("=")
    return f"{name}{equals}{shlex.quote(value)}" if shlex.quote(name) == name else shlex.quote(text)


def _settings(rule: RuleEntry) -> list[str]:
    named = (("directory", rule.directory), ("problem", rule.problem), ("timeout", rule.timeout), ("label", rule.label))
    told = [f"{name} {_number(value)}" for name, value in named if value is not None]
    return [", ".join(told)] if told else []


def _number(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else value


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
