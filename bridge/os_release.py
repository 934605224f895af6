"""The operating system, as os-release(5) tells of it. On the start path: imports nothing that is not there already."""

import os
import stat
from collections.abc import Iterable
from typing import Final

PATHS: Final = ("/etc/os-release", "/usr/lib/os-release")
MAX_BYTES: Final = 64 << 10
"""Much more than any has; of a longer one the whole lines within it are read."""

_NAME_START: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_NAME: Final = _NAME_START | frozenset("0123456789")
_BLANKS: Final = " \t\r"
_NEED_QUOTES: Final = frozenset(" \t\r\"'`$;&|<>()")
_ESCAPED: Final = frozenset('"$`\\')


def read_os_release(paths: Iterable[str] = PATHS) -> dict[str, str]:
    """The assignments of the first of `paths` that can be read, by name.

    Never an error: without such a file there are none, and a line that is no assignment is passed over.
    """
    for path in paths:
        data = _read(path)
        if data is not None:
            return dict(found for line in data.split(b"\n") if (found := _assignment(line)) is not None)
    return {}


def _read(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = os.read(descriptor, MAX_BYTES)
        return data if len(data) < MAX_BYTES else data[: data.rfind(b"\n") + 1]
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _assignment(line: bytes) -> tuple[str, str] | None:
    try:
        name, equals, text = line.decode().strip(_BLANKS).partition("=")
    except UnicodeDecodeError:
        return None
    if not equals or name[:1] not in _NAME_START or not _NAME.issuperset(name):
        return None
    value = _unquoted(text)
    return None if value is None else (name, value)


def _unquoted(text: str) -> str | None:
    """What a shell makes of `text`, one word of it; None if it is not one, or would need a shell."""
    quote = text[:1]
    if quote == "'":
        inner = text[1:-1]
        return inner if len(text) > 1 and text.endswith("'") and "'" not in inner else None
    if quote != '"':
        return None if _NEED_QUOTES.intersection(text) or "\\" in text else text
    value, escaped = "", False
    for index, char in enumerate(text[1:], 1):
        if escaped:
            value += char if char in _ESCAPED else f"\\{char}"
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            return value if index == len(text) - 1 else None
        else:
            value += char
    return None
