"""From the data directories to a Catalog: find, read, check, choose (docs/manifests.md).

Runs on every start of the bridge, so: one pass, few system calls a package, and no line is counted unless there
is a defect to report or a bridge to name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .blame import NOT_REFUSED, PROBLEM, blame, located, may_refuse, mention_problem
from .conditions import judge, unmet_requirement, version
from .directories import Place, data_directories, libexecdir, override_directories
from .files import read_document
from .libexec import Libexecdir
from .member import MemberError, Path, Report, describe, number, quote, raise_it, wrong
from .merge import merge
from .model import Catalog, Defect, Hidden, Package, Rule
from .raw import DefectError, Document, read_bytes

__all__ = ["MAX_BYTES", "MAX_DEFECTS", "MAX_DEPTH", "check_override", "identity", "libexecdir", "load"]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_DEFECTS = 100

_DEEPEST = 200
"""More than this could meet Python's own limit: some steps below call themselves for each level."""

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
NAME_EXPECTED = "letters, digits, underscore and dash"
_DEFAULT_PRIORITY = 1.0


def load(
    environ: Mapping[str, str],
    *,
    generation: str,
    askpass: str,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_defects: int = MAX_DEFECTS,
    libexec: Callable[[], str] = libexecdir,
) -> Catalog:
    """Everything that is installed for whoever has this environment.

    generation: dotted numbers, what `requires` is held against. askpass: path of our askpass program.
    max_bytes: of one file. max_depth: of lists and objects in one another, at most 200. max_defects: of the bridges of
    one manifest, and of its unknown conditions; the rest is counted. libexec: asked once for what `${libexecdir}` is,
    if a manifest needs it.

    Bad files never raise, they become defects. Raises ValueError for a bad argument.
    """
    if not 1 <= max_depth <= _DEEPEST:
        raise ValueError(f"max_depth is {max_depth}, expected 1 to {_DEEPEST}")
    if version(generation) is None:
        raise ValueError(f"generation is {generation!r}, expected dotted numbers")
    return _Loading(environ, generation, askpass, max_bytes, max_depth, max_defects, libexec).catalog()


class _Candidate(msgspec.Struct, frozen=True):
    """A package that could be used, if no better one of its name is found."""

    name: str
    directory: str
    path: str
    priority: float
    manifest: dict[str, Any]
    user: bool
    documents: list[Document]
    """The manifest, then the overrides that were applied."""


class _Unusable(Exception):
    """Nothing is wrong, but the package does not apply here."""


