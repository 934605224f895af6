"""What lies in the data directories: extensions, each with its package.json checked."""

import errno
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from spanbridge.manifests.files import read_document
from spanbridge.manifests.member import describe, quote, spell
from spanbridge.manifests.raw import DefectError

from ..files import too_large
from .on_disk import PYTHON, Found
from .permissions import Permissions

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
MAINS: Final = ("src/main.py", "src/index.js", "index.js")
JAVASCRIPT: Final = (".js", ".cjs", ".mjs")
# What must fit into an entry of the audit log, and into what a process is told at its start.
_VERSION_CHARS: Final = 200
_PERMISSIONS_BYTES: Final = 32 << 10
_PACKAGE_BYTES: Final = 1 << 20
_PACKAGE_DEPTH: Final = 200
_MOST_FILES: Final = 20_000
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_FAILING: Final = (errno.EIO, errno.ESTALE, errno.ENOTCONN)


class _Broken(Exception):
    pass


def find(
    directories: Iterable[str],
    alone: Iterable[str] = (),
    before: Iterable[Found] = (),
    failing: Callable[[OSError], None] = lambda error: None,
) -> dict[str, Found]:
    """All extensions by name, the first of a name: those `alone`, then those in the directories.

    Where the disk fails, which `failing` is told, nothing is seen, and what was found `before` stays as it was. Raises
    OSError if nothing can be opened.
    """
    found: dict[str, Found] = {}
    known = {each.path: each for each in before}
    for path in alone:
        _add(found, path, known, failing)
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except OSError as error:
            if not _is_failing(error):
                continue
            failing(error)
            names = sorted(os.path.basename(path) for path in known if os.path.dirname(path) == directory)
        for each in names:
            path = os.path.join(directory, each)
            if not each.startswith(".") and _is_one(path, known):
                _add(found, path, known, failing)
    return found


def _is_one(path: str, known: Mapping[str, Found]) -> bool:
    """Raises OSError if nothing can be opened."""
    try:
        os.lstat(os.path.join(path, "package.json"))
    except OSError as error:
        return _is_failing(error) and path in known
    return True


def _add(found: dict[str, Found], path: str, known: Mapping[str, Found], failing: Callable[[OSError], None]) -> None:
    try:
        extension: Found | None = _seen(path)
    except OSError as error:
        if not _is_failing(error):
            raise
        failing(error)
        extension = known.get(path)  # one that is new is looked for again by whoever asks for it
    if extension is not None:
        found.setdefault(extension.name, extension)


def look_at(path: str) -> Found:
    """The extension in one directory; a broken one has the name of the directory if it says none."""
    try:
        return _seen(path)
    except OSError as error:
        if not _is_failing(error):
            raise
        return Found(os.path.basename(path.rstrip("/")), path, broken=f"{path}: {error.strerror}")


def _seen(path: str) -> Found:
    """Raises OSError where the disk fails, and if nothing can be opened."""
    name = os.path.basename(path.rstrip("/"))
    file = os.path.join(path, "package.json")
    print_ = fingerprint(path)
    try:
        if not _is_text(path):
            raise _Broken(f"{path!r}: the path of its directory is not UTF-8")
        package = _read(file)
        name = _text(package, file, "name")
        if not NAME.fullmatch(name):
            raise _Broken(f"{file}: name: found {quote(name)}, expected [a-z][a-z0-9_-]{{0,63}}")
        version = _text(package, file, "version")
        if len(version) > _VERSION_CHARS:
            raise _Broken(f"{file}: version: {len(version)} characters, expected at most {_VERSION_CHARS}")
        main = _main(package, file, path)
        asks, always = _spanbridge(package.get("spanbridge", {}), file)
    except _Broken as why:
        shown = name if NAME.fullmatch(name) else os.path.basename(path.rstrip("/"))
        return Found(shown, path, broken=str(why), fingerprint=print_)
    return Found(name, path, version, main, asks, always, fingerprint=print_)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read(file: str) -> dict[str, Any]:
    if why := too_large(file, _PACKAGE_BYTES):
        raise _Broken(why)
    try:
        return read_document(file, max_bytes=_PACKAGE_BYTES, max_depth=_PACKAGE_DEPTH).value
    except DefectError as error:
        if isinstance(error.__context__, OSError):  # what the system said of it
            _unless_told(error.__context__)
        raise _Broken(str(error)) from None
    except OSError as error:
        _unless_told(error)
        raise _Broken(f"{file}: {error.strerror}") from None


