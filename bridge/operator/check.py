"""`spanbridge check`: every problem in manifests and overrides (docs/manifests.md, "Checking")."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from spanbridge.manifests.directories import data_directories, override_directories
from spanbridge.manifests.libexec import Libexecdir
from spanbridge.manifests.model import Catalog

from ..catalog import load
from ..installed import GENERATION, askpass
from ..limits import Limits, SettingError, read_limits
from .checking import form, machine
from .checking.finding import ERROR, KINDS, NOTE, WARNING, Finding, of_defect, of_file
from .checking.machine import same_ids
from .checking.placement import misplaced, relative_paths
from .checking.reachability import shadowed
from .checking.removal import idle_removals, replaced_lists
from .checking.spelling import nearest
from .checking.targets import (
    Layout,
    Package,
    Reader,
    TargetError,
    directory_of,
    installed,
    named,
    odd_files,
    override_files,
)
from .output import print_json, tolerate_any_character
from .printable import printable
from .terminal import Paint

CLEAN: Final = 0
PROBLEMS: Final = 1
COULD_NOT_RUN: Final = 2

COMPARISONS: Final = 250_000
"""Of names of overrides with names of packages, at most: beyond, it is not told what an override was meant for."""

_BROKEN: Final = "unusable: "
"""How the loader's reason begins where a package is left out for something wrong in it."""

_DESCRIPTION: Final = """\
Check manifests and overrides: every problem with its file, line, column and member, what was expected, and what a
misspelt member was meant to be. Without an argument, all that a bridge would find is checked.
"""

_EPILOG: Final = """\
A DIR is a package, or a directory of packages or of overrides. Errors are what keeps something from working, warnings
what was hardly meant so. Notes do not count as problems: they say what is different on this machine, or why a
package is not used.

exit status: 0 no problems, 1 problems, 2 could not run
"""


