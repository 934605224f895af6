"""Reading a manifest or an override from disk: one JSON object."""

from __future__ import annotations

from typing import Any

import msgspec

from .blame import located
from .member import describe
from .model import Defect
from .raw import DefectError, Document, read_bytes

_BOM = b"\xef\xbb\xbf"


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
