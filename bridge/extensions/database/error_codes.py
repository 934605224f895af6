"""What SQLite calls its errors."""

import sqlite3
from typing import Final

_NEWER_CODES: Final = {(12 << 8) | sqlite3.SQLITE_CONSTRAINT: "SQLITE_CONSTRAINT_DATATYPE"}
_CODES: Final = {
    value: name
    for name, value in vars(sqlite3).items()
    if name in ("SQLITE_CONSTRAINT", "SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_READONLY")
}


def code_of(error: sqlite3.Error) -> str:
    """SQLite's name for it. This Python may be older than the SQLite, and not know the newest."""
    name = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR"
    if name != "unknown":
        return name
    number = int(getattr(error, "sqlite_errorcode", 1))
    return _NEWER_CODES.get(number) or _CODES.get(number & 0xFF, "SQLITE_ERROR")