def _unless_exhausted(error: OSError) -> None:
    """Raise what says nothing of the file, but that nothing can be opened just now: who would take that for an answer
    would take all extensions for removed."""
    if error.errno in _EXHAUSTED:
        raise error


def _is_failing(error: OSError) -> bool:
    """Whether it is the disk that fails, which says nothing of the file either. Raises OSError as above."""
    _unless_exhausted(error)
    return error.errno in _FAILING


def _unless_told(error: OSError) -> None:
    """Raise what says nothing of the file, of either kind."""
    if _is_failing(error):
        raise error


def _text(package: dict[str, Any], file: str, member: str) -> str:
    value = package.get(member)
    if not isinstance(value, str):
        raise _Broken(f"{file}: {member}: found {describe(value)}, expected a string")
    return value


def _main(package: dict[str, Any], file: str, path: str) -> str:
    if "main" in package:
        given = _text(package, file, "main")
        main = os.path.join(path, given)
        if not os.path.isfile(main):
            raise _Broken(f"{file}: main: {quote(given)}: no such file")
    else:
        given = next((each for each in MAINS if os.path.isfile(os.path.join(path, each))), "")
        if not given:
            raise _Broken(f"{file}: main: not given, and there is none of {', '.join(MAINS)}")
        main = os.path.join(path, given)
    real = os.path.realpath(main)
    if not real.startswith(os.path.realpath(path) + "/"):
        raise _Broken(f"{file}: main: {quote(given)}: not inside the directory")
    if not real.endswith((*PYTHON, *JAVASCRIPT)):
        raise _Broken(f"{file}: main: {quote(given)}: expected a file in Python (.py) or JavaScript (.js, .cjs, .mjs)")
    return real


def _spanbridge(value: Any, file: str) -> tuple[Permissions, bool]:
    if not isinstance(value, dict):
        raise _Broken(f"{file}: spanbridge: expected an object")
    for member in value:
        if member not in ("permissions", "start"):
            raise _Broken(f"{file}: {spell(('spanbridge', member))}: no such member, expected permissions or start")
    start = value.get("start", "request")
    if start not in ("request", "always"):
        raise _Broken(f'{file}: spanbridge.start: found {describe(start)}, expected "always" or "request"')
    try:
        asks = msgspec.convert(value.get("permissions", {}), Permissions)
    except msgspec.ValidationError as error:
        raise _Broken(f"{file}: spanbridge.permissions: {error}") from None
    if (size := len(msgspec.json.encode(asks))) > _PERMISSIONS_BYTES:
        raise _Broken(f"{file}: spanbridge.permissions: {size} bytes, expected at most {_PERMISSIONS_BYTES}")
    return asks, start == "always"


def fingerprint(path: str) -> int:
    """A number that changes with any file below `path`."""
    seen: list[tuple[str, int, int, int]] = []
    for directory in directories_in(path, _unless_told):
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            _unless_told(error)
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=not entry.is_symlink())
            except OSError:
                continue
            if not entry.is_dir(follow_symlinks=False) and not ignored(entry.name):
                seen.append((entry.path, status.st_size, status.st_mtime_ns, status.st_ino))
        if len(seen) > _MOST_FILES:
            break
    return hash(tuple(seen))


def directories_in(path: str, onerror: Callable[[OSError], None] = _unless_exhausted) -> list[str]:
    """The directory and all below it in which a change counts. Raises what `onerror` raises of what cannot be read."""
    found = []
    for directory, inner, files in os.walk(path, onerror=onerror):
        inner[:] = sorted(name for name in inner if not ignored(name))
        found.append(directory)
        if len(found) + len(files) > _MOST_FILES:
            break
    return found


def ignored(name: str) -> bool:
    """What comes and goes without a meaning: byte code, and what editors and version control keep."""
    return name == "__pycache__" or name.startswith(".") or name.endswith(("~", ".swp", ".pyc"))
