"""Files that nobody reads, since they lie or are named beside what is looked for; and paths that are ignored."""

import os
from collections.abc import Iterator, Mapping
from typing import Final

from spanbridge.manifests.directories import data_directories, override_directories
from spanbridge.manifests.member import quote

from .finding import Finding, of_file
from .spelling import nearest
from .targets import MANIFEST, OF_PACKAGE, OVERRIDE

_PATHS: Final = ("XDG_DATA_HOME", "XDG_DATA_DIRS", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS")
_READ: Final = (MANIFEST, OVERRIDE)


def misplaced(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Manifests and overrides where they are not looked for, near to where they are."""
    for place in data_directories(environ):
        yield from _in_place(place.path)
    for directory in override_directories(environ):
        for name in _names(os.path.dirname(directory)):
            if name.endswith(OF_PACKAGE):
                file = f"{os.path.dirname(directory)}/{name}"
                yield of_file("misplaced", file, "is not read there", f"{directory}/{name}")
        for name in _names(directory):
            file = f"{directory}/{name}/{OVERRIDE}"
            if os.path.lexists(file):
                yield of_file("misplaced", file, "is not read there", f"{directory}/{name}{OF_PACKAGE}")


def _in_place(path: str) -> Iterator[Finding]:
    if os.path.isfile(f"{path}/{MANIFEST}"):
        message = "is not read there: a manifest lies in the directory of its package"
        yield of_file("misplaced", f"{path}/{MANIFEST}", message, f"{path}/NAME/{MANIFEST}")
    for package in _names(path):
        names = _names(f"{path}/{package}")
        for name in names:
            if name not in _READ and (meant := nearest(name, _READ)) and meant not in names:
                yield of_file("misplaced", f"{path}/{package}/{name}", "is not read under that name", meant)
        if MANIFEST in names:
            continue
        for name in names:
            file = f"{path}/{package}/{name}/{MANIFEST}"
            if os.path.isfile(file):
                yield of_file("misplaced", file, "lies too deep to be read", f"{path}/{name}/{MANIFEST}")


def relative_paths(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables of the XDG Base Directory Specification that name relative paths, which it has everybody ignore."""
    for variable in _PATHS:
        for path in environ.get(variable, "").split(":" if variable.endswith("S") else "\0"):
            if path and not path.startswith("/"):
                why = "~ is not expanded" if path.startswith("~") else "a relative path"
                yield of_file("relative", variable, f"{quote(path)}: {why}, which is ignored; expected a path from /")


def _names(directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except OSError:
        return []