class _Loading:
    """One call of load(): its settings, and what it has found so far."""

    def __init__(
        self,
        environ: Mapping[str, str],
        generation: str,
        askpass: str,
        max_bytes: int,
        max_depth: int,
        max_defects: int,
        libexec: Callable[[], str],
    ) -> None:
        self._places = data_directories(environ)
        self._override_directories = override_directories(environ)
        self._generation = generation
        self._max_bytes = max_bytes
        self._max_depth = max_depth
        self._max_defects = max_defects
        self._libexecdir = Libexecdir(askpass, libexec)
        self._defects: list[Defect] = []
        self._hidden: list[Hidden] = []
        self._left_out: list[tuple[Rule, Defect]] = []
        self._incomplete = False

    def catalog(self) -> Catalog:
        candidates: dict[str, list[_Candidate]] = {}
        for candidate in self._candidates():
            candidates.setdefault(candidate.name, []).append(candidate)
        packages = [self._package(self._winner(rivals)) for _, rivals in sorted(candidates.items())]
        by_priority = sorted(packages, key=lambda package: (-package.priority, package.name))
        rules = [rule for package in by_priority for rule in package.bridges]
        return Catalog(
            packages=tuple(packages),
            rules=tuple([rule for rule in rules if not rule.privileged]),
            privileged=tuple([rule for rule in rules if rule.privileged]),
            defects=tuple(self._defects),
            hidden=tuple(self._hidden),
            left_out=tuple(self._left_out),
            incomplete=self._incomplete,
        )

    def _names_in(self, directory: str) -> list[str]:
        try:
            return sorted([name for name in os.listdir(directory) if not name.startswith(".")])
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._defects.append(_lost(Defect(directory, 0, 0, "", f"cannot be read: {error.strerror or error}")))
            self._incomplete = True
            return []

    def _find_overrides(self) -> dict[str, list[str]]:
        """Override files by the name of the package directory they are for, in the order to apply them.

        Listing two or three directories is cheaper than asking them for every package.
        """
        found: dict[str, list[str]] = {}
        for directory in self._override_directories:
            for name in self._names_in(directory):
                if name.endswith(".override.json"):
                    found.setdefault(name.removesuffix(".override.json"), []).append(f"{directory}/{name}")
        return found

    def _candidates(self) -> Iterator[_Candidate]:
        """All packages that could be used, in the order of the data directories, within one by name.

        What cannot be used hides nothing: a copy of it further on may be good.
        """
        overrides = self._find_overrides()
        for place in self._places:
            for directory in self._names_in(place.path):
                path = f"{place.path}/{directory}"
                try:
                    document = self._manifest(directory, path)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                if document is not None:
                    candidate = self._candidate(place, directory, document, overrides.get(directory, ()))
                    if candidate is not None:
                        yield candidate

    def _manifest(self, directory: str, path: str) -> Document | None:
        """Raises FileNotFoundError or NotADirectoryError if there is none. None: there is, but it is no good."""
        file = f"{path}/manifest.json"
        if not NAME_CHARACTERS.issuperset(directory):
            _look_for(file)
            # The name may hold anything, a line break too: it is quoted wherever it is shown.
            shown = f"{path[: -len(directory)]}{quote(directory)}"
            message = f"found the directory name {quote(directory)}, expected {NAME_EXPECTED}"
            defect = Defect(f"{shown}/manifest.json", 0, 0, "", message)
            self._leave_out(quote(directory), shown, _lost(defect, self._may_refuse(file)))
            return None
        try:
            return self._read(file)
        except DefectError as error:
            self._leave_out(directory, path, _lost(error.defect, self._may_refuse(file)))
            return None

    def _candidate(
        self, place: Place, directory: str, document: Document, overrides: Iterable[str]
    ) -> _Candidate | None:
        path = f"{place.path}/{directory}"
        documents = [document, *self._overrides(path, overrides)]
        manifest: dict[str, Any] = document.value
        for override in documents[1:]:
            manifest = merge(manifest, override.value)
        manifest = self._libexecdir.fill_in(manifest, documents)
        name = directory
        try:
            name, priority = identity(manifest, directory)
            self._check_usable(manifest, documents)
        except MemberError as error:
            defect = blame(documents, error.path, error.message)
            self._leave_out(name, path, _lost(defect, mention_problem(documents)))
            return None
        except _Unusable as reason:
            self._hidden.append(Hidden(name, path, str(reason)))
            return None
        return _Candidate(name, directory, path, priority, manifest, place.user, documents)

    def _read(self, file: str) -> Document:
        return read_document(file, max_bytes=self._max_bytes, max_depth=self._max_depth)

    def _may_refuse(self, file: str) -> bool:
        """Whether a manifest that is no good may have rules that refuse: one that cannot be read may have anything."""
        try:
            return PROBLEM in read_bytes(file, self._max_bytes)
        except (OSError, DefectError):
            return True

    def _leave_out(self, name: str, path: str, defect: Defect) -> None:
        self._defects.append(defect)
        self._hidden.append(Hidden(name, path, f"unusable: {defect}"))

    def _overrides(self, path: str, files: Iterable[str]) -> Iterable[Document]:
        for file in (f"{path}/override.json", *files):
            try:
                override = self._read(file)
                check_override(override)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except DefectError as error:
                self._defects.append(_lost(error.defect))  # whatever it was to take away is there now
            else:
                yield override

    def _check_usable(self, manifest: dict[str, Any], documents: list[Document]) -> None:
        """Raises MemberError for something malformed, _Unusable if the package does not apply here."""
        unmet = None
        if "conditions" in manifest:
            verdict = judge(manifest["conditions"])
            if verdict.unknown:
                self._tell_unknown(verdict.unknown, documents)
            if verdict.unmet:
                unmet = f"condition not met: {verdict.unmet}"
        for member in ("requires", "require"):
            if member in manifest:
                missing = unmet_requirement(manifest[member], self._generation, (member,))
                unmet = unmet or missing
        if unmet:
            raise _Unusable(unmet)

    def _tell_unknown(self, unknown: tuple[Path, ...], documents: list[Document]) -> None:
        """A warning for each, found by one scan of the file for all of them."""
        from .locate import line_and_column, outline
        from .member import spell

        # As with bridges: the list stands whole in the last file that has one.
        document = next(document for document in reversed(documents) if "conditions" in document.value)
        places = outline(document.data).places
        list_place = places["conditions",]
        for path in unknown[: self._max_defects]:
            place = line_and_column(document.data, places.get(path, list_place))
            message = (
                f"found the unknown condition {quote(str(path[-1]))}, which counts as met; "
                "expected path-exists, path-not-exists or any"
            )
            self._defects.append(Defect(document.file, *place, spell(path), message))
        if len(unknown) > self._max_defects:
            message = f"{len(unknown) - self._max_defects} more conditions are unknown, and count as met like these"
            self._defects.append(
                Defect(document.file, *line_and_column(document.data, list_place), "conditions", message)
            )

    def _winner(self, rivals: list[_Candidate]) -> _Candidate:
        # max() keeps the first of equals, and rivals come in the order they were found.
        winner = max(rivals, key=lambda rival: rival.priority)
        for rival in rivals:
            if rival is winner:
                continue
            if rival.priority < winner.priority:
                reason = f"priority {rival.priority:g} is lower than {winner.priority:g} of {winner.path}"
            else:
                reason = f"found after {winner.path}, which has the same priority {winner.priority:g}"
            self._hidden.append(Hidden(rival.name, rival.path, reason))
        return winner

    def _package(self, winner: _Candidate) -> Package:
        return Package(
            name=winner.name,
            directory=winner.directory,
            path=winner.path,
            priority=winner.priority,
            manifest=winner.manifest,
            bridges=tuple(self._bridges(winner)) if "bridges" in winner.manifest else (),
            user=winner.user,
            overrides=tuple([document.file for document in winner.documents[1:]]),
        )

    def _bridges(self, winner: _Candidate) -> list[Rule]:
        from .locate import elements, find, line_and_column
        from .member import spell
        from .rules import read_rule

        entries = winner.manifest["bridges"]
        if not isinstance(entries, list):
            message = f"found {describe(entries)}, expected a list of bridges"
            defect = blame(winner.documents, ("bridges",), message)
            self._defects.append(_lost(defect, mention_problem(winner.documents)))
            return []
        # A merge patch replaces a list whole, so all of it stands in the last file that has one.
        document = next(document for document in reversed(winner.documents) if "bridges" in document.value)
        rules: list[Rule] = []
        bad = line = counted = 0
        more_restrict = False
        for position, (entry, offset) in enumerate(zip(entries, elements(document.data, "bridges"), strict=True)):
            line += document.data.count(b"\n", counted, offset)
            counted = offset
            try:
                rules.append(read_rule(entry, winner.name, position, f"{document.file}:{line + 1}"))
            except MemberError as error:
                bad += 1
                restricts = may_refuse(entry)
                if bad <= self._max_defects:
                    place = line_and_column(document.data, find(document.data, error.path[2:], offset))
                    message = error.message + (NOT_REFUSED if restricts else "")
                    defect = Defect(document.file, *place, spell(error.path), message, restricts)
                    self._defects.append(defect)
                    if isinstance(entry, dict) and isinstance(entry.get("match"), dict):
                        rule = Rule(winner.name, position, f"{document.file}:{line + 1}", entry["match"], ())
                        self._left_out.append((rule, defect))
                else:
                    more_restrict |= restricts
        if bad > self._max_defects:
            message = f"{bad - self._max_defects} more entries are wrong, and left out like these"
            self._defects.append(_lost(blame(winner.documents, ("bridges",), message), more_restrict))
        return rules


