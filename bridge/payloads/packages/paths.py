"""What the path of a request asks for (docs/packages.md, "Paths")."""

from typing import Final, NamedTuple

from .bounds import PATH_CHARS

ALLOWED: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,@")
"""Characters of a part of a path."""
EVERY: Final = "*"
"""Stands for every package."""

MANIFESTS_JSON: Final = "/manifests.json"
MANIFESTS_JS: Final = "/manifests.js"
MANIFESTS_I18N_JS: Final = "/manifests-i18n.js"
CHECKSUM: Final = "/checksum"
_WHOLE: Final = frozenset({MANIFESTS_JSON, MANIFESTS_JS, MANIFESTS_I18N_JS, CHECKSUM})


class FileTarget(NamedTuple):
    """A file of a package, or of every package."""

    package: str
    """Name of the package, or EVERY."""
    file: str
    """Path relative to the package directory, "/" between its parts."""


def read_path(path: str) -> FileTarget | str | None:
    """A file; one of the paths that are about all packages, as it is; None for what can be neither."""
    if path in _WHOLE:
        return path
    if len(path) > PATH_CHARS or ".." in path:
        return None
    root, *parts = path.split("/")
    if root or len(parts) < 2:
        return None
    package, *names = parts
    if not (package == EVERY or is_name(package)) or not all(map(is_name, names)):
        return None
    return FileTarget(package, "/".join(names))


def is_name(part: str) -> bool:
    """Whether a directory or file of this name can be asked for."""
    return bool(part) and part != "." and ".." not in part and ALLOWED.issuperset(part)
