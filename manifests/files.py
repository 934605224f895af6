"""Reading a manifest or an override from disk, whatever may be lying there under that name."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, NamedTuple

import msgspec

from .member import Path, describe
from .model import Defect

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_CHUNK = 64 * 1024
_BOM = b"\xef\xbb\xbf"

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


class Document(NamedTuple):
    """A file that holds a JSON object."""

    file: str
    data: bytes
    value: dict[str, Any]


class DefectError(Exception):
    def __init__(self, defect: Defect) -> None:
        super().__init__(str(defect))
        self.defect = defect


def read_document(file: str, *, max_bytes: int, max_depth: int) -> Document:
    """Read one JSON object of at most `max_bytes`, objects and lists in it nested at most `max_depth`.

    A byte order mark before it is passed over. Never waits, for a FIFO neither. Raises FileNotFoundError or
    NotADirectoryError if nothing is there under that name, DefectError for all else.
    """
    data = read_bytes(file, max_bytes).removeprefix(_BOM)
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise DefectError(_not_json(file, data)) from None
    except RecursionError:
        raise DefectError(_too_deep(file, data, max_depth)) from None
    # Counting brackets is much cheaper than looking, and most files have fewer than are allowed to nest.
    if data.count(b"{") + data.count(b"[") > max_depth and _depth(value) > max_depth:
        raise DefectError(_too_deep(file, data, max_depth))
    if not isinstance(value, dict):
        raise DefectError(located(file, data, (), f"found {describe(value)}, expected an object"))
    return Document(file, data, value)


def located(file: str, data: bytes, path: Path, message: str) -> Defect:
    """The defect of a member. Looks for its line and column only now, since there is something to say about it."""
    from .locate import find, line_and_column
    from .member import spell

    line, column = line_and_column(data, find(data, path))
    return Defect(file, line, column, spell(path), message)


def read_bytes(file: str, max_bytes: int) -> bytes:
    """What is in it. Never waits; raises as `read_document`."""
    try:
        descriptor = os.open(file, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(file):
            raise DefectError(_unreadable(file, "found a link to nothing, expected a file")) from None
        raise
    except OSError as error:
        # What open() says about a socket is "No such device or address".
        reason = "found a socket, expected a file" if error.errno == errno.ENXIO else _reason(error)
        raise DefectError(_unreadable(file, reason)) from None
    try:
        return _contents(descriptor, file, max_bytes)
    except OSError as error:
        raise DefectError(_unreadable(file, _reason(error))) from None
    finally:
        os.close(descriptor)


def _contents(descriptor: int, file: str, max_bytes: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        kind = next((kind for test, kind in _KINDS if test(status.st_mode)), "something else")
        raise DefectError(_unreadable(file, f"found {kind}, expected a file"))
    if status.st_size > max_bytes:
        raise DefectError(_too_large(file, max_bytes, f"{status.st_size} bytes"))
    # Read to the end, not to that size: files of /proc say 0, and another process may be writing.
    data = os.read(descriptor, status.st_size + 1)
    if len(data) == status.st_size:
        return data
    chunks, total = [data], len(data)
    while total <= max_bytes and (chunk := os.read(descriptor, _CHUNK)):
        chunks.append(chunk)
        total += len(chunk)
    if total > max_bytes:
        raise DefectError(_too_large(file, max_bytes, "more"))
    return b"".join(chunks)


def _reason(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


def _unreadable(file: str, message: str) -> Defect:
    return Defect(file, 0, 0, "", message)


def _too_large(file: str, max_bytes: int, found: str) -> Defect:
    return _unreadable(file, f"found {found}, expected at most {max_bytes} bytes")


def _depth(value: Any) -> int:
    """How deep lists and objects nest; level by level, since recursion is what a deep one would break."""
    depth = 0
    level = [value] if isinstance(value, (dict, list)) else []
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return depth


def _too_deep(file: str, data: bytes, max_depth: int) -> Defect:
    from .locate import line_and_column
    from .syntax import first_too_deep

    line, column = line_and_column(data, first_too_deep(data, max_depth))
    return Defect(file, line, column, "", f"found lists and objects nested deeper than {max_depth} levels")


def _not_json(file: str, data: bytes) -> Defect:
    from .locate import line_and_column
    from .syntax import first_error

    offset, message = first_error(data)
    line, column = line_and_column(data, offset)
    return Defect(file, line, column, "", message)
