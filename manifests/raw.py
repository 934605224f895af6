"""The bytes of a file, whatever may be lying there under that name."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

import msgspec

from .model import Defect

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_CHUNK = 64 * 1024

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


class Document(msgspec.Struct, frozen=True):
    """A file that holds a JSON object."""

    file: str
    data: bytes
    value: dict[str, Any]


class DefectError(Exception):
    def __init__(self, defect: Defect) -> None:
        super().__init__(str(defect))
        self.defect = defect


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
    return _unreadable(file, f"found {found}, expected at most {max_bytes} bytes (manifest_bytes)")