def main(arguments: list[str]) -> int:
    """Run the tool; its exit status."""
    parser = argparse.ArgumentParser(
        prog="spanbridge check",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", metavar="DIR|FILE", nargs="*", help="a package, a manifest, an override")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="problems only: no notes, no summary")
    parser.add_argument(
        "--ignore", metavar="KIND", action="append", default=[], help="nothing of this kind, as shown in brackets"
    )
    parser.add_argument(
        "--portable",
        action="store_true",
        help="nothing about this machine: programs and directories are not looked for",
    )
    try:
        options = parser.parse_args(arguments)
        for kind in options.ignore:
            if kind not in KINDS:
                parser.error(f"--ignore {kind}: expected one of {', '.join(KINDS)}")
    except SystemExit as exit_:  # argparse has said why
        return COULD_NOT_RUN if exit_.code else CLEAN
    tolerate_any_character()
    environ = dict(os.environ)
    try:
        limits = read_limits([], environ)
        checking = Checking(environ, limits, portable=options.portable)
        findings = checking.named(options.targets) if options.targets else checking.installed()
    except (SettingError, TargetError, OSError) as error:  # an OSError: our own directory is gone
        print(f"spanbridge check: {printable(str(error))}", file=sys.stderr)
        return COULD_NOT_RUN
    findings = [each for each in findings if each.kind not in options.ignore]
    told = [each for each in findings if each.severity != NOTE] if options.quiet else findings
    if options.json:
        _print_json(told, checking.files)
    else:
        _print_text(told)
        if not options.quiet:
            if not options.targets:
                print(printable(f"looked in {', '.join(checking.directories)}"), file=sys.stderr)
            print(_summary(findings, checking.files), file=sys.stderr)
    return PROBLEMS if any(each.severity != NOTE for each in findings) else CLEAN


class Checking:
    """One run. `portable`: what depends on this machine is left out."""

    def __init__(self, environ: Mapping[str, str], limits: Limits, *, portable: bool) -> None:
        self._environ = environ
        self._limits = limits
        self._portable = portable
        self._libexecdir = Libexecdir(askpass())
        self._reader = Reader(limits.manifest_bytes)

    @property
    def files(self) -> int:
        """How many manifests and overrides were looked at."""
        return len(self._reader.sources) + len(self._reader.findings)

    @property
    def directories(self) -> list[str]:
        """Where a bridge looks."""
        return [*(place.path for place in data_directories(self._environ)), *override_directories(self._environ)]

    def installed(self) -> list[Finding]:
        """All that a bridge would find."""
        catalog = load(self._environ, self._limits.manifest_bytes)
        layouts = installed(self._environ)
        for file in (*[file for layout in layouts for file in layout.files], *override_files(self._environ)):
            self._reader.read(file)
        # One that is broken will be used once it is mended: all that is wrong with it is told of at once.
        in_use = {package.path for package in catalog.packages}
        in_use |= {hidden.path for hidden in catalog.hidden if hidden.reason.startswith(_BROKEN)}
        packages = [
            package
            for layout in layouts
            if layout.path in in_use and (package := self._reader.package(layout, self._libexecdir)) is not None
        ]
        findings = [
            *self._of_files(packages),
            *self._unused_overrides(layouts),
            *relative_paths(self._environ),
            *misplaced(self._environ),
            *_hidden(catalog),
            # What is wrong within files has been told of above, all of it and not only the first for each entry.
            *[of_defect(defect) for defect in catalog.defects if defect.file not in self._reader.sources],
        ]
        return _in_order(findings)

    def named(self, arguments: Iterable[str]) -> list[Finding]:
        """What the arguments name, and nothing else. Raises TargetError."""
        layouts = named(arguments, self._environ)
        packages = [
            package for layout in layouts if (package := self._reader.package(layout, self._libexecdir)) is not None
        ]
        asked_for = {file for layout in layouts for file in layout.files[layout.underlying :]}
        findings = [each for each in self._of_files(packages) if each.file in asked_for]
        if not self._portable:
            findings += [
                of_file("not-used", package.file, f"not used on this machine: {package.unmet}")
                for package in packages
                if package.unmet
            ]
        return _in_order(findings)

    def _of_files(self, packages: list[Package]) -> Iterator[Finding]:
        for source in self._reader.sources.values():
            yield from form.of_source(source, self._libexecdir, GENERATION)
        for package in packages:
            for source, below in package.overrides:
                yield from idle_removals(source, below)
                yield from replaced_lists(source, below)
        ordered = sorted(packages, key=lambda package: (-package.priority, package.name))
        yield from _unreachable(ordered)
        yield from same_ids([pair for package in ordered for pair in package.rules])
        if not self._portable:
            here = [pair for package in ordered if not package.unmet for pair in package.rules]
            yield from machine.of_rules(here, self._environ, self._limits)
        yield from self._reader.findings

    def _unused_overrides(self, layouts: list[Layout]) -> Iterator[Finding]:
        directories = {layout.directory for layout in layouts}
        unused = [file for file in override_files(self._environ) if directory_of(file) not in directories]
        called = _by_name(layouts, self._reader) if unused else {}
        worth_a_look = COMPARISONS // max(len(directories), 1)
        for number, file in enumerate(unused):
            meant = directories if number < worth_a_look else ()
            yield of_file("unused-override", file, *_why_unused(directory_of(file), called, meant))
        for file in odd_files(self._environ):
            message = "is not taken for an override; expected a name like DIRECTORY.override.json"
            yield of_file("unused-override", file, message)


def _by_name(layouts: list[Layout], reader: Reader) -> dict[str, Layout]:
    """By the name that a manifest has for its package: the first that has it."""
    found: dict[str, Layout] = {}
    for layout in layouts:
        source = reader.read(layout.files[0])
        name = None if source is None else source.document.value.get("name")
        if isinstance(name, str):
            found.setdefault(name, layout)
    return found


def _why_unused(name: str, called: Mapping[str, Layout], directories: Iterable[str]) -> tuple[str, str]:
    """A message and what the file was most likely to be called. `called`: packages by their names."""
    if name in called:
        layout = called[name]
        return (
            f"no package is in a directory {name}; the package {name} is in {layout.path}, and it is the directory"
            " that counts",
            f"{layout.directory}.override.json",
        )
    meant = nearest(name, directories)
    return f"no package is in a directory {name}", f"{meant}.override.json" if meant else ""


def _unreachable(packages: Iterable[Package]) -> Iterator[Finding]:
    """Over all packages, in the order in which their rules are tried."""
    of = {id(rule): (package, source) for package in packages for source, rule in package.rules}
    for rule, by in shadowed([rule for package in packages for _, rule in package.rules if not rule.privileged]):
        package, source = of[id(rule)]
        before, _ = of[id(by)]
        near = f"bridges[{by.position}] (line {by.source.rpartition(':')[2]})"
        first = near if before is package else f"{by.name} ({by.source})"
        if by.problem is not None:
            kind, message = "unreachable", f"is never reached: {first} comes first and matches all that this would"
        else:
            kind = "unreachable" if before.priority == package.priority else "fallback"
            message = f"is reached only if {first} cannot be started, which comes first and matches all that this would"
        yield source.finding(kind, ("bridges", rule.position), message)


def _hidden(catalog: Catalog) -> Iterator[Finding]:
    for hidden in catalog.hidden:
        if not hidden.reason.startswith(_BROKEN):
            yield of_file("not-used", f"{hidden.path}/manifest.json", f"not used: {hidden.reason}")


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By place, and each once: two who look at a file say the same of it."""
    each_once = dict.fromkeys(findings)
    explained = {each.file for each in each_once if each.kind in ("never-holds", "unmet")}
    told = [each for each in each_once if each.kind != "not-used" or each.file not in explained]
    return sorted(told, key=lambda each: (each.file, each.line, each.column))


def _print_text(findings: Iterable[Finding]) -> None:
    paint = Paint(sys.stdout)
    for finding in findings:
        print(finding.text(paint))


def _summary(findings: list[Finding], files: int) -> str:
    paint = Paint(sys.stderr)
    counts = {severity: sum(each.severity == severity for each in findings) for severity in (ERROR, WARNING, NOTE)}
    told = ", ".join(_count(number, severity) for severity, number in counts.items() if number)
    looked_at = _count(files, "file")
    if counts[ERROR] or counts[WARNING]:
        return f"{looked_at}: {paint('red' if counts[ERROR] else 'yellow', told)}"
    return f"{looked_at}: {paint('green', 'no problems')}" + (f", {told}" if told else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _print_json(findings: list[Finding], files: int) -> None:
    counts = {
        f"{severity}s": sum(each.severity == severity for each in findings) for severity in (ERROR, WARNING, NOTE)
    }
    told = {"files": files, **counts, "findings": findings}
    print_json(told)