def identity(manifest: dict[str, Any], directory: str, report: Report = raise_it) -> tuple[str, float]:
    """Name and priority. `report` is told of what is wrong; it raises the first, unless another is given."""
    name = manifest.get("name", directory)
    if not isinstance(name, str) or not name or not NAME_CHARACTERS.issuperset(name):
        report(wrong(("name",), name, f"a string of {NAME_EXPECTED}"))
        name = directory
    if "priority" not in manifest:
        return name, _DEFAULT_PRIORITY
    try:
        return name, number(manifest["priority"], ("priority",), "a number")
    except MemberError as error:
        report(error)
        return name, _DEFAULT_PRIORITY


def check_override(override: Document) -> None:
    """An override must not break what decides about the package: it is left out instead. null removes, so it may.

    Raises DefectError.
    """
    patch = {name: value for name, value in override.value.items() if value is not None}
    try:
        identity(patch, "-")
        if "conditions" in patch:
            judge(patch["conditions"])
        for member in ("requires", "require"):
            if member in patch:
                wanted = patch[member]
                if isinstance(wanted, dict):
                    wanted = {name: value for name, value in wanted.items() if value is not None}
                unmet_requirement(wanted, "0", (member,))
    except MemberError as error:
        raise DefectError(located(override.file, override.data, error.path, error.message)) from None


def _look_for(file: str) -> None:
    """Raise FileNotFoundError or NotADirectoryError if it is not there; where that cannot be told it may be."""
    try:
        os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError:  # a directory that is not ours to search, a link to itself
        return


def _lost(defect: Defect, restricts: bool = True) -> Defect:
    """The defect for which a file, or all bridges of one, is left out."""
    return msgspec.structs.replace(defect, restricts=restricts, loses=True)
