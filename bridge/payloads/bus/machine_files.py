"""`cockpit/machines.d/*.json`: machines that the front end knows of, host -> property -> value.

A value is a string, a number, true or false. Files count in the order of their names: what a later one says of a
property of a host holds, the others stay.
"""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable
from typing import Any, Final

import msgspec

from spanbridge.manifests.files import read_document
from spanbridge.manifests.member import describe, quote
from spanbridge.manifests.raw import DefectError

from .limits import FILE_BYTES, FILE_DEPTH, MACHINE_FILES

Value = str | bool | int | float
Hosts = dict[str, dict[str, Value]]

PLACE: Final = "a whole number of 64 bits with a sign, and no NUL in texts and names"
_DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_MODE: Final = 0o644
_DIRECTORY_MODE: Final = 0o755
_LONGEST_NAME: Final = 255


class FileError(Exception):
    """A file that cannot be changed; the text says why. `denied`: for lack of permission."""

    def __init__(self, message: str, *, denied: bool = False) -> None:
        super().__init__(message)
        self.denied = denied


def is_machine_file(name: str) -> bool:
    """Whether a file of that name counts."""
    return name.endswith(".json") and not name.startswith(".") and "/" not in name and "\0" not in name


def read_machines(directory: str, complain: Callable[[str], None]) -> Hosts:
    """What all files say together. What is malformed is left out, and `complain` is told of it."""
    merged: Hosts = {}
    for name in _names(directory, complain):
        path = f"{directory}/{name}"
        for host, properties in _read(path, complain).items():
            if not isinstance(properties, dict):
                complain(f"{path}: {host}: found {describe(properties)}, expected an object")
                continue
            if "\0" in host:
                complain(f"{path}: {quote(host)}: found a NUL in the name of a host, expected none")
                continue
            known = merged.setdefault(host, {})
            for key, value in properties.items():
                if not isinstance(value, Value):
                    complain(
                        f"{path}: {host}: {key}: found {describe(value)}, expected a string, number, true or false"
                    )
                elif not has_place(value) or "\0" in key:
                    complain(f"{path}: {host}: {quote(key)}: found {describe(value)}, expected {PLACE}")
                else:
                    known[key] = value
    return merged


def has_place(value: Value) -> bool:
    """Whether the bus can tell it: as `s` and `x` can, and their names."""
    if isinstance(value, str):
        return "\0" not in value
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _names(directory: str, complain: Callable[[str], None]) -> list[str]:
    try:
        names = sorted(filter(is_machine_file, os.listdir(directory)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        complain(f"{directory}: {error.strerror}")
        return []
    if len(names) > MACHINE_FILES:
        complain(f"{directory}: found {len(names)} files, of which {MACHINE_FILES} are read")
    return names[:MACHINE_FILES]


def _read(path: str, complain: Callable[[str], None]) -> dict[str, Any]:
    try:
        return read_document(path, max_bytes=FILE_BYTES, max_depth=FILE_DEPTH).value
    except FileNotFoundError:
        return {}
    except DefectError as error:
        complain(str(error))
        return {}


def update_machine(directory: str, name: str, host: str, properties: dict[str, Value]) -> None:
    """Set properties of a host in one file; what else it says stays. The file is replaced whole, or not at all.

    Raises FileError, ValueError for a name that is not allowed.
    """
    if not is_machine_file(name) or len(os.fsencode(name)) > _LONGEST_NAME:
        raise ValueError(f'found {describe(name)}, expected the plain name of a file, without "/", that ends in .json')
    path = f"{directory}/{name}"
    try:
        document = read_document(path, max_bytes=FILE_BYTES, max_depth=FILE_DEPTH).value
    except FileNotFoundError:
        document = {}
    except DefectError as error:
        raise FileError(str(error)) from None
    before = document.get(host, {})
    if not isinstance(before, dict):
        raise FileError(f"{path}: {host}: found {describe(before)}, expected an object")
    document[host] = {**before, **properties}
    data = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    if len(data) > FILE_BYTES:
        raise FileError(f"{path}: would be longer than {FILE_BYTES} bytes")
    try:
        _make_directory(directory)
        _replace(path, data)
    except OSError as error:
        raise FileError(f"{error.filename or path}: {error.strerror}", denied=error.errno in _DENIED) from None


def _make_directory(path: str) -> None:
    """With those above it, for others to read whatever our umask is: the front end of other users reads it too."""
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        _make_directory(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        os.chmod(path, _DIRECTORY_MODE)


def _replace(path: str, data: bytes) -> None:
    directory, name = os.path.split(path)
    fd, new = tempfile.mkstemp(prefix=f".{name[:200]}.", dir=directory)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            os.fchmod(fd, _mode_of(path))
            file.flush()
            os.fsync(fd)
        os.rename(new, path)
    except BaseException:
        os.unlink(new)
        raise


def _mode_of(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return _MODE
