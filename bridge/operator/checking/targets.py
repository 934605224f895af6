"""What is to be checked: the packages and overrides that arguments name, or all that a bridge would find."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from spanbridge.manifests.conditions import judge, unmet_requirement
from spanbridge.manifests.directories import data_directories, override_directories
from spanbridge.manifests.files import read_document
from spanbridge.manifests.libexec import Libexecdir
from spanbridge.manifests.load import MAX_DEPTH, identity
from spanbridge.manifests.merge import merge
from spanbridge.manifests.model import Rule
from spanbridge.manifests.raw import DefectError

from ...installed import GENERATION
from . import form
from .finding import Finding, Source, of_defect
from .spelling import nearest

MANIFEST: Final = "manifest.json"
OVERRIDE: Final = "override.json"
OF_PACKAGE: Final = ".override.json"
"""What follows the name of the package directory in an override that stands elsewhere."""


class TargetError(Exception):
    """An argument that names nothing that can be checked; the text says which and what was expected."""


class Package(NamedTuple):
    """A package and what is laid over it, as it would be loaded."""

    name: str
    priority: float
    path: str
    file: str
    """What it begins with: its manifest, or an override that is looked at alone."""
    manifest: dict[str, Any]
    rules: list[tuple[Source, Rule]]
    overrides: list[tuple[Source, dict[str, Any]]]
    """Each with what it is laid over."""
    unmet: str
    """Why its conditions or requirements do not hold on this machine; empty: they do."""


class Layout(NamedTuple):
    """Where a package is put together from."""

    path: str
    """Of its directory."""
    files: list[str]
    """The manifest, or none where an override is looked at alone; then the overrides, in the order they are applied."""
    underlying: int = 0
    """How many files at the beginning are there only for the others to be laid over: nothing is to be said of them."""

    @property
    def directory(self) -> str:
        return os.path.basename(os.path.abspath(self.path))


class Reader:
    """Reads each file once. What cannot be read is a finding."""

    def __init__(self, max_bytes: int) -> None:
        self.findings: list[Finding] = []
        self.sources: dict[str, Source] = {}
        self._max_bytes = max_bytes
        self._tried: set[str] = set()

    def read(self, file: str) -> Source | None:
        """None: it is not there, or cannot be read as an object of JSON."""
        if file not in self._tried:
            self._tried.add(file)
            try:
                document = read_document(file, max_bytes=self._max_bytes, max_depth=MAX_DEPTH)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except DefectError as error:
                self.findings.append(of_defect(error.defect))
                return None
            self.sources[file] = Source(document, override=file.endswith(OVERRIDE))
        return self.sources.get(file)

    def package(self, layout: Layout, libexecdir: Libexecdir) -> Package | None:
        """Put together what can be read of it; None if there is nothing."""
        sources = [source for file in layout.files if (source := self.read(file)) is not None]
        sources = [source for source in sources if not (source.override and form.is_left_out(source))]
        if not sources or (layout.files[0].endswith(MANIFEST) and sources[0].file != layout.files[0]):
            return None
        manifest: dict[str, Any] = {}
        overrides: list[tuple[Source, dict[str, Any]]] = []
        for source in sources:
            if source.override:
                if source is not sources[0]:
                    overrides.append((source, manifest))
                manifest = merge(manifest, source.document.value)
            else:
                manifest = source.document.value
        manifest = libexecdir.fill_in(manifest, [source.document for source in sources])
        name, priority = identity(manifest, layout.directory, _no_matter)
        # A merge patch replaces a list whole, so all of it stands in the last file that has one.
        last = next((source for source in reversed(sources) if "bridges" in source.document.value), None)
        rules = form.rules(last, manifest.get("bridges"), name) if last else []
        placed = [(last, rule) for rule in rules] if last else []
        return Package(name, priority, layout.path, sources[0].file, manifest, placed, overrides, _unmet(manifest))


def installed(environ: Mapping[str, str]) -> list[Layout]:
    """All package directories with a manifest, the hidden ones too, in the order in which they are found."""
    overrides: dict[str, list[str]] = {}
    for file in override_files(environ):
        overrides.setdefault(directory_of(file), []).append(file)
    return [
        _layout(f"{place.path}/{name}", overrides.get(name, []))
        for place in data_directories(environ)
        for name in _names(place.path)
        if os.path.lexists(f"{place.path}/{name}/{MANIFEST}")
    ]


def override_files(environ: Mapping[str, str]) -> list[str]:
    """The overrides outside of packages, in the order in which they are applied."""
    return [
        f"{directory}/{name}"
        for directory in override_directories(environ)
        for name in _names(directory)
        if name.endswith(OF_PACKAGE)
    ]


def odd_files(environ: Mapping[str, str]) -> Iterator[str]:
    """Files that somebody took for overrides, and the loader does not."""
    for directory in override_directories(environ):
        for name in _names(directory):
            words = re.split("[^A-Za-z]+", name)
            if not name.endswith(OF_PACKAGE) and any(nearest(word, ["override", "overrides"]) for word in words):
                yield f"{directory}/{name}"


def directory_of(override: str) -> str:
    """The package directory that an override outside of it is for."""
    return os.path.basename(override).removesuffix(OF_PACKAGE)


def named(arguments: Iterable[str], environ: Mapping[str, str]) -> list[Layout]:
    """What the arguments name, each once. Raises TargetError."""
    packages: dict[str, Layout] = {}
    overrides: list[str] = []
    for argument in arguments:
        for found in _of_argument(argument):
            if os.path.basename(found).endswith(OF_PACKAGE):
                overrides.append(found)
            elif os.path.isdir(found):
                packages.setdefault(os.path.abspath(found), _layout(found, []))
            else:
                packages.setdefault(os.path.abspath(found), Layout(os.path.dirname(found) or ".", [found]))
    by_name = {layout.directory: layout for layout in reversed(list(packages.values()))}
    alone = []
    for override in dict.fromkeys(overrides):
        layout = by_name.get(directory_of(override))
        if layout is None:
            alone.append(_over_installed(override, environ))
        else:
            layout.files.append(override)
    return [*packages.values(), *alone]


def _of_argument(argument: str) -> list[str]:
    """Package directories, overrides outside of them, and other files."""
    path = argument.rstrip("/") or "/"
    if not os.path.isdir(path):
        if not os.path.lexists(path):
            raise TargetError(f"{argument}: No such file or directory")
        if not os.access(path, os.R_OK):
            raise TargetError(f"{argument}: Permission denied")
        in_package = os.path.basename(path) in (MANIFEST, OVERRIDE)
        return [os.path.dirname(path) or "."] if in_package and _is_package(os.path.dirname(path)) else [path]
    if _is_package(path):
        return [path]
    found = _inside(path) or _inside(f"{path}/cockpit")
    if not found:
        raise TargetError(f"{argument}: no {MANIFEST} in it or in a directory in it, and no DIRECTORY{OF_PACKAGE}")
    return found


def _inside(directory: str) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise TargetError(f"{directory}: {error.strerror}") from None
    return [f"{directory}/{name}" for name in names if name.endswith(OF_PACKAGE) or _is_package(f"{directory}/{name}")]


def _is_package(directory: str) -> bool:
    return os.path.lexists(os.path.join(directory, MANIFEST))


def _over_installed(override: str, environ: Mapping[str, str]) -> Layout:
    """The override over the package that it is for, if that is installed."""
    name = directory_of(override)
    for place in data_directories(environ):
        if _is_package(f"{place.path}/{name}"):
            return Layout(f"{place.path}/{name}", [f"{place.path}/{name}/{MANIFEST}", override], underlying=1)
    return Layout(name, [override])


def _layout(path: str, overrides: list[str]) -> Layout:
    return Layout(path, [os.path.join(path, MANIFEST), os.path.join(path, OVERRIDE), *overrides])


def _names(directory: str) -> list[str]:
    """Without those that cannot be listed: the loader tells of them."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except OSError:
        return []


def _unmet(manifest: Mapping[str, Any]) -> str:
    """As the loader has it; what is malformed counts as met."""
    if "conditions" in manifest and (unmet := judge(manifest["conditions"], report=_no_matter).unmet):
        return f"condition not met: {unmet}"
    for member in ("requires", "require"):
        if member in manifest:
            unmet = unmet_requirement(manifest[member], GENERATION, (member,), _no_matter)
            if unmet:
                return unmet
    return ""


def _no_matter(error: Exception) -> None:
    """Told of where the file is looked at by itself."""
